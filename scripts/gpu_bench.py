"""Check and time those kernels on an NVIDIA GPU: see `--help` and docs/gpu-benchmark.md."""

from __future__ import annotations

import sys

from tvm_deconv.bench.gpu.run import main

if __name__ == "__main__":
    sys.exit(main())
