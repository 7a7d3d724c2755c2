"""Scales of a TFLite tensor (``QuantizationParameters`` of the schema).

    real = scale * (stored - zero point)

An activation has one of each. Weights may have one for each place along an axis, and a bias of
int32 has those of a sum: its own scales are not read, since LiteRT does not read them either.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_deconv.errors import ModelError

_INTEGERS = ("int8", "uint8", "int16", "int32", "int64")


@dataclass(frozen=True)
class Quantization:
    """``scales`` (float32 values) and ``zero_points``: one each, or one for each along ``axis``."""

    scales: tuple[float, ...]
    zero_points: tuple[int, ...]
    axis: int = 0

    @property
    def is_single(self) -> bool:
        return len(self.scales) == 1

    def real(self, stored: np.ndarray) -> np.ndarray:
        """What the integers mean, as float32."""
        shape = [1] * stored.ndim
        if not self.is_single:
            shape[self.axis] = -1
        zeros = np.array(self.zero_points, np.int64).reshape(shape if stored.ndim else ())
        scales = np.array(self.scales, np.float32).reshape(shape if stored.ndim else ())
        return np.asarray((stored.astype(np.int64) - zeros).astype(np.float32) * scales)

    def __str__(self) -> str:
        if self.is_single:
            return f"scale {self.scales[0]:.6g} and zero point {self.zero_points[0]}"
        return f"{len(self.scales)} scales along axis {self.axis}"


def read_quantization(
    table: Any, shape: Sequence[int], dtype: str, what: str
) -> Quantization | None:
    """The scales in a ``QuantizationParameters`` table; None where it is none, or has none.

    Raises ModelError for scales that are not positive numbers or do not fit the tensor.
    """
    if table is None or not table.ScaleLength() or dtype not in _INTEGERS:
        return None
    if table.DetailsType():
        raise ModelError(f"{what} has scales of a custom kind, which are not computed with")
    scales = np.asarray(table.ScaleAsNumpy(), np.float32)
    zeros = np.zeros(1, np.int64)
    if table.ZeroPointLength():
        zeros = np.asarray(table.ZeroPointAsNumpy(), np.int64)
    bad = scales[~(np.isfinite(scales) & (scales > 0))]
    if bad.size and dtype in ("int32", "int64"):
        return None  # numbers that are meant as they are, or a bias
    if bad.size:
        raise ModelError(f"{what} has the scale {bad[0]}: scales are positive numbers")
    axis = int(table.QuantizedDimension())
    along = shape[axis] if 0 <= axis < len(shape) else None
    for name, values in (("scales", scales), ("zero points", zeros)):
        if len(values) not in (1, along):
            raise ModelError(f"{what} of shape {list(shape)} has {len(values)} {name}")
    limits = np.iinfo(dtype)
    if zeros.min() < limits.min or zeros.max() > limits.max:
        raise ModelError(f"{what} has a zero point that {dtype} does not hold")
    count = max(len(scales), len(zeros))
    return Quantization(
        tuple(np.broadcast_to(scales, count).tolist()),
        tuple(np.broadcast_to(zeros, count).tolist()),
        axis,
    )
