"""``quantize``: a float ONNX network to one of 8 bits, calibrated on pictures."""

from __future__ import annotations

import argparse

import tvm_deconv

from .arguments import Commands, add_command, add_pixels, add_shape, add_tiles, pixel_options


def add_quantize(commands: Commands) -> None:
    """The parser of ``quantize``."""
    summary = (
        "quantize a float ONNX network to 8 bits with ONNX Runtime, calibrated on pictures, and "
        "say its size and quality before and after"
    )
    parser = add_command(commands, "quantize", _quantize, summary)
    parser.add_argument("model", metavar="MODEL", help="ONNX file of floats")
    parser.add_argument(
        "--images",
        required=True,
        metavar="DIR",
        help="folder of pictures like those that the network will be given",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="OUT.onnx", help="ONNX file to write; must be new"
    )
    parser.add_argument(
        "--references",
        metavar="DIR",
        help="folder of the pictures that the network should give, by the same file names, to "
        "measure quality against (default: the results of the float network)",
    )
    add_shape(parser)
    add_pixels(parser, "what the model's metadata says, or else a guess, which is said")
    add_tiles(parser)


def _quantize(options: argparse.Namespace) -> None:
    outcome = tvm_deconv.quantize(
        options.model,
        options.output,
        options.images,
        references=options.references,
        shapes=options.shapes,
        pixels=pixel_options(options),
        tile=options.tile,
        overlap=options.overlap,
    )
    print(outcome)
