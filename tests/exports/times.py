"""How long compiling for free sizes takes, in terms of compiling for fixed ones.

    PYTHONPATH=tests python -m exports.times [ARCHITECTURE ...]

The pictures of the table are small, so that it takes an hour; for a layer of 12 x 16 the shortest
kernels are chosen, which compile fastest. So each architecture is compiled for a picture 8 times as
high and wide as well.
"""

from __future__ import annotations

import statistics
import sys
import time
import warnings
from collections.abc import Sequence

import torch

import tvm_deconv

from .architectures import Architecture
from .architectures.table import ARCHITECTURES
from .exporters import EXPORTERS

_EXPORTER = EXPORTERS["ONNX by tracing, opset 17"]
_LARGER = 8
# The first compilation of a process starts what later ones find started.
_REPEATED = 2


def main(names: Sequence[str]) -> int:
    """Print a table in Markdown; the figures are seconds of processor time."""
    warnings.simplefilter("ignore")
    print(
        f"| architecture | fixed | fixed, {_LARGER} x | free | free / fixed | free / {_LARGER} x |"
    )
    print("|---|---|---|---|---|---|")
    ratios = []
    for name in names or ARCHITECTURES:
        architecture = ARCHITECTURES[name]
        if not architecture.free():
            continue
        try:
            small = _seconds(architecture, free=False)
            large = _seconds(architecture.larger(_LARGER), free=False)
            free = _seconds(architecture, free=True)
        except torch.onnx.errors.OnnxExporterError:
            continue
        ratios.append((free / small, free / large))
        cells = f"{small:.2f} | {large:.2f} | {free:.2f} | {free / small:.1f} | {free / large:.1f}"
        print(f"| {name} | {cells} |", flush=True)
    to_small, to_large = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"| median of {len(ratios)} | | | | {to_small:.1f} | {to_large:.1f} |")
    return 0


def _seconds(architecture: Architecture, free: bool) -> float:
    feed = architecture.feed(1 if free else 0)
    model = _EXPORTER(architecture.module(), feed, architecture.free() if free else None)
    taken = []
    for _ in range(_REPEATED):
        begun = time.process_time()
        tvm_deconv.compile(model)
        taken.append(time.process_time() - begun)
    return min(taken)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
