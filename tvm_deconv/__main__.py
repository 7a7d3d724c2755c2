"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import signal
import sys
from typing import Any

from tvm_deconv.startup import collect_seldom, without_torch

# 128 and the number of SIGTERM, as a shell says it.
_TERMINATED = 143


def main() -> int:
    """Run the command; its exit status."""
    # As with Ctrl-C, files that are half written go.
    signal.signal(signal.SIGTERM, _terminated)
    collect_seldom()
    # Of all that it reads, PyTorch has to load its own files only.
    if not any(argument.endswith(".pt2") for argument in sys.argv[1:]):
        without_torch()
    try:
        from tvm_deconv.cli import main
    except KeyboardInterrupt:
        # As ``cli.main`` says it later on.
        print("tvm-deconv: interrupted", file=sys.stderr)
        return 130

    return main()


def _terminated(_number: int, _frame: Any) -> None:
    raise SystemExit(_TERMINATED)


if __name__ == "__main__":
    sys.exit(main())
