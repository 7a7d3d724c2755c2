"""``calibrate``: measure a device for the time and energy model."""

from __future__ import annotations

import argparse
import functools

from .arguments import Commands, add_command, add_target, positive


def add_calibrate(commands: Commands) -> None:
    """The parser of ``calibrate``."""
    summary = "measure peak and bandwidths of a device for the time and energy model"
    parser = add_command(commands, "calibrate", _calibrate, summary)
    parser.epilog = (
        "Exit status: 0, 2 for bad input, 3 for a tracker or device that is not there or gone, "
        "130 after Ctrl-C."
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="DEVICE.json", help="device file to write"
    )
    add_target(parser)
    parser.add_argument("--tracker", metavar="HOST:PORT", help="RPC tracker that knows the device")
    parser.add_argument("--key", help="key that the device registered with at the tracker")
    parser.add_argument(
        "--power",
        type=float,
        nargs="+",
        default=(),
        metavar="WATTS",
        help="readings of a power meter: idle, multiply-adds and memory; or one under load",
    )
    parser.add_argument(
        "--hold",
        type=positive,
        default=0,
        metavar="SECONDS",
        help="keep either load running for so long, to read the meter",
    )
    parser.add_argument(
        "--name", help="name of the device (default: processor and threads of the target)"
    )


def _calibrate(options: argparse.Namespace) -> None:
    from tvm_deconv.files import replacing
    from tvm_deconv.model.calibrate import calibrate

    # Not after minutes: a folder that cannot be written to is refused at once.
    with replacing(options.output) as unfinished:
        device = calibrate(
            options.target,
            threads=options.threads,
            tracker=options.tracker,
            key=options.key,
            power=options.power,
            hold_s=options.hold,
            name=options.name,
            report=functools.partial(print, flush=True),
        )
        device.write(unfinished)
    print(f"wrote {options.output}")
