"""The command ``tvm-deconv``; its options and what they call are in ``commands``."""

from __future__ import annotations

import argparse
import gc
import os
import re
import sys
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version

from tvm_deconv.commands.bench import add_bench
from tvm_deconv.commands.calibrate import add_calibrate
from tvm_deconv.commands.check import add_check
from tvm_deconv.commands.logs import add_logs
from tvm_deconv.commands.model import add_time_energy_model
from tvm_deconv.commands.network import add_compile, add_explain, add_run
from tvm_deconv.commands.quantize import add_quantize
from tvm_deconv.commands.quiet import quiet
from tvm_deconv.commands.tune import add_tune
from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.files import FULL

_BROKEN_PIPE = 141
# Options whose values may begin with a minus sign.
_SIGNED = ("--range", "--result-range", "--mean", "--scale")
_NO_TVM = (
    "apache-tvm is not installed here, which the commands need: pip install tvm-deconv; with the "
    "Relay of TVM 0.16 to 0.19 there is tvm_deconv.relay for Python"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; the exit status is 0 or an error's, and one line on stderr says why."""
    given = sys.argv[1:] if arguments is None else arguments
    options = _parser().parse_args(joined(given))
    # What follows sees a pipe in its place.
    options.on_terminal = sys.stderr.isatty()
    try:
        with quiet():
            status = _status(options)
        sys.stdout.flush()
        return status
    except BrokenPipeError:
        # Whoever read the output has seen enough.
        _say_no_more()
        return _BROKEN_PIPE
    except OSError as error:
        if error.errno not in FULL:
            raise
        _say_no_more()
        print(f"tvm-deconv: cannot write the output: {error.strerror}", file=sys.stderr)
        return 2


def _say_no_more() -> None:
    """Let nothing be written to standard output at exit either, where it cannot be."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def joined(arguments: Sequence[str]) -> list[str]:
    """``--range -1..1`` as ``--range=-1..1``: argparse takes the value for an option otherwise."""
    result: list[str] = []
    for argument in arguments:
        if result and result[-1] in _SIGNED and re.match(r"-[\d.]", argument):
            result[-1] += f"={argument}"
        else:
            result.append(argument)
    return result


def _status(options: argparse.Namespace) -> int:
    try:
        return options.command(options) or 0
    except TvmDeconvError as error:
        print(f"tvm-deconv: {error}", file=sys.stderr, flush=True)
        status = error.exit_status
    except ImportError as error:
        if not _asks_for_tvm(error):
            raise
        print(f"tvm-deconv: {_NO_TVM}", file=sys.stderr, flush=True)
        status = 2
    # TVM's objects that the error kept alive speak up when they go: here nobody hears them.
    gc.collect()
    return status


def _asks_for_tvm(error: ImportError) -> bool:
    """Whether an import failed since the TVM that commands need is not there, or another one is."""
    if (error.name or "").partition(".")[0] not in ("tvm", "tvm_ffi"):
        return False
    try:
        version("apache-tvm")
    except PackageNotFoundError:
        return True
    return False


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="tvm-deconv",
        description="Rewrite, compile and run upsampling networks with Apache TVM.",
        epilog="Exit status: 0, or 2 for bad input, with one line on stderr that says why. The "
        "help of check and tune list more.",
    )
    parser.add_argument("--version", action="version", version=version("tvm-deconv"))
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for add in (
        add_explain,
        add_compile,
        add_check,
        add_run,
        add_quantize,
        add_tune,
        add_logs,
        add_bench,
        add_time_energy_model,
        add_calibrate,
    ):
        add(commands)
    return parser
