"""The command ``tvm-deconv``, also as ``python -m tvm_deconv``."""

import sys

from tvm_deconv.startup import without_torch


def main() -> int:
    """Run the command; its exit status."""
    # It reads files, never objects of PyTorch.
    without_torch()
    from tvm_deconv.cli import main

    return main()


if __name__ == "__main__":
    sys.exit(main())
