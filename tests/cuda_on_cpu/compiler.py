"""CUDA source as TVM writes it, compiled by g++ into a library that ``machine.cpp`` executes."""

from __future__ import annotations

import atexit
import ctypes
import functools
import re
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

_HERE = Path(__file__).parent
_GCC = 12  # _Float16 and initialised variables
_COMMON = ("-std=gnu++17", "-fPIC")
_KERNEL_OPTIONS = (
    "-O0",  # compiling takes longer than running
    "-w",
    "-fno-strict-aliasing",
    # Calls at every access of memory, and for subscripts beyond an array: machine.cpp has them.
    "-fsanitize=thread,bounds",
    "--param=tsan-instrument-func-entry-exit=0",
    # Registers that were not set hold -1.7e38.
    "-ftrivial-auto-var-init=pattern",
)
_KERNEL = re.compile(r'extern "C" __global__ void [^{;]*?(\w+)\(([^)]*)\) \{')
_PARAMETER = re.compile(r"(?:const )?((?:signed )?\w+)(\*?)(?: __restrict__)? (\w+)")
_SHARED = re.compile(r"__shared__ (alignas\(\d+\)) ((\w+) (\w+)\[(\d+)\];)")
_BYTES = {"half": 2, "float": 4, "double": 8, "int": 4, "int64_t": 8}
_BYTES |= {"signed char": 1, "uchar": 1}


def missing() -> str:
    """Why kernels cannot be compiled here, or ''."""
    if shutil.which("g++") is None:
        return "CUDA kernels are executed with g++, which is not installed: apt install g++"
    done = subprocess.run(["g++", "-dumpversion"], capture_output=True, text=True, check=False)
    if int(done.stdout.partition(".")[0]) < _GCC:
        return f"CUDA kernels are executed with g++ {_GCC} or later, this is {done.stdout.strip()}"
    return ""


@dataclass(frozen=True)
class Parameter:
    """Of a kernel: its name, its type of C or that of what it points to, and whether it does."""

    name: str
    dtype: str
    pointer: bool

    @property
    def bytes(self) -> int:
        """Of an element."""
        return _BYTES[self.dtype]


@dataclass(frozen=True)
class Signature:
    """What a kernel takes, and its bytes of shared memory in a block."""

    parameters: tuple[Parameter, ...]
    shared_bytes: int


def signatures(source: str) -> dict[str, Signature]:
    """Of all kernels in CUDA source, by name."""
    found = {}
    kernels = list(_KERNEL.finditer(source))
    ends = [kernel.start() for kernel in kernels[1:]] + [len(source)]
    for kernel, end in zip(kernels, ends, strict=True):
        shared = _SHARED.findall(source[kernel.end() : end])
        parameters = [_PARAMETER.fullmatch(one) for one in kernel[2].split(", ")]
        found[kernel[1]] = Signature(
            tuple(Parameter(one[3], one[1], bool(one[2])) for one in parameters),
            sum(_BYTES[dtype] * int(count) for _, _, dtype, _, count in shared),
        )
    return found


@functools.cache
def library(source: str) -> ctypes.CDLL:
    """CUDA source, compiled once: ``enter_<name>`` for each kernel, and ``machine_launch``."""
    # What stands before the kernels is for the CUDA compiler; cuda.h is in its place.
    text = source[source.index('extern "C" __global__') :]
    text = _KERNEL.sub(lambda kernel: kernel[0] + " BEGIN_KERNEL", text)
    text = _SHARED.sub(r"\1 static \2 SHARED(\4)", text)
    assert "__shared__" not in text, "shared memory that is declared in another way"
    entries = [_entry(name, signature) for name, signature in signatures(source).items()]
    return _compiled("\n".join(['#include "cuda.h"', text, *entries]))


def _entry(name: str, signature: Signature) -> str:
    """A function that calls a kernel with arguments whose addresses it is given."""
    arguments = ", ".join(
        f"*({parameter.dtype}{'*' * parameter.pointer}*)a[{index}]"
        for index, parameter in enumerate(signature.parameters)
    )
    return f'extern "C" UNWATCHED void enter_{name}(void** a) {{ {name}({arguments}); }}'


def _compiled(text: str) -> ctypes.CDLL:
    machine = _machine()
    with tempfile.TemporaryDirectory(dir=machine.parent) as folder:
        source, unit, shared = (Path(folder, f"kernel.{end}") for end in ("cpp", "o", "so"))
        source.write_text(text)
        _gcc("-c", f"-I{_HERE}", *_KERNEL_OPTIONS, source, "-o", unit)
        # Without those options: the calls are to be the machine's, not a sanitizer's.
        _gcc("-shared", "-Wl,-Bsymbolic", unit, machine, "-o", shared)
        return ctypes.CDLL(str(shared))


@functools.cache
def _machine() -> Path:
    """``machine.cpp``, compiled, in a folder that ends with the process."""
    folder = tempfile.mkdtemp(prefix="cuda-on-cpu-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    unit = Path(folder, "machine.o")
    _gcc("-c", "-O2", "-Wall", "-Werror", _HERE / "machine.cpp", "-o", unit)
    return unit


def _gcc(*options: str | Path) -> None:
    command = ["g++", *_COMMON, *map(str, options)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{' '.join(command)}\n{done.stderr[:4000]}"
