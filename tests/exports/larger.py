"""Files of the architectures for ``tvm-deconv bench``, of pictures of a useful size.

    PYTHONPATH=tests python -m exports.larger FOLDER [FACTOR]

Those of the table are small, so that it takes an hour. ``FACTOR`` is how many times as high and
wide, or as long, these are (8 where it is not given).
"""

from __future__ import annotations

import sys
import textwrap
import warnings
from collections.abc import Sequence
from pathlib import Path

import onnx
import torch

from .architectures.table import ARCHITECTURES
from .exporters import EXPORTERS

_EXPORTER = EXPORTERS["ONNX by tracing, opset 17"]


def main(arguments: Sequence[str]) -> int:
    """Write them, and say which PyTorch does not export."""
    warnings.simplefilter("ignore")
    folder, factor = Path(arguments[0]), int(arguments[1]) if len(arguments) > 1 else 8
    folder.mkdir(parents=True, exist_ok=True)
    for name, architecture in ARCHITECTURES.items():
        larger = architecture.larger(factor)
        try:
            model = _EXPORTER(larger.module(), larger.feed(0), None)
        except torch.onnx.errors.OnnxExporterError as error:
            print(f"{name}: not exported: {textwrap.shorten(str(error), 100)}")
            continue
        onnx.save(model, folder / f"{name.replace(' ', '-').replace(',', '')}.onnx")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
