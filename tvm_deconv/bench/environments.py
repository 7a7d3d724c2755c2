"""An environment for each peer: what it needs, and where its interpreter is.

One for each, because their dependencies clash and so that a peer's libraries of threads and of
linear algebra never meet another's in one process.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tvm_deconv.errors import PeerError

from .defaults import PEER_ROOT
from .worker import PEERS

_NUMPY = "numpy>=1.26,<3"
_ONNX = "onnx>=1.17,<2"
_TORCH = "torch==2.13.*"

REQUIREMENTS: dict[str, tuple[str, ...]] = {
    "onnxruntime": ("onnxruntime>=1.20,<2", _NUMPY),
    "pytorch": (_TORCH, _NUMPY, _ONNX),
    "openvino": ("openvino>=2025.0,<2027", _NUMPY),
    "ncnn": ("ncnn>=1.0.20250503,<2", "pnnx>=20250503", _TORCH, _NUMPY, _ONNX),
    "mnn": ("mnn>=3.1,<4", _NUMPY, _ONNX),
    "litert": ("ai-edge-litert>=2.1,<3", "flatbuffers>=24.3,<26", _NUMPY, _ONNX),
}
assert set(REQUIREMENTS) == set(PEERS)

_STAMP = "requirements.txt"

# For each command. The largest download is PyTorch with its libraries, some gigabytes.
_TIME_LIMIT_S = 1800
_INSTALL = ("-m", "pip", "install", "--quiet", "--disable-pip-version-check")


def is_installed(peer: str, root: Path = PEER_ROOT) -> bool:
    """Whether the peer's environment in ``root`` is what ``python_of`` would make now."""
    stamp = _folder(peer, root) / _STAMP
    return stamp.exists() and stamp.read_text() == _wanted(peer)


def python_of(peer: str, root: Path = PEER_ROOT) -> Path:
    """The interpreter of the peer's environment in ``root``, which is made when it is not there.

    It is made anew when the requirements or this interpreter have changed. Raises PeerError for an
    unknown peer, and when the environment cannot be made: with the last line that pip says, or the
    time limit that it ran into.
    """
    if peer not in REQUIREMENTS:
        raise PeerError(f"no peer is called {peer!r}: use one of {', '.join(PEERS)}")
    folder = _folder(peer, root)
    python = folder / "bin" / "python"
    if not is_installed(peer, root):
        print(f"Installing {peer} into {root / peer}, once", file=sys.stderr)
        _run(peer, [sys.executable, "-m", "venv", "--clear", str(folder)])
        _run(peer, [str(python), *_INSTALL, *REQUIREMENTS[peer]])
        (folder / _STAMP).write_text(_wanted(peer))
    return python


def _folder(peer: str, root: Path) -> Path:
    return (root / peer).absolute()


def _wanted(peer: str) -> str:
    """What an environment was made of: written into it when it is complete."""
    return "\n".join((f"# Python {sys.version.split()[0]}", *REQUIREMENTS[peer], ""))


def _run(peer: str, command: list[str]) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=_TIME_LIMIT_S)
    except subprocess.TimeoutExpired as error:
        raise PeerError(
            f"the environment of {peer} cannot be made: {' '.join(command[1:4])} was stopped after "
            f"{_TIME_LIMIT_S:g} s"
        ) from error
    if done.returncode:
        said = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
        # pip ends with hints and notices.
        errors = [line for line in said if line.startswith("ERROR")] or said
        why = errors[-1] if errors else f"exit status {done.returncode}"
        raise PeerError(f"the environment of {peer} cannot be made: {why}")
