"""Options that several commands share, and the types of their values."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any, TypeAlias

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
    names = ("shapes", "target", "threads", "variant", "winograd", "log")
    return {name: getattr(options, name) for name in names}


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
