"""Is a ``resize2d`` exactly nearest xr? Decided by evaluating its index map.

The formulas are those of TVM's ``topi.image.resize`` (``get_inx``, ``get_closest_index``), in
double arithmetic. A coordinate on a tie of ``round``, or so near one that single precision may
cross it, counts as not nearest: targets round ties differently.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import ceil, floor
from typing import Any

from tvm_deconv.algebra.axis_map import LARGEST_FACTOR

from .graph import Graph, Refused

# TVM moves floor and ceil by this much against rounding errors.
_EPSILON = 1e-5

# Single precision places a coordinate in an image of some thousand pixels at least this well.
_TIE = 1e-3

# The other modes are judged output by output, for axes of up to this many.
_MOST_OUTPUTS = 1 << 16

# Modes whose coordinate advances by exactly one input sample every r output samples, whatever
# the sizes are; for these one period proves all sizes.
_PERIODIC: dict[str, Callable[[float, int], float]] = {
    "half_pixel": lambda i, r: (i + 0.5) / r - 0.5,
    "pytorch_half_pixel": lambda i, r: (i + 0.5) / r - 0.5,
    "asymmetric": lambda i, r: i / r,
    "tf_half_pixel_for_nn": lambda i, r: (i + 0.5) / r,
}


def factor_of(graph: Graph, size: Any, target: Any) -> int | Refused:
    """r such that target = r * size, proven; sizes are ints or expressions."""
    if isinstance(size, int) and isinstance(target, int):
        if size < 1 or target % size:
            return Refused(f"factor {target}/{size} = {target / max(size, 1):g} is not whole")
        if target // size > LARGEST_FACTOR:
            return Refused(f"factor {target // size} is over {LARGEST_FACTOR}")
        return target // size
    found = next((r for r in range(1, LARGEST_FACTOR + 1) if graph.same(target, size * r)), None)
    if found is None:
        return Refused(
            f"size {graph.text(target)} is not provably a multiple of {graph.text(size)}"
        )
    return found


def check_nearest(
    graph: Graph, attrs: Any, roi: tuple[float, float], size: Any, target: Any
) -> int | Refused:
    """The factor r if output i reads input i div r for every i of the axis."""
    r = factor_of(graph, size, target)
    if isinstance(r, Refused):
        return r
    mode, rounding = str(attrs.coordinate_transformation_mode), str(attrs.rounding_method)
    if not rounding:
        rounding = "round" if mode == "align_corners" else "floor"
    name = f"{mode} with {rounding} rounding"
    if isinstance(size, int):
        judged = _judged(mode, size, r)
        if judged is None:
            return Refused(f"{name} is not judged for {size * r} outputs")
        reads = {i: _read(_coordinate(mode, i, size, r, roi), rounding, size) for i in judged}
    elif mode in _PERIODIC:
        reads = {i: _round(_PERIODIC[mode](i, r), rounding) for i in range(r)}
    else:
        return Refused(f"{name} depends on the size, which is symbolic: {graph.text(size)}")
    wrong = next((i for i, read in reads.items() if read != i // r), None)
    if wrong is not None:
        read = "a tie" if reads[wrong] is None else f"input {reads[wrong]}"
        return Refused(f"{name} is not nearest x{r}: output {wrong} reads {read}, not {wrong // r}")
    return r


def _judged(mode: str, size: int, r: int) -> Sequence[int] | None:
    """The outputs that decide for all of them; None if they are too many.

    Where the mode is periodic, two samples at either end do: between them nothing else happens.
    """
    total = size * r
    if mode in _PERIODIC and size > 4:
        return [*range(2 * r), *range(total - 2 * r, total)]
    return range(total) if total <= _MOST_OUTPUTS else None


def _coordinate(mode: str, i: int, size: int, r: int, roi: tuple[float, float]) -> float | None:
    if mode in _PERIODIC:
        return _PERIODIC[mode](i, r)
    target = size * r
    if mode == "align_corners":
        return i * (size - 1) / (target - 1) if target > 1 else 0.0
    if mode == "tf_crop_and_resize":
        start, end = roi
        if target > 1:
            x = start * (size - 1) + i * (end - start) * (size - 1) / (target - 1)
        else:
            x = 0.5 * (start + end) * (size - 1)
        return x if 0 <= x <= size - 1 else None
    return None


def _read(x: float | None, rounding: str, size: int) -> int | None:
    index = None if x is None else _round(x, rounding)
    return None if index is None else max(0, min(index, size - 1))


def _round(x: float, rounding: str) -> int | None:
    """The index that TVM reads; None on a tie or for an unknown method."""
    if rounding == "floor":
        return floor(x + _EPSILON)
    if rounding == "ceil":
        return ceil(x - _EPSILON)
    tie = abs(x - floor(x) - 0.5)
    if rounding not in ("round", "round_prefer_floor", "round_prefer_ceil"):
        return None
    if tie < _TIE and (tie > 0 or rounding == "round"):
        return None
    return ceil(x - 0.5) if rounding == "round_prefer_floor" else floor(x + 0.5)
