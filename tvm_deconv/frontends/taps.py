"""Which input samples an output sample of a resampled axis is made of, and their weights.

    out[i] = sum over taps t of weight_t(i) * x[index_t(i)]

A *coordinate* maps an output index to a place in the input, in samples; a *kernel* turns the place
into taps. Both are written once, in the arithmetic that they are handed: NumPy evaluates them to
tables where sizes are fixed, TensorIR makes formulas of them where sizes are free. Arithmetic is
in float32, as in ONNX Runtime and PyTorch, so that places on a tie fall to the same side.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil
from typing import Any, Protocol, TypeAlias

import numpy as np

# Places so near to the middle of two samples are on it: ONNX Runtime 1.32 takes them so.
_TIE = 1e-6
ROUNDINGS = ("floor", "ceil", "round_prefer_floor", "round_prefer_ceil")


class Numbers(Protocol):
    """The arithmetic beside ``+ - * / < >``: of float32, or float64 for data of that type."""

    def floor(self, x: Any) -> Any: ...
    def ceil(self, x: Any) -> Any: ...
    def least(self, x: Any, y: Any) -> Any: ...
    def largest(self, x: Any, y: Any) -> Any: ...
    def equal(self, x: Any, y: Any) -> Any: ...
    def either(self, a: Any, b: Any) -> Any: ...
    def where(self, condition: Any, x: Any, y: Any) -> Any: ...
    def double(self, x: Any) -> Any:
        """``x`` as float64, for formulas that are rounded only at their end, by ``single``."""

    def single(self, x: Any) -> Any:
        """``x`` in the type of this arithmetic."""


# (arithmetic, output index, input size, output size) -> place in the input, from 0 to size - 1
# for the centres of the samples; all three are numbers of the arithmetic. It may lie outside.
# ``Resampled.also`` comes behind them.
Coordinate: TypeAlias = Callable[..., Any]


@dataclass(frozen=True)
class NumPy:
    """Arithmetic on arrays of one axis, or of one element."""

    dtype: str

    def floor(self, x: Any) -> Any:
        return np.floor(x)

    def ceil(self, x: Any) -> Any:
        return np.ceil(x)

    def least(self, x: Any, y: Any) -> Any:
        return np.minimum(x, y)

    def largest(self, x: Any, y: Any) -> Any:
        return np.maximum(x, y)

    def equal(self, x: Any, y: Any) -> Any:
        return np.equal(x, y)

    def either(self, a: Any, b: Any) -> Any:
        return np.logical_or(a, b)

    def where(self, condition: Any, x: Any, y: Any) -> Any:
        return np.where(condition, x, y).astype(self.dtype)

    def double(self, x: Any) -> Any:
        return np.asarray(x, np.float64)

    def single(self, x: Any) -> Any:
        return np.asarray(x, self.dtype)


class Kernel(Protocol):
    """From places to taps."""

    @property
    def name(self) -> str:
        """What it is called in a report."""

    @property
    def count(self) -> int:
        """How many taps there are, some of them perhaps with a weight of 0."""

    @property
    def normalised(self) -> bool:
        """Whether the weights still have to be divided by their sum over all taps."""

    def tap(self, ops: Numbers, place: Any, size: Any, t: Any) -> tuple[Any, Any]:
        """(index, weight) of tap ``t``: the index is a whole number in [0, size - 1], the weight
        None for 1; both in the arithmetic's type, like ``t``."""


@dataclass(frozen=True)
class Nearest:
    """The sample that the place is rounded to; ``rounding`` is one of ``ROUNDINGS``."""

    rounding: str
    name: str = "nearest"
    count: int = 1
    normalised: bool = False

    def tap(self, ops: Numbers, place: Any, size: Any, t: Any) -> tuple[Any, Any]:
        return _inside(ops, self._round(ops, place), size), None

    def _round(self, ops: Numbers, place: Any) -> Any:
        whole = ops.floor(place)
        if self.rounding == "floor":
            return whole
        if self.rounding == "ceil":
            return ops.ceil(place)
        past = place - whole - 0.5
        up = past >= _TIE if self.rounding == "round_prefer_floor" else past > -_TIE
        return whole + ops.where(up, 1.0, 0.0)


@dataclass(frozen=True)
class Windowed:
    """A weight for each sample by its distance from the place.

    ``a`` None is the linear kernel, 1 - d up to a distance of 1. Otherwise it is Keys' cubic
    convolution, up to a distance of 2, with the parameter ``a`` (R. Keys, "Cubic convolution
    interpolation for digital image processing", 1981, section III: a = -1/2; ONNX and PyTorch take
    -3/4). With ``step``, the number of input samples from one output sample to the next, the kernel
    is stretched by it where it exceeds 1 (antialiasing as in Pillow, ONNX Runtime and PyTorch).
    Beyond the input the outermost sample goes on; with ``exclude_outside`` there is nothing, and
    the other weights add up to 1.
    """

    name: str
    a: float | None = None
    step: float | None = None
    exclude_outside: bool = False

    @property
    def count(self) -> int:
        return 2 * ceil(self._reach) + (self.step is not None)

    @property
    def normalised(self) -> bool:
        return self.exclude_outside or self.step is not None

    @property
    def _stretch(self) -> np.float32:
        return np.maximum(np.float32(self.step or 1), np.float32(1))

    @property
    def _reach(self) -> np.float32:
        """Samples to each side that may have a weight."""
        return np.float32(1 if self.a is None else 2) * self._stretch

    def tap(self, ops: Numbers, place: Any, size: Any, t: Any) -> tuple[Any, Any]:
        if self.step is None:
            first = ops.floor(place) - float(self._reach - 1)
            sample = first + t
            weight = self._weight(ops, _distance(ops, sample, place))
        else:
            centre = place + 0.5
            sample = ops.floor(centre - float(self._reach) + 0.5) + t
            end = ops.floor(centre + float(self._reach) + 0.5)
            shrink = float(np.float32(1) / self._stretch)
            weight = self._weight(ops, _distance(ops, sample + 0.5, centre) * shrink)
            weight = ops.where(sample < end, weight, 0.0)
        index = _inside(ops, sample, size)
        if self.exclude_outside:
            weight = ops.where(ops.equal(index, sample), weight, 0.0)
        return index, weight

    def _weight(self, ops: Numbers, d: Any) -> Any:
        if self.a is None:
            return ops.largest(1.0 - d, 0.0)
        a = self.a
        near = ((a + 2.0) * d - (a + 3.0)) * d * d + 1.0
        far = ((a * d - 5.0 * a) * d + 8.0 * a) * d - 4.0 * a
        return ops.where(d < 1.0, near, ops.where(d < 2.0, far, 0.0))


def linear(step: float | None = None, exclude_outside: bool = False) -> Windowed:
    """Linear interpolation; with ``step`` antialiased, see ``Windowed``."""
    return Windowed(_name("linear", step), None, step, exclude_outside)


def cubic(a: float = -0.75, step: float | None = None, exclude_outside: bool = False) -> Windowed:
    """Cubic interpolation with Keys' parameter ``a``; with ``step`` antialiased."""
    return Windowed(_name("cubic", step), a, step, exclude_outside)


def _name(name: str, step: float | None) -> str:
    return name if step is None else f"antialiased {name}"


def _distance(ops: Numbers, x: Any, y: Any) -> Any:
    return ops.largest(x - y, y - x)


def _inside(ops: Numbers, index: Any, size: Any) -> Any:
    return ops.largest(ops.least(index, size - 1.0), 0.0)
