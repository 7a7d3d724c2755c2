"""An environment for each peer: what it needs, and where its interpreter is.

One for each, because their dependencies clash and so that a peer's libraries of threads and of
linear algebra never meet another's in one process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import PeerError

_NUMPY = "numpy>=1.26,<3"
_ONNX = "onnx>=1.17,<2"
_TORCH = "torch==2.13.*"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime>=1.20,<2", _NUMPY),
    "pytorch": (_TORCH, _NUMPY, _ONNX),
    "openvino": ("openvino>=2025.0,<2027", _NUMPY),
    "ncnn": ("ncnn>=1.0.20250503,<2", "pnnx>=20250503", _TORCH, _NUMPY, _ONNX),
    "mnn": ("mnn>=3.1,<4", _NUMPY),
    "litert": ("ai-edge-litert>=2.1,<3", "flatbuffers>=24.3,<26", _NUMPY, _ONNX),
}
assert set(REQUIREMENTS) == set(PEERS)

DEFAULT_ROOT = Path("build/peers")


def python_of(peer: str, root: Path = DEFAULT_ROOT) -> Path:
    """The interpreter of the peer's environment in ``root``, which is made when it is not there.

    It is made anew when the requirements or this interpreter have changed. Raises PeerError for an
    unknown peer, and when the environment cannot be made: then with the last line that pip says.
    """
    if peer not in REQUIREMENTS:
        raise PeerError(f"no peer is called {peer!r}: use one of {', '.join(PEERS)}")
    folder = (root / peer).absolute()
    python, stamp = folder / "bin" / "python", folder / "requirements.txt"
    wanted = "\n".join((f"# Python {sys.version.split()[0]}", *REQUIREMENTS[peer], ""))
    if python.exists() and stamp.exists() and stamp.read_text() == wanted:
        return python
    print(f"Installing {peer} into {root / peer}, once", file=sys.stderr)
    _run(peer, [sys.executable, "-m", "venv", "--clear", str(folder)])
    # Packages that want PyTorch find the one that is asked for here in the same call.
    _run(peer, [str(python), "-m", "pip", "install", "--quiet", *REQUIREMENTS[peer]])
    stamp.write_text(wanted)
    return python


def _run(peer: str, command: list[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True)
    if done.returncode:
        lines = [line.strip() for line in (done.stderr + done.stdout).splitlines()]
        errors = [line for line in lines if line.startswith("ERROR")] or [
            line for line in lines if line
        ]
        why = errors[-1] if errors else f"exit status {done.returncode}"
        raise PeerError(f"{peer} cannot be installed ({' '.join(command[1:4])}): {why}")
