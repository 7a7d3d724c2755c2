"""Make the environment of the Relay road: TVM 0.16 with Relay, from PyPI, beside the main one.

The wheel is built for CPython 3.10, but TVM's Python part calls its library through ctypes, so that
it runs on any Python that has NumPy 1. TVM 0.16 and 0.27 are both called ``tvm``: they cannot be
installed in one environment.
"""

from __future__ import annotations

import argparse
import platform
import subprocess
import sys
import sysconfig
import tempfile
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

# TVM 0.16 with Relay, TE, AutoTVM and RPC.
TVM = "hhb-tvm==3.2.3"
PYTHONS = ((3, 10), (3, 12))

# Its wheel names none of what it imports.
REQUIREMENTS = (
    "numpy>=1.26,<2",
    "attrs>=23",
    "cloudpickle>=3,<4",
    "decorator>=5,<6",
    "ml-dtypes>=0.4,<1",
    "psutil>=5.9,<8",
    "pyyaml>=6,<7",
    "scipy>=1.11,<2",
    "setuptools>=77",  # distutils, which Python 3.12 has no more
    "tornado>=6,<7",
    "tqdm>=4,<5",
    "typing-extensions>=4",
    "xgboost-cpu>=2.1,<4",
    # Its importers. It asks for a module that onnx 1.18 has no more.
    "onnx>=1.16,<1.18",
    "tflite>=2.18,<3",
    # The tests.
    "ai-edge-litert>=2.1,<3",
    "hypothesis>=6.100,<7",
    "onnxruntime>=1.20,<2",
    "pytest>=8,<10",
)


def refusal(system: str, machine: str, python: tuple[int, int]) -> str | None:
    """Why there can be no such environment here, in one line; None if there can."""
    first, last = (f"{major}.{minor}" for major, minor in PYTHONS)
    if (system, machine) != ("Linux", "x86_64"):
        return f"the TVM wheel with Relay is for Linux on x86-64, this is {system} on {machine}"
    if not PYTHONS[0] <= python <= PYTHONS[1]:
        found = f"{python[0]}.{python[1]}"
        return (
            f"the TVM wheel with Relay runs on Python {first} to {last}, this is {found}: "
            f"make relay PYTHON=python{last}"
        )
    return None


def make(folder: Path) -> None:
    """Make or complete the virtual environment ``folder``; CalledProcessError if pip fails."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "--disable-pip-version-check", "--quiet"]
    run([*pip, "install", *REQUIREMENTS])
    # pip takes a wheel for another Python only into a folder that it is told.
    with tempfile.TemporaryDirectory() as wheels:
        foreign = ["--no-deps", "--only-binary=:all:", "--python-version", "310"]
        run([*pip, "download", *foreign, "--dest", wheels, TVM])
        (wheel,) = Path(wheels).iterdir()
        packages = sysconfig.get_path("purelib", vars={"base": str(folder)})
        run([str(python), "-m", "zipfile", "--extract", str(wheel), packages])
    # As pip does with what it installs: without, each process takes a second longer to import it.
    run([str(python), "-m", "compileall", "-q", str(Path(packages) / "tvm")])
    # Without what it requires: that would be the TVM of the other road.
    run([*pip, "install", "--no-deps", "--editable", str(ROOT)])
    run([str(python), "-c", "import tvm_deconv.relay, tvm_deconv.schedules"])


def run(command: list[str]) -> None:
    subprocess.run(command, check=True)


def main() -> int:
    """The command line: 2, with one line on stderr, where there can be no environment."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("folder", type=Path, help="the virtual environment to make")
    folder = parser.parse_args().folder
    why = refusal(platform.system(), platform.machine(), sys.version_info[:2])
    if why is None:
        try:
            make(folder)
        except subprocess.CalledProcessError as error:
            why = f"{' '.join(map(str, error.cmd[:6]))} ... ended with {error.returncode}"
    if why is not None:
        print(f"relay_environment: {why}", file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
