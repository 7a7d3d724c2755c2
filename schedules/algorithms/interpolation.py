"""Linear interpolation by whole factors (half_pixel), as tensor expressions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .tir import tir


def interpolated(sample: Callable[[Any], Any], j: Any, factor: int) -> Any:
    """Sample j of an axis enlarged by ``factor``: it lies at (j + 1/2)/factor - 1/2 of the axis.

    ``sample`` gives what the axis has at a place, also at one beyond its ends.
    """
    # In units of 1/(2r): the sample before the place, and how far behind it that lies.
    units = j * 2 + (1 - factor)
    before = tir.floordiv(units, 2 * factor)
    share = tir.floormod(units, 2 * factor).astype("float32") * (0.5 / factor)
    first, second = sample(before), sample(before + 1)
    return first + share * (second - first)
