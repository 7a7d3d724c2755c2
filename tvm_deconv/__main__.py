"""``python -m tvm_deconv``: the command ``tvm-deconv``."""

import sys

from tvm_deconv.cli import main

sys.exit(main())
