"""One resampled axis: its tables, and what kind of resize its map is found to be.

Whether a map copies, repeats or interpolates is found by evaluating it, at the axis's own size or,
where that is free, at many.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from tvm import sym, tirx

from tvm_deconv.algebra.axis_map import LARGEST_FACTOR
from tvm_deconv.algebra.bilinear import interpolates
from tvm_deconv.errors import ModelError
from tvm_deconv.schedules.tir import edit
from tvm_deconv.size_errors import readable

from .taps import Coordinate, Kernel, Nearest, NumPy, Windowed

# Past this float32 skips whole numbers, so that no coordinate in it is right.
LARGEST_SIZE = 2**24

# Input sizes at which the map of an axis of free size is evaluated. A map that is right at all of
# them depends on the size by its ratio alone.
_JUDGED_SIZES = (*range(1, 41), 127, 128, 1000, 4095, 4096, 10007)


@dataclass(frozen=True)
class Resampled:
    """One axis of the result.

    ``axis`` counts from 0; ``size`` is the result's, an int or an integer expression of the sizes
    of x. Places outside the input get the fill value where ``fills`` is set; otherwise the kernel
    says what is there. ``also`` are further sizes that ``coordinate`` of a free axis is given last,
    such as the one that a scale was divided from, where rounding the scale may have made another.
    """

    axis: int
    size: Any
    coordinate: Coordinate
    kernel: Kernel
    fills: bool = False
    also: tuple[Any, ...] = ()


def whole_factor(axis: Resampled, size: Any) -> int | None:
    """r where the axis is nearest xr, output i copying input i div r; else None.

    ``size`` is the input's, an int or an expression.
    """
    factor = whole_ratio(size, axis.size)
    if not isinstance(axis.kernel, Nearest) or axis.fills or factor is None:
        return None
    for n in _sizes(size, factor):
        indices, _ = tables(axis, n, n * factor, "float32")
        if (indices[0] != np.arange(n * factor) // factor).any():
            return None
    return factor


def linear_factor(axis: Resampled, size: Any, dtype: str) -> int | None:
    """r where the axis is a linear resize (half_pixel) by r; else None."""
    factor = whole_ratio(size, axis.size)
    if isinstance(axis.kernel, Nearest) or axis.fills or factor is None:
        return None
    for n in _sizes(size, factor):
        indices, weights = tables(axis, n, n * factor, arithmetic_of(axis.kernel, dtype))
        if not interpolates(indices, weights, n):
            return None
    return factor


def repeats(axis: Resampled, size: Any) -> int | None:
    """r where output i copies input i div r, of fixed sizes, even if the last has fewer copies."""
    if not isinstance(axis.kernel, Nearest) or axis.fills or not is_fixed(axis, size):
        return None
    factor = -(-axis.size // size)
    indices, _ = tables(axis, size, axis.size, "float32")
    copied = np.arange(axis.size) // factor
    return factor if copied[-1] == size - 1 and (indices[0] == copied).all() else None


def why_not_folded(axis: Resampled, size: Any) -> str:
    """What keeps a resampling from being folded into the convolution behind it, for a report."""
    if isinstance(axis.kernel, Nearest):
        return "no nearest resize by whole factors"
    where = f"axis {axis.axis}"
    if whole_ratio(size, axis.size) is None:
        sizes = f"from {readable(size)} to {readable(axis.size)} samples"
        # A formula in floating point is nobody's words.
        sizes = f"{readable(size)} samples" if "Cast" in sizes else sizes
        return f"{sizes} along {where}, by no whole factor"
    if isinstance(axis.kernel, Windowed) and axis.kernel.a is not None:
        return f"whose weights along {where} are not those of linear interpolation"
    return f"which does not lie at (i + 1/2)/r - 1/2 along {where}"


def tables(
    axis: Resampled, size: int, target: int, dtype: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Indices (int32) and weights (``dtype``) of every output sample, both [tap, target].

    The weights are None where all are 1.
    """
    place, ops = place_of(axis, size, target, dtype)
    n = np.full(1, size, dtype)
    kernel = axis.kernel
    taps = [kernel.tap(ops, place, n, np.full(1, t, dtype)) for t in range(kernel.count)]
    indices = np.stack([np.broadcast_to(index, target) for index, _ in taps]).astype(np.int32)
    if taps[0][1] is None:
        return indices, None
    weights = np.stack([np.broadcast_to(weight, target) for _, weight in taps])
    if kernel.normalised:
        weights = weights / _divisor(weights.sum(0, keepdims=True))
    return indices, weights.astype(dtype)


