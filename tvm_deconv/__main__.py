"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import contextlib
import os
import sys
from tempfile import gettempdir

from tvm_deconv.interrupts import HungUp, Terminated, held_back, raise_when_terminated
from tvm_deconv.startup import collect_seldom, without_torch

# 128 and the number of the signal, as a shell says it.
_STATUS = {KeyboardInterrupt: 130, Terminated: 143, HungUp: 129}


def main() -> int:
    """Run the command; its exit status."""
    try:
        return _status()
    except KeyboardInterrupt as error:
        # A terminal that was closed takes no more.
        with contextlib.suppress(OSError):
            print("tvm-deconv: interrupted", file=sys.stderr)
        return _STATUS[type(error)]


def _status() -> int:
    # Now, since it tries a file out, which would stay if a signal came between.
    with held_back():
        gettempdir()
        raise_when_terminated()
    # ONNX Runtime would tell its maker of each session, and leave a file.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    collect_seldom()
    # Of all that it reads, PyTorch has to load its own files only.
    if not any(argument.endswith(".pt2") for argument in sys.argv[1:]):
        without_torch()
    from tvm_deconv.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
