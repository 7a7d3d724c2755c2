"""From a model to a shared library on disk, for this machine or another."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import tvm

from tvm_deconv.backends.linking import linker
from tvm_deconv.built import Built
from tvm_deconv.compiler import build, for_threads, pipeline_of
from tvm_deconv.errors import ImageError
from tvm_deconv.files import replacing, temporary_folder
from tvm_deconv.importer import Model, Shapes
from tvm_deconv.logs.find import AUTO as AUTO_LOG
from tvm_deconv.logs.find import LogSpec
from tvm_deconv.metadata import Metadata
from tvm_deconv.options import Options
from tvm_deconv.pictures.guess import Guess
from tvm_deconv.pictures.layout import find_layout
from tvm_deconv.pictures.network import Network
from tvm_deconv.pictures.progress import say
from tvm_deconv.pixels import OF_BYTES, Pixels
from tvm_deconv.schedules.budget import Growth
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.cpu.machine import is_cpu
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import TargetSpec, is_this_machine
from tvm_deconv.threads import use_threads

_LEFT = "is left to be guessed by run, unless it is given (--range, range=)"


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
    max_weight_growth: Growth = AUTO,
    accumulate: str = ACCUMULATE_DTYPE,
    pixels: Pixels | None = None,
    report: Callable[[str], None] = say,
) -> None:
    """Compile a model as ``tvm_deconv.compile`` does and write a library that can be loaded.

    A library for a GPU is linked for the target's host, with the device's code inside: machine code
    for CUDA, source for OpenCL. The arguments, then linker, CUDA compiler and output are checked
    before any work; a file that ``output`` already names is only replaced on success.

    Where neither ``pixels`` nor the model say what range of pixels a network from image to image
    wants, the network is asked (``tvm_deconv.pictures.guess``) if the library is for the processor
    of this machine, and the answer is written into it. ``report``, by default a line on stderr, is
    told of that, or that it is left to ``tvm_deconv.run``.

    Raises what ``tvm_deconv.compile`` raises, TargetError where nothing can link for the target or
    compile CUDA for it, and OutputError where ``output`` cannot be written.
    """
    resolved = for_threads(target, threads)
    options = Options(
        variant=variant,
        winograd=winograd,
        log=log,
        max_weight_growth=max_weight_growth,
        accumulate=accumulate,
    )
    passes = pipeline_of(resolved, options)
    command = linker(resolved)
    with replacing(output) as unfinished, temporary_folder() as folder:
        built = build(model, shapes, resolved, passes, pixels)
        if is_cpu(resolved):
            built = built.with_objects(folder)
        if _lacks_range(built.description):
            if is_this_machine(resolved):
                built = _with_guess(built, folder, command, report)
            else:
                # One for a GPU, too: it cannot be known whether there is one like it here.
                report(f"{output} is not for this processor: the range of its pixels {_LEFT}")
        built.write(unfinished, command)


def _with_guess(built: Built, folder: Path, command: str, report: Callable[[str], None]) -> Built:
    """The same with the range of pixels that it says it wants; its kernels are in ``folder``."""

    def asked() -> Guess:
        use_threads()
        machine = built.machine(folder, command)
        network = Network("the network", built.description, tvm.cpu(), machine)
        return network.guess(built.description.known_pixels)

    try:
        # How many threads TVM uses is each thread's own, and to be left to this one.
        with ThreadPoolExecutor(1) as pool:
            guess = pool.submit(asked).result()
    except ImageError as error:
        report(f"the range of pixels {_LEFT}: {error}")
        return built
    report(str(guess))
    return built.described_by(replace(built.description, guessed_range=guess.range))


def _lacks_range(description: Metadata) -> bool:
    """Whether ``run`` would have to guess the range of this network's pixels."""
    layout = find_layout(description.inputs, description.outputs)
    if isinstance(layout, str) or description.inputs[0].dtype in OF_BYTES:
        return False
    return description.known_pixels.range is None
