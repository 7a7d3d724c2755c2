"""Tune the upsampling layers of an ONNX file for Relay: see docs/relay.md.

    python scripts/relay_tune.py network.onnx --shape luma=1,1,170,170
    python scripts/relay_tune.py network.onnx --target 'llvm -mtriple=aarch64-linux-gnu ...' \\
        --tracker 192.168.1.10:9190 --key rasp4b

Exit status: 0, 2 for bad input, 3 for a device that is not there, 4 for a log that cannot be
written, 130 after Ctrl-C. The same command goes on from there.
"""

from __future__ import annotations

import argparse
import functools
import sys
from pathlib import Path

import tvm_deconv.relay  # before TVM's own Relay: tvm_deconv/relay/cost_model.py

# isort: split
from relay_models import host, read

from tvm_deconv.commands.arguments import add_shape, positive
from tvm_deconv.errors import TvmDeconvError


def parsed() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=(__doc__ or "").splitlines()[0],
        epilog="\n".join((__doc__ or "").splitlines()[2:]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("model", type=Path, help="ONNX file")
    add_shape(parser)
    parser.add_argument("--target", help="as relay.build takes it (default: this machine)")
    parser.add_argument("--tracker", metavar="HOST:PORT", help="RPC tracker that knows the device")
    parser.add_argument("--key", help="key that the device registered with at the tracker")
    parser.add_argument(
        "--trials",
        type=int,
        default=64,
        help="for each layer, with those of earlier runs (%(default)s)",
    )
    parser.add_argument("--log", type=Path, help="file (default: where relay.build looks first)")
    parser.add_argument(
        "--timeout",
        type=positive,
        default=30,
        metavar="SECONDS",
        help="of a candidate (%(default)s)",
    )
    return parser.parse_args()


def main() -> int:
    options = parsed()
    try:
        mod, _ = tvm_deconv.relay.rewrite_upsampling(read(options.model, options.shapes or {}))
        report = tvm_deconv.relay.tune(
            mod,
            options.target or host(),
            tracker=options.tracker,
            key=options.key,
            trials=options.trials,
            log=options.log,
            timeout_s=options.timeout,
            report=functools.partial(print, flush=True),
        )
    except TvmDeconvError as error:
        print(f"relay_tune: {error}", file=sys.stderr)
        return error.exit_status
    print(report)
    return 130 if report.interrupted else 0


if __name__ == "__main__":
    sys.exit(main())
