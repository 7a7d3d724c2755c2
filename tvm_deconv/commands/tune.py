"""``tune``: measure candidates on a device, for a log that makes the next compilation fast."""

from __future__ import annotations

import argparse
import functools

from tvm_deconv.errors import TuningError

from .arguments import Commands, add_command, add_shape, add_target, positive

_INTERRUPTED = 130
_TRIALS, _TIMEOUT_S = 64, 60


def add_tune(commands: Commands) -> None:
    """The parser of ``tune``."""
    summary = "measure the convolutions of a network on a device, and log the fastest kernels"
    parser = add_command(commands, "tune", _tune, summary)
    parser.epilog = (
        "Exit status: 0, 2 for bad input or a log that does not fit, 3 for a tracker or device "
        "that is not there or gone, 4 for a log that cannot be written, 130 after Ctrl-C. Whatever "
        "was measured is kept, and the same command goes on from there."
    )
    parser.add_argument("model", metavar="MODEL", nargs="?", help="ONNX or TFLite file")
    parser.add_argument(
        "--workloads",
        nargs="+",
        metavar="NAME",
        help="instead of a model: names, patterns, groups and files as bench takes them",
    )
    parser.add_argument(
        "--dtype",
        choices=("float32", "int8"),
        default="float32",
        help="of workloads: as they are, or quantized to 8 bits as bench does it (extra quantize; "
        "default: %(default)s)",
    )
    add_shape(parser)
    add_target(parser)
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--tracker", metavar="HOST:PORT", help="RPC tracker that knows the device")
    where.add_argument(
        "--local", action="store_true", help="measure this machine (default without a tracker)"
    )
    parser.add_argument("--key", help="key that the device registered with at the tracker")
    parser.add_argument(
        "--trials",
        type=positive,
        metavar="N",
        default=_TRIALS,
        help="candidates for each layer, with those of earlier runs (default: %(default)s)",
    )
    parser.add_argument(
        "--all-ops",
        action="store_true",
        help="also tune the network's other functions, by MetaSchedule's own rules",
    )
    parser.add_argument(
        "--logs",
        metavar="DIR",
        help="folder of all tuning logs (default: the user's own, where compile looks first)",
    )
    parser.add_argument(
        "--device",
        metavar="NAME",
        help="name of the device's log (default: processor and threads of the target)",
    )
    parser.add_argument(
        "--timeout",
        type=positive,
        metavar="SECONDS",
        default=_TIMEOUT_S,
        help="end a candidate that takes longer, uploads included (default: %(default)s)",
    )
    parser.add_argument("--seed", type=int, default=0, help="seed of the search (default: 0)")


def _tune(options: argparse.Namespace) -> int:
    from tvm_deconv.tuning.driver import tune

    if (options.model is None) == (options.workloads is None):
        raise TuningError("give a model or --workloads, and not both")
    if options.logs == "none":
        raise TuningError("tune writes a log: give --logs a folder, not none")
    report = tune(
        options.model if options.workloads is None else options.workloads,
        options.target,
        shapes=options.shapes,
        threads=options.threads,
        tracker=options.tracker,
        key=options.key,
        trials=options.trials,
        logs=options.logs,
        device=options.device,
        all_ops=options.all_ops,
        timeout_s=options.timeout,
        seed=options.seed,
        dtype=options.dtype,
        report=functools.partial(print, flush=True),
    )
    print(report)
    return _INTERRUPTED if report.interrupted else 0
