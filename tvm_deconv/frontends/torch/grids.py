"""``grid_sample`` of maps and volumes, by the formulas of ATen/native/GridSampler.h.

TVM's own takes the height of the grid for its width, and mirrors about other points.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from itertools import product
from typing import Any

from tvm import relax, te, tirx

from ...errors import ModelError
from .functions import working_dtype
from .translation import Translation

_LINEAR, _NEAREST, _CUBIC = range(3)
_ZEROS, _BORDER, _REFLECTION = range(3)

# The parameter of Keys' cubic convolution.
_A = -0.75


def grid_sample(
    t: Translation,
    x: relax.Expr,
    grid: relax.Expr,
    mode: int,
    padding: int,
    align_corners: bool,
) -> relax.Expr:
    """x [N, C, (D,) H, W] at the places grid [N, (D',) H', W', axes], the width first in it."""
    spatial = len(t.shape) - 2
    if mode == _CUBIC and spatial != 2:
        raise ModelError("mode 'bicubic' is for maps, not for volumes")
    dtype = working_dtype(t.dtype)

    def grid_sample(x: te.Tensor, grid: te.Tensor) -> te.Tensor:
        axes = _Axes(x, padding, align_corners)

        def place(n: Any, axis: Any, *at: Any) -> Any:
            def along(d: int) -> Any:
                given = axes.unnormalised(grid(n, *at, spatial - 1 - d), d)
                return given if mode == _CUBIC else axes.padded(given, d)

            chosen = along(spatial - 1)
            for d in range(spatial - 2, -1, -1):
                chosen = tirx.if_then_else(axis == d, along(d), chosen)
            return chosen

        shape = (grid.shape[0], spatial, *grid.shape[1:-1])
        places = te.compute(shape, place, name="places")

        def value(n: Any, c: Any, *at: Any) -> Any:
            here = [places(n, d, *at) for d in range(spatial)]
            return reduce(operator.add, _SAMPLERS[mode](axes, (n, c), here))

        return te.compute((x.shape[0], x.shape[1], *grid.shape[1:-1]), value, name="grid_sample")

    wide = [t.cast(y, dtype) for y in (x, grid)]
    return t.cast(t.te(grid_sample, *wide), t.dtype)


class _Axes:
    """The spatial axes of the input, counted from 0 for the first after the channels."""

    def __init__(self, x: te.Tensor, padding: int, align_corners: bool) -> None:
        self.x, self.padding, self.align_corners = x, padding, align_corners
        self.dtype = str(x.dtype)
        self.sizes = x.shape[2:]

    def number(self, value: float) -> Any:
        return tirx.const(value, self.dtype)

    def size(self, axis: int) -> Any:
        return tirx.Cast(self.dtype, self.sizes[axis])

    def unnormalised(self, coordinate: Any, axis: int) -> Any:
        """From [-1, 1] to samples; -1 and 1 are the outer samples' centres, or their edges."""
        size = self.size(axis)
        if self.align_corners:
            return (coordinate + 1.0) / 2.0 * (size - 1.0)
        return ((coordinate + 1.0) * size - 1.0) / 2.0

    def padded(self, place: Any, axis: int) -> Any:
        """A place beyond the input moved into it, as the padding mode says."""
        if self.padding == _ZEROS:
            return place
        size = self.size(axis)
        if self.padding == _REFLECTION:
            low, span = (0.0, size - 1.0) if self.align_corners else (-0.5, size)
            place = self._reflected(place, low, span)
        return tirx.max(tirx.min(place, size - 1.0), self.number(0))

    def _reflected(self, place: Any, low: float, span: Any) -> Any:
        """Mirrored at ``low`` and at ``low + span``; 0 where both are one point."""
        from_low = tirx.abs(place - low)
        safe = tirx.max(span, self.number(0.5))
        flips = tirx.floor(from_low / safe)
        rest = from_low - flips * safe
        even = tirx.floor(flips / 2.0) * 2.0 == flips
        return tirx.Select(span > 0.0, tirx.Select(even, rest, span - rest) + low, self.number(0))

    def read(self, lead: Sequence[Any], at: Sequence[Any]) -> Any:
        """The sample at whole numbers ``at``, 0 outside."""
        inside = [tirx.all(i >= 0, i < size) for i, size in zip(at, self.sizes, strict=True)]
        return tirx.if_then_else(tirx.all(*inside), self.x(*lead, *at), self.number(0))


def _linear(axes: _Axes, lead: Sequence[Any], place: Sequence[Any]) -> list[Any]:
    floors = [tirx.floor(p) for p in place]
    terms = []
    for corner in product((0, 1), repeat=len(place)):
        weights = [
            p - f if side else 1.0 - (p - f)
            for p, f, side in zip(place, floors, corner, strict=True)
        ]
        at = [tirx.Cast("int64", f) + side for f, side in zip(floors, corner, strict=True)]
        terms.append(axes.read(lead, at) * reduce(operator.mul, weights))
    return terms


def _nearest(axes: _Axes, lead: Sequence[Any], place: Sequence[Any]) -> list[Any]:
    """Half way to the even one."""
    return [axes.read(lead, [tirx.Cast("int64", tirx.nearbyint(p)) for p in place])]


def _cubic(axes: _Axes, lead: Sequence[Any], place: Sequence[Any]) -> list[Any]:
    floors = [tirx.floor(p) for p in place]
    weights = [_cubic_weights(p - f) for p, f in zip(place, floors, strict=True)]
    terms = []
    for taps in product(range(4), repeat=len(place)):
        at = [
            tirx.Cast("int64", axes.padded(f + float(tap - 1), d))
            for d, (f, tap) in enumerate(zip(floors, taps, strict=True))
        ]
        weight = reduce(operator.mul, [w[tap] for w, tap in zip(weights, taps, strict=True)])
        terms.append(axes.read(lead, at) * weight)
    return terms


def _cubic_weights(d: Any) -> list[Any]:
    """Of the samples at -1, 0, 1 and 2 for a place d behind 0."""

    def near(d: Any) -> Any:
        return ((_A + 2.0) * d - (_A + 3.0)) * d * d + 1.0

    def far(d: Any) -> Any:
        return ((_A * d - 5.0 * _A) * d + 8.0 * _A) * d - 4.0 * _A

    return [far(d + 1.0), near(d), near(1.0 - d), far(2.0 - d)]


_SAMPLERS = {_LINEAR: _linear, _NEAREST: _nearest, _CUBIC: _cubic}
