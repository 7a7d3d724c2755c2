"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import sys

from tvm_deconv.startup import without_torch


def main() -> int:
    """Run the command; its exit status."""
    # Of all that it reads, PyTorch has to load its own files only.
    if not any(argument.endswith(".pt2") for argument in sys.argv[1:]):
        without_torch()
    from tvm_deconv.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
