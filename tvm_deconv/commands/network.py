"""``explain``, ``compile`` and ``run``: from a network to an image."""

from __future__ import annotations

import argparse
import time

import tvm_deconv
from tvm_deconv.pictures.progress import say

from .arguments import (
    ALL_PROCESSORS,
    Commands,
    add_command,
    add_model,
    add_pixels,
    add_schedule,
    add_threads,
    add_tiles,
    pixel_options,
    schedule_options,
)


def add_explain(commands: Commands) -> None:
    """The parser of ``explain``."""
    summary = "say which layers are rewritten and what computes each convolution, and why"
    parser = add_command(commands, "explain", _explain, summary)
    add_model(parser)
    add_schedule(parser)


def _explain(options: argparse.Namespace) -> None:
    print(tvm_deconv.explain(options.model, **schedule_options(options)))


def add_compile(commands: Commands) -> None:
    """The parser of ``compile``."""
    parser = add_command(commands, "compile", _compile, "compile a network to a shared library")
    add_model(parser)
    parser.add_argument("-o", "--output", required=True, metavar="OUT.so", help="library to write")
    add_pixels(parser, "what the model's metadata says, or else a guess, which is said")
    add_schedule(parser)


def _compile(options: argparse.Namespace) -> None:
    from tvm_deconv.library import compile_library

    started = time.monotonic()
    compile_library(
        options.model, options.output, pixels=pixel_options(options), **schedule_options(options)
    )
    say(f"compiled {options.output} in {time.monotonic() - started:.1f} s")


def add_run(commands: Commands) -> None:
    """The parser of ``run``."""
    parser = add_command(commands, "run", _run, "run a compiled network on an image")
    parser.add_argument("library", metavar="OUT.so", help="library that compile wrote")
    parser.add_argument("image", metavar="IMAGE", help="image to read, such as a PNG or JPEG")
    parser.add_argument("-o", "--output", required=True, metavar="IMAGE", help="image to write")
    add_pixels(parser, "what the library says, or else a guess, which is said")
    add_tiles(parser)
    add_threads(parser, ALL_PROCESSORS)


def _run(options: argparse.Namespace) -> None:
    tvm_deconv.run(
        options.library,
        options.image,
        options.output,
        threads=options.threads,
        pixels=pixel_options(options),
        tile=options.tile,
        overlap=options.overlap,
        progress=options.on_terminal,
    )
