"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import sys

from tvm_deconv.startup import collect_seldom, without_torch


def main() -> int:
    """Run the command; its exit status."""
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


if __name__ == "__main__":
    sys.exit(main())