def place_of(axis: Resampled, size: int, target: int, dtype: str) -> tuple[Any, NumPy]:
    """The places of all samples of the axis, and the arithmetic that they are in."""
    ops = NumPy(dtype)
    n, m = (np.full(1, value, dtype) for value in (size, target))
    return axis.coordinate(ops, np.arange(target, dtype=dtype), n, m), ops


def _divisor(total: np.ndarray) -> np.ndarray:
    """Sums of weights to divide by: 1 where all are 0, so far outside that nothing is reached."""
    return np.where(total == 0, total.dtype.type(1), total)


def check_axis(axis: Resampled, size: Any, dtype: str) -> None:
    """Raise ModelError for sizes that cannot be, and for interpolating integers."""
    for value in (size, axis.size):
        if isinstance(value, int) and not 0 < value <= LARGEST_SIZE:
            raise ModelError(
                f"an axis of {size} samples cannot be resampled to {axis.size}: sizes are from 1 "
                f"to {LARGEST_SIZE}"
            )
    if not isinstance(axis.kernel, Nearest) and not dtype.startswith("float"):
        raise ModelError(
            f"{axis.kernel.name} interpolation of {dtype} is not computed: cast to float32 before"
        )


def is_identity(axis: Resampled, size: Any, dtype: str) -> bool:
    """Whether the axis is copied as it is; ``size`` is the input's."""
    if axis.fills or whole_ratio(size, axis.size) != 1:
        return False
    for n in _sizes(size, 1):
        indices, weights = tables(axis, n, n, arithmetic_of(axis.kernel, dtype))
        kept = np.ones(indices.shape) if weights is None else weights
        if not np.array_equal(np.where(indices == np.arange(n), kept, 0).sum(0), np.ones(n)):
            return False
        if np.where(indices == np.arange(n), 0, kept).any():
            return False
    return True


def _sizes(size: Any, factor: int) -> Sequence[int]:
    if isinstance(size, int):
        return (size,)
    return [n for n in _JUDGED_SIZES if n * factor <= LARGEST_SIZE]


def whole_ratio(size: Any, target: Any) -> int | None:
    """target / size where that is provably a whole number."""
    if isinstance(size, int) and isinstance(target, int):
        return target // size if target % size == 0 else None
    if isinstance(size, int):
        return None
    analyzer = sym.Analyzer()
    quotient = analyzer.simplify(tirx.floordiv(tirx.convert(target), size))
    if not isinstance(quotient, tirx.IntImm):
        # A size such as h * 3 - 1 is not divided out.
        factors = _possible_factors(size, target)
        return next((r for r in factors if analyzer.can_prove_equal(target, size * r)), None)
    if int(quotient) < 1:
        return None
    return int(quotient) if analyzer.can_prove_equal(target, size * int(quotient)) else None


def _possible_factors(size: Any, target: Any) -> Sequence[int]:
    """Those that an example of the free sizes leaves: a proof of each would take seconds."""
    found: dict[tvm.ir.Var, None] = {}
    for expression in (size, target):
        tvm_ffi.structural_walk(tirx.convert(expression), (tvm.ir.Var, found.setdefault))
    example = {var: 9973 + 6 * n for n, var in enumerate(found)}
    sizes = [edit.bind(tirx.convert(expression), example) for expression in (size, target)]
    if not all(isinstance(number, tirx.IntImm) for number in sizes) or int(sizes[0]) < 1:
        return range(1, LARGEST_FACTOR + 1)
    factor, rest = divmod(int(sizes[1]), int(sizes[0]))
    return (factor,) if rest == 0 and 1 <= factor <= LARGEST_FACTOR else ()


def is_fixed(axis: Resampled, size: Any) -> bool:
    """Whether both sizes are numbers."""
    return isinstance(size, int) and isinstance(axis.size, int)


def arithmetic_of(kernel: Kernel, dtype: str) -> str:
    """The type of coordinates and weights."""
    return "float64" if dtype == "float64" and not isinstance(kernel, Nearest) else "float32"
