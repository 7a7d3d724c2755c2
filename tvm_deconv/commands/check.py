"""``check``: whether a compiled network computes what the model's own runtime does."""

from __future__ import annotations

import argparse
import json

import tvm_deconv
from tvm_deconv.pictures.progress import say

from .arguments import Commands, add_command, add_model, add_schedule, positive, schedule_options

_DIFFERS = 1


def add_check(commands: Commands) -> None:
    """The parser of ``check``."""
    summary = (
        "compile a network, run random inputs here and on ONNX Runtime, LiteRT or PyTorch, and say "
        "how far the results differ, and from which layer on"
    )
    parser = add_command(commands, "check", _check, summary)
    parser.epilog = "Exit status: 0 if all results are right, 1 if one is not, 2 for bad input."
    add_model(parser)
    add_schedule(parser)
    parser.add_argument(
        "--draws",
        type=positive,
        default=2,
        metavar="N",
        help="random inputs for each set of sizes (default: 2)",
    )
    parser.add_argument(
        "--seed", type=int, default=0, metavar="N", help="of the random inputs (default: 0)"
    )
    parser.add_argument(
        "--no-locate",
        dest="locate",
        action="store_false",
        help="do not look for the layer, which takes some compilations",
    )
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")


def _check(options: argparse.Namespace) -> int:
    report = tvm_deconv.check(
        options.model,
        **schedule_options(options),
        seed=options.seed,
        draws=options.draws,
        locate=options.locate,
        tell=say,
    )
    print(json.dumps(report.as_dict(), indent=2) if options.json else report)
    return 0 if report.is_right else _DIFFERS
