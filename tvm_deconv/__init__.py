"""Upsampling networks as fast transposed convolutions on Apache TVM.

The names below are imported when they are first asked for: the algebra in ``geometry`` and
``weights`` needs no TVM, and ``tvm-deconv --help`` does not wait for it.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tvm_deconv import errors, importer, targets, threads, transform
    from tvm_deconv.algebra import geometry, weights
    from tvm_deconv.checking.checker import check
    from tvm_deconv.compiler import compile, explain, pipeline
    from tvm_deconv.pixels import Pixels
    from tvm_deconv.quantization.quantizer import quantize
    from tvm_deconv.runner import run
    from tvm_deconv.tuning.driver import tune

__all__ = [
    "Pixels",
    "check",
    "compile",
    "errors",
    "explain",
    "geometry",
    "importer",
    "pipeline",
    "quantize",
    "run",
    "targets",
    "threads",
    "transform",
    "tune",
    "weights",
]

_HOME = {
    "check": "checking.checker",
    "compile": "compiler",
    "pipeline": "compiler",
    "explain": "compiler",
    "Pixels": "pixels",
    "quantize": "quantization.quantizer",
    "run": "runner",
    "tune": "tuning.driver",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if name not in _HOME:
        return import_module(f"{__name__}.{name}")
    value = getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value
