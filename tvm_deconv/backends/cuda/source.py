"""CUDA source to machine code, and what a kernel takes of a GPU; no GPU or driver is needed for it.

Who compiles for an architecture, of those that know it the one of the oldest CUDA, because a
driver loads what an older CUDA has compiled, but not what a later major version has:

- the CUDA toolkit whose nvcc is found (on the ``PATH``, in ``CUDA_HOME`` or ``/usr/local/cuda``),
  if the g++ that it needs is there;
- NVRTC 12 of ``pip install 'tvm-deconv[cuda12]'``: sm_50 to sm_121. CUDA 13 begins with sm_75 and
  so without Jetson Nano, TX1, TX2 and Xavier;
- nobody: TargetError says what was found and what to install.

``register`` hands this to TVM, which by itself compiles only with Python packages of CUDA 13, and
for the first GPU of this machine.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass

import tvm_ffi
from tvm.support import nvcc as stock
from tvm.target import Target

from tvm_deconv.errors import TargetError

from . import nvrtc
from .architectures import base, check_architecture
from .compilers import Compiler, CompilerError, compilers, lacks_host_compiler

_PIP = "pip install 'tvm-deconv[cuda12]'"
# The first line of source that TVM generates for us: who compiles it needs to know.
_MARK = "// compile for "


@dataclass(frozen=True)
class Resources:
    """What a kernel takes: registers of 32 bits and bytes of a thread, shared bytes of a block.

    ``spill_bytes`` counts what a thread stores and loads of registers that it has too few of, by
    instructions in the code; ``stack_bytes`` is the memory for that and for arrays whose index is
    not constant. Both are 0 in a good kernel. Shared memory of a size that is only known at launch
    is not counted.
    """

    registers: int
    spill_bytes: int
    stack_bytes: int
    shared_bytes: int


def compile_source(source: str, arch: str) -> bytes:
    """CUDA C++ as a cubin for ``arch``, such as ``sm_87``.

    Raises TargetError for an architecture that does not exist or that nobody here compiles for, and
    for kernels that are rejected, because they take too much shared memory for example.
    """
    return _compiled(source, arch, compiler_for(arch))[0]


def resources(source: str, arch: str, compiler: Compiler | None = None) -> dict[str, Resources]:
    """What each kernel of CUDA source takes on ``arch``, by name.

    ``compiler`` is one of ``compilers``, by default that which compiles for ``arch``. Raises what
    ``compile_source`` does.
    """
    return parse_resources(_compiled(source, arch, compiler or compiler_for(arch))[1])


def compiler_for(arch: str) -> Compiler:
    """The first of ``compilers`` that knows the architecture. Raises TargetError if none does."""
    check_architecture(arch)
    found = compilers()
    for compiler in found:
        if base(arch) in compiler.architectures:
            return compiler
    known = [
        f"{each.name} for {each.architectures[0]} to {each.architectures[-1]}" for each in found
    ]
    if lacks_host_compiler():
        known.append("nvcc without the g++ that it needs")
    advice = "install a newer CUDA toolkit" if nvrtc.installed() else _PIP
    raise TargetError(
        f"nothing here compiles CUDA for {arch} (found: {', '.join(known) or 'none'}): {advice}"
    )


def register() -> None:
    """Let TVM compile for the architecture of its target, by ``compile_source``.

    TVM compiles while it builds only where it finds a CUDA driver. Elsewhere it keeps the source,
    and whoever packs a library of it compiles: ``tvm_deconv.backends.cuda.packing``.
    """
    # So that it leaves TVM's C++ as what it is.
    tvm_ffi.register_error("TargetError", TargetError)
    tvm_ffi.register_global_func("tvm_callback_cuda_postproc", _mark, override=True)
    tvm_ffi.register_global_func("tvm_callback_cuda_compile", _compile_for_tvm, override=True)


def _mark(source: str, target: Target) -> str:
    arch = str(target.attrs["arch"])
    check_architecture(arch)
    return f"{_MARK}{arch}\n{source}"


def _compile_for_tvm(source: str) -> bytes:
    return compile_source(source, marked_architecture(source))


def marked_architecture(source: str) -> str:
    """What TVM generated source for: its first line says, else the current target.

    Raises TargetError where neither does.
    """
    marked = re.match(rf"{_MARK}(\w+)\n", source)
    if marked:
        return marked[1]
    try:
        version = stock.get_target_compute_version(Target.current(allow_none=True))
    except ValueError as error:
        raise TargetError("CUDA source for no architecture: give the target an arch") from error
    return "sm_" + version.replace(".", "")


@functools.lru_cache(maxsize=16)
def _compiled(source: str, arch: str, compiler: Compiler) -> tuple[bytes, str]:
    try:
        return compiler.run(source, arch)
    except CompilerError as error:
        lines = [line.strip() for line in str(error).splitlines() if line.strip()]
        reason = next((line for line in lines if re.search("error|fatal", line)), lines[-1])
        raise TargetError(f"{compiler.name} rejects a kernel for {arch}: {reason}") from error


def parse_resources(log: str) -> dict[str, Resources]:
    """The resources that ptxas states in ``log`` for each kernel."""
    found = {}
    for part in log.split("Compiling entry function '")[1:]:
        name = part.partition("'")[0]
        about = part.partition(f"Function properties for {name}\n")[2]

        def number(pattern: str, text: str = about) -> int:
            match = re.search(pattern, text)
            return int(match[1]) if match else 0

        found[name] = Resources(
            registers=number(r"Used (\d+) registers"),
            spill_bytes=number(r"(\d+) bytes spill stores") + number(r"(\d+) bytes spill loads"),
            stack_bytes=number(r"(\d+) bytes stack frame"),
            shared_bytes=number(r"(\d+) bytes smem"),
        )
    return found
