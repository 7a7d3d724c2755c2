"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import sys
from tempfile import gettempdir

from tvm_deconv.interrupts import Terminated, raise_when_terminated
from tvm_deconv.startup import collect_seldom, without_torch

# 128 and the number of the signal, as a shell says it.
_INTERRUPTED, _TERMINATED = 130, 143


def main() -> int:
    """Run the command; its exit status."""
    try:
        return _status()
    except KeyboardInterrupt as error:
        print("tvm-deconv: interrupted", file=sys.stderr)
        return _TERMINATED if isinstance(error, Terminated) else _INTERRUPTED


def _status() -> int:
    # Now, since it tries a file out, which would stay if a signal came between.
    gettempdir()
    raise_when_terminated()
    collect_seldom()
    # Of all that it reads, PyTorch has to load its own files only.
    if not any(argument.endswith(".pt2") for argument in sys.argv[1:]):
        without_torch()
    from tvm_deconv.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
