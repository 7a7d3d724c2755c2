"""What a PyTorch module has to give: its result in float64, and how far a right one may be off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import nn

from .reference import Expected

# Relative to the largest element, beside four times what eager PyTorch is off.
_ROUNDING = {"float32": 1e-4, "float16": 1e-2}


def in_float64(module: nn.Module, inputs: Sequence[torch.Tensor]) -> Any:
    """The result with float64 numbers; the module is changed for that, and changed back.

    Whoever has hold of its parts sees them change, so it is not a copy that is converted.
    """
    narrow = inputs[0].dtype
    try:
        module.to(torch.float64)
        with torch.no_grad():
            return module(*(x.double() for x in inputs))
    finally:
        module.to(narrow)


def arrays_of(found: Any) -> list[np.ndarray]:
    """The results of a module, of which there may be one or more."""
    results = found if isinstance(found, (tuple, list)) else [found]
    return [result.detach().numpy() for result in results]


def expected_of(
    near: Sequence[np.ndarray], wanted: Sequence[np.ndarray], dtype: str = "float32"
) -> Expected:
    """``near`` is what eager PyTorch gives in ``dtype``, ``wanted`` what it gives in float64."""
    limits = []
    for eager, exact in zip(near, wanted, strict=True):
        largest = float(np.abs(exact).max(initial=0))
        spread = float(np.nanmax(np.abs(eager.astype("float64") - exact), initial=0))
        limits.append(_ROUNDING[dtype] * largest + 4 * spread)
    return Expected([b.astype(a.dtype) for a, b in zip(near, wanted, strict=True)], limits)
