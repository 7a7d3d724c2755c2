"""One way from scheduled functions to a library: check, compile, link, with device code inside."""

from __future__ import annotations

import os
import textwrap
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import tvm
from tvm.support import cc as tvm_cc
from tvm.target import Target

from tvm_deconv.errors import OutputError, TargetError
from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.machine import is_cpu

from .launch import launch_words
from .linker import linker_for
from .lowering import PIPELINE, lean_lowering, target_of
from .packing import Packing
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
    pipeline = PIPELINE if is_cpu(target) else "default"
    with lean_lowering(target):
        mod = tvm.IRModule({"main": func})
        return tvm.compile(mod, target=target_of(func, target), tir_pipeline=pipeline)


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
    weights: Sequence[np.ndarray] = (),
) -> None:
    """Write what ``compiled`` or ``relax.build`` gave as a library that TVM's runtime alone loads.

    ``weights`` are those that the executable calls for (``takes_weights``). The library
    holds machine code for CUDA, whether or not there is a GPU here, and source for OpenCL; and,
    for Linux, threads of its own for its parallel loops (``launch.c``).

    Raises TargetError when the linker fails, with what it said, and for kernels that the CUDA
    compiler rejects, and OutputError where there is no room for all that it holds.
    """
    packing = Packing(command, weights) if takes_weights(target) else None
    with _failure_in_words(command):
        executable.mod.export_library(
            os.fspath(path),
            fcompile=tvm_cc.create_shared,
            fpack_imports=backend_of(target).packer() if packing is None else packing.pack,
            cc=command,
            options=[*_options(target), *([] if packing is None else packing.options)],
        )
    if packing is not None:
        try:
            packing.finish(path)
        except OSError as error:
            raise OutputError(f"cannot write {path}: {error.strerror}") from error


def takes_weights(target: Target) -> bool:
    """Whether ``link`` puts what is no machine code into a library, and weights where kernels
    read them.

    TVM does, or a backend, for devices other than processors and for systems other than Linux.
    """
    return backend_of(target).packer() is None and "linux" in _triple(target)


def link_objects(
    files: Iterable[str | os.PathLike], path: str | os.PathLike, command: str, target: Target
) -> None:
    """Write a library of kernels alone, whose machine code is in ``files``, and their threads.

    Raises TargetError when the linker fails, with what it said.
    """
    names = [os.fspath(file) for file in files]
    with _failure_in_words(command):
        tvm_cc.create_shared(os.fspath(path), names, _options(target), command)


@contextmanager
def _failure_in_words(command: str) -> Iterator[None]:
    """Turn what TVM raises when a linker fails into a TargetError."""
    try:
        yield
    except RuntimeError as error:
        said = str(error).removeprefix("Compilation error:").split("\nCommand line:")[0]
        reason = textwrap.shorten(said, 300, placeholder=" ...") or "it said nothing"
        raise TargetError(f"linking with {command} failed: {reason}") from error


def _options(target: Target) -> list[str]:
    """More words for a compiler that links."""
    triple = _triple(target)
    # Compilers have a checksum of all that is linked put into it, for debuggers: of 270 MB of
    # weights that takes three times as long as everything else that the linker does.
    no_checksum = ["-Wl,--build-id=none"] if "linux" in triple else []
    return [*launch_words(triple), *no_checksum]


def _triple(target: Target) -> str:
    """LLVM's name for the system of the target's processor."""
    processor = backend_of(target).processor(target)
    return str(processor.attrs.get("mtriple") or llvm.default_triple())
