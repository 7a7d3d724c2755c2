"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import fields
from typing import Any, TypeAlias

from tvm_deconv.pixels import RANGES, Pixels
from tvm_deconv.schedules.budget import Growth, budget_of
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, HALF

Commands: TypeAlias = "argparse._SubParsersAction[argparse.ArgumentParser]"

ALL_PROCESSORS = "threads to use (default: all processors that this process may run on)"


def add_command(
    commands: Commands,
    name: str,
    command: Callable[[argparse.Namespace], int | None],
    summary: str,
) -> argparse.ArgumentParser:
    """A parser whose options ``command`` takes; what it returns is the exit status, None for 0."""
    parser = commands.add_parser(
        name, help=summary, description=f"{summary[0].upper()}{summary[1:]}."
    )
    parser.set_defaults(command=command)
    return parser


def add_model(parser: argparse.ArgumentParser) -> None:
    """``MODEL`` and ``--shape``."""
    parser.add_argument(
        "model", metavar="MODEL", help="ONNX or TFLite file, or a .pt2 file of torch.export.save"
    )
    add_shape(parser)


def add_shape(parser: argparse.ArgumentParser) -> None:
    """``--shape``."""
    parser.add_argument(
        "--shape",
        dest="shapes",
        action=_AddShape,
        type=_shape,
        metavar="INPUT=1,3,64,64",
        help="fix the shape of an input whose dimensions are free; may be repeated",
    )


def add_target(parser: argparse.ArgumentParser) -> None:
    """``--target`` and ``--threads`` to schedule for."""
    parser.add_argument(
        "--target",
        default="host",
        help="host (default), a TVM tag such as raspberry-pi/4b-aarch64, or a JSON target",
    )
    add_threads(parser, "threads to schedule for (default: all processors of the target)")


def add_schedule(parser: argparse.ArgumentParser) -> None:
    """What decides how each convolution is computed."""
    add_target(parser)
    parser.add_argument(
        "--variant",
        default="auto",
        metavar="NAME",
        help="algorithm for every convolution that it can compute; auto (default) takes the one "
        "that is expected to be the fastest; a name that is not known lists all",
    )
    parser.add_argument(
        "--no-winograd",
        dest="winograd",
        action="store_false",
        help="never use Winograd's algorithm, which is fast but rounds more",
    )
    parser.add_argument(
        "--max-weight-growth",
        type=_growth,
        default=AUTO,
        metavar="X",
        help="times the weights of the model's convolutions that those of their kernels may be, "
        "all together; none for no limit; auto (default) is 4.1, where they take more than 32 MiB",
    )
    parser.add_argument(
        "--accumulate",
        choices=(ACCUMULATE_DTYPE, HALF),
        default=ACCUMULATE_DTYPE,
        help="what sums may be of: float16 is up to twice as fast on ARMv8.2, Mali and Adreno, and "
        "less exact (default: float32)",
    )
    parser.add_argument(
        "--logs",
        dest="log",
        type=_logs,
        default="auto",
        metavar="DIR",
        help="folder of tuning logs, or of one device's, to look in; none for none (default: "
        "$TVM_DECONV_LOGS or else the user's own, then those that come with the package)",
    )


def schedule_options(options: argparse.Namespace) -> dict[str, Any]:
    """The values of ``add_model`` and ``add_schedule`` by the names of the library's arguments."""
    of_library = ("shapes", "target", "threads", "variant", "winograd", "log")
    names = (*of_library, "max_weight_growth", "accumulate")
    return {name: getattr(options, name) for name in names}


def add_pixels(parser: argparse.ArgumentParser, otherwise: str) -> None:
    """What numbers a network takes for pixels; ``otherwise`` says what holds without."""
    parser.add_argument(
        "--range",
        choices=RANGES,
        help=f"black and white as the network wants them (default: {otherwise})",
    )
    for name, words in (("mean", "subtracted"), ("scale", "divided by")):
        parser.add_argument(
            f"--{name}",
            type=_numbers,
            metavar="A[,B,C]",
            help=f"{words} before the network, and undone after it: one number, or one for each "
            "channel in the network's order, in units of the range (default: none)",
        )
    parser.add_argument(
        "--bgr",
        action=argparse.BooleanOptionalAction,
        help="the network's channels are blue, green, red, not red, green, blue",
    )
    parser.add_argument(
        "--result-range",
        choices=RANGES,
        help="black and white of the result, where neither mean nor scale is to be undone "
        "(default: the result is as the input)",
    )


def pixel_options(options: argparse.Namespace) -> Pixels:
    """The values of ``add_pixels``."""
    return Pixels(**{field.name: getattr(options, field.name) for field in fields(Pixels)})


def add_tiles(parser: argparse.ArgumentParser) -> None:
    """``--tile`` and ``--overlap``."""
    parser.add_argument(
        "--tile",
        type=positive,
        metavar="N",
        help="pixels a side that a network of free sizes computes at once, at most (default: what "
        "takes about 1 GB)",
    )
    parser.add_argument(
        "--overlap",
        type=natural,
        metavar="N",
        help="pixels by which tiles overlap on each side, for a network that takes the whole "
        "picture together, where the tiles will show (default: what the network needs)",
    )


def add_threads(parser: argparse.ArgumentParser, summary: str) -> None:
    """``--threads``."""
    parser.add_argument("--threads", type=positive, metavar="N", help=summary)


class _AddShape(argparse.Action):
    """Collects the values of a repeated --shape in one mapping."""

    def __call__(self, parser, namespace, values, option_string=None):
        shapes = getattr(namespace, self.dest) or {}
        setattr(namespace, self.dest, {**shapes, **values})


def _shape(text: str) -> dict[str, tuple[int, ...]]:
    name, _, sizes = text.rpartition("=")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form INPUT=1,3,64,64")
    return {name: tuple(positive(size) for size in sizes.split(","))}


def _numbers(text: str) -> tuple[float, ...]:
    try:
        return tuple(map(float, text.split(",")))
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 0.5 or 1,2,3") from error


def _growth(text: str) -> Growth:
    try:
        growth = None if text == "none" else text if text == AUTO else float(text)
        budget_of(growth)
    except ValueError as error:
        words = f"{text!r} is not a number of at least 1, none or {AUTO}"
        raise argparse.ArgumentTypeError(words) from error
    return growth


def _logs(text: str) -> str | None:
    return None if text == "none" else text


def names(text: str) -> tuple[str, ...]:
    """``a,b,c``, or ``none``."""
    return () if text == "none" else tuple(text.split(","))


def positive(text: str) -> int:
    """A positive integer."""
    if not text.isascii() or not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive integer")
    return int(text)


def natural(text: str) -> int:
    """An integer that is not negative."""
    if not text.isascii() or not text.isdigit():
        raise argparse.ArgumentTypeError(f"{text!r} is not a natural number")
    return int(text)
