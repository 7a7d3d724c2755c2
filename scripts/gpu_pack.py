"""Compile the GPU benchmark's kernels into a folder: see `--help` and docs/gpu-benchmark.md."""

from __future__ import annotations

import sys

from tvm_deconv.bench.gpu.pack import main

if __name__ == "__main__":
    sys.exit(main())
