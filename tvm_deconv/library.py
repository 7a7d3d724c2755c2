"""From a model to a shared library on disk, for this machine or another."""

from __future__ import annotations

import os

from tvm_deconv.backends.linking import link, linker
from tvm_deconv.compiler import TargetSpec, build, for_threads, pipeline
from tvm_deconv.files import replacing
from tvm_deconv.importer import Model, Shapes
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec
from tvm_deconv.pixels import Pixels
from tvm_deconv.schedules.choice import AUTO


def compile_library(
    model: Model,
    output: str | os.PathLike,
    target: TargetSpec = "host",
    *,
    shapes: Shapes | None = None,
    threads: int | None = None,
    variant: str = AUTO,
    winograd: bool = True,
    log: LogSpec = AUTO_LOG,
    pixels: Pixels | None = None,
) -> None:
    """Compile a model as ``tvm_deconv.compile`` does and write a library that can be loaded.

    A library for a GPU is linked for the target's host, with the device's code inside: machine code
    for CUDA, source for OpenCL. The arguments, then linker, CUDA compiler and output are checked
    before any work; a file that ``output`` already names is only replaced on success.

    Raises what ``tvm_deconv.compile`` raises, TargetError where nothing can link for the target or
    compile CUDA for it, and OutputError where ``output`` cannot be written.
    """
    resolved = for_threads(target, threads)
    passes = pipeline(resolved, variant=variant, winograd=winograd, log=log)
    command = linker(resolved)
    with replacing(output) as unfinished:
        executable = build(model, shapes, resolved, passes, pixels)
        link(executable, unfinished, command, resolved)
