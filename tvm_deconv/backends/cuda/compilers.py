"""The compilers of CUDA source on this machine: nvcc of a toolkit, and NVRTC from PyPI."""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass

from tvm_deconv.files import temporary_folder

from . import nvrtc

# ptxas states resources. No fast maths, which TVM has by default: its exp and division lose digits,
# and these kernels are bound by memory or by multiply-adds, which it does not touch.
_OPTIONS = ("--ptxas-options=-v", "--disable-warnings")


@dataclass(frozen=True)
class Compiler:
    """One that turns CUDA source into a cubin for ``architectures`` (``sm_87`` and so on).

    ``run(source, arch)`` returns the cubin and the log of ptxas, and raises CompilerError.
    """

    name: str
    architectures: tuple[str, ...]
    run: Callable[[str, str], tuple[bytes, str]]

    @property
    def version(self) -> tuple[int, ...]:
        """That of its CUDA, with which ``name`` ends."""
        return tuple(int(part) for part in self.name.split()[-1].split("."))


class CompilerError(Exception):
    """What a compiler says about source that it rejects."""


def compilers() -> list[Compiler]:
    """All that can compile on this machine, that of the oldest CUDA first.

    A driver loads what an older CUDA has compiled, not what a later major version has.
    """
    return sorted([*_toolkit(), *_pip()], key=lambda compiler: compiler.version)


def lacks_host_compiler() -> bool:
    """Whether there is an nvcc that cannot be used, because it needs g++."""
    return _nvcc() is not None and shutil.which("g++") is None


def _nvcc() -> str | None:
    homes = [os.environ.get(name) for name in ("CUDA_HOME", "CUDA_PATH")]
    folders = [f"{home}/bin" for home in (*homes, "/usr/local/cuda") if home]
    return shutil.which("nvcc") or shutil.which("nvcc", path=os.pathsep.join(folders))


@functools.cache
def _toolkit() -> list[Compiler]:
    """The compiler of an installed CUDA toolkit, in a list; empty if there is none that works."""
    nvcc = _nvcc()
    if nvcc is None or lacks_host_compiler():
        return []
    version = re.search(r"release (\d+\.\d+)", _output(nvcc, "--version"))
    known = re.findall(r"sm_\d+", _output(nvcc, "--list-gpu-code"))
    if not known or version is None:
        return []
    by_number = sorted(known, key=lambda arch: int(arch.removeprefix("sm_")))
    run = functools.partial(_run_nvcc, nvcc)
    return [Compiler(f"nvcc {version[1]}", tuple(by_number), run)]


def _run_nvcc(nvcc: str, source: str, arch: str) -> tuple[bytes, str]:
    with temporary_folder() as folder:
        (folder / "kernels.cu").write_text(source)
        command = [nvcc, "--cubin", f"-arch={arch}", *_OPTIONS, "kernels.cu"]
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        if done.returncode:
            raise CompilerError(done.stdout + done.stderr)
        return (folder / "kernels.cubin").read_bytes(), done.stdout + done.stderr


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=False).stdout


@functools.cache
def _pip() -> list[Compiler]:
    """NVRTC of the extra ``cuda12``, in a list; empty if that is not installed."""
    library = nvrtc.installed()
    if library is None:
        return []

    def run(source: str, arch: str) -> tuple[bytes, str]:
        try:
            # Functions that TVM declares without a space are for the device.
            return library.compile(source, arch, [*_OPTIONS, "-default-device"])
        except nvrtc.NvrtcError as error:
            raise CompilerError(str(error)) from error

    return [Compiler(f"NVRTC {library.version}", library.architectures, run)]
