"""One way from scheduled functions to a library: check, compile, link, with device code inside."""

from __future__ import annotations

import os
import textwrap
from typing import Any

import tvm
from tvm.support import cc as tvm_cc
from tvm.target import Target

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules import llvm

from .backend import Packer
from .launch import launch_words
from .linker import linker_for
from .lowering import lean_for, lean_lowering
from .packing import pack
from .registry import backend_of


def compiled(func: tvm.tirx.PrimFunc, target: Target) -> Any:
    """A library's worth of one scheduled function, its entry ``main``: what ``link`` takes.

    It is lowered as in a network: what is measured of a kernel is what ``compile`` makes of it.

    Raises TargetError for kernels that a GPU would not start, before they are compiled.
    """
    backend = backend_of(target)
    reason = backend.refusal(func, target)
    if reason is not None:
        raise TargetError(f"the kernel does not fit the device: it takes {reason}")
    backend.register_compiler()
    with lean_lowering(target), lean_for([func]):
        return tvm.compile(tvm.IRModule({"main": func}), target=target)


def linker(target: Target) -> str:
    """The command that links a library for a target, for ``link``.

    Raises TargetError where there is none, naming the package that holds it, and where nothing here
    makes the device code that the library has to hold.
    """
    backend = backend_of(target)
    command = linker_for(backend.processor(target))
    backend.check_compiler(target)
    return command


def link(
    executable: Any,
    path: str | os.PathLike,
    command: str,
    target: Target,
) -> None:
    """Write what ``compiled`` or ``relax.build`` gave as a library that TVM's runtime alone loads.

    It holds machine code for CUDA, whether or not there is a GPU here, and source for OpenCL; and,
    for Linux, threads of its own for its parallel loops (``launch.c``).

    Raises TargetError when the linker fails, with what it said, and for kernels that the CUDA
    compiler rejects.
    """
    try:
        executable.mod.export_library(
            os.fspath(path),
            fcompile=tvm_cc.create_shared,
            fpack_imports=_packer(target),
            cc=command,
            options=launch_words(_triple(target)),
        )
    except RuntimeError as error:
        said = str(error).removeprefix("Compilation error:").split("\nCommand line:")[0]
        reason = textwrap.shorten(said, 300, placeholder=" ...") or "it said nothing"
        raise TargetError(f"linking with {command} failed: {reason}") from error


def _packer(target: Target) -> Packer | None:
    """What packs what is no machine code of a processor; None for TVM itself."""
    return backend_of(target).packer() or (pack if "linux" in _triple(target) else None)


def _triple(target: Target) -> str:
    """LLVM's name for the system of the target's processor."""
    processor = backend_of(target).processor(target)
    return str(processor.attrs.get("mtriple") or llvm.default_triple())
