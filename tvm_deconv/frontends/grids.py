"""Samples of maps and volumes at the places of a grid.

By the formulas of ATen/native/GridSampler.h, which are also those of ONNX's GridSample. TVM's own
takes the height of the grid for its width in what it imports from PyTorch, mirrors about other
points, and gives float32 for float16.

Along each axis an output sample has one, two or four taps. Their whole-number places and their
weights are tensors, [N, taps, (D',) H', W'] an axis, that the sum over all taps reads: written into
the sum, the arithmetic of one place would be repeated for every product of taps and every channel.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import reduce
from typing import Any

from tvm import te, tirx

from tvm_deconv.errors import ModelError

# Numbered as in PyTorch.
LINEAR, NEAREST, CUBIC = range(3)
ZEROS, BORDER, REFLECTION = range(3)
_TAPS = {LINEAR: 2, NEAREST: 1, CUBIC: 4}

# The parameter of Keys' cubic convolution.
_A = -0.75


def grid_sample(
    x: te.Tensor, grid: te.Tensor, mode: int, padding: int, align_corners: bool
) -> te.Tensor:
    """x [N, C, (D,) H, W] at the places grid [N, (D',) H', W', axes], the width first in it.

    Both are of one type, of 32 bits or more. Raises ModelError for a volume by cubic convolution.
    """
    spatial, dtype = len(x.shape) - 2, str(x.dtype)
    if mode == CUBIC and spatial != 2:
        raise ModelError("mode 'bicubic' is for maps, not for volumes")
    axes = [_Axis(x.shape[2 + d], dtype, padding, align_corners) for d in range(spatial)]
    names = "dhw"[-spatial:]
    tables = [
        axis.tables(grid, spatial - 1 - d, mode, name)
        for d, (axis, name) in enumerate(zip(axes, names, strict=True))
    ]
    taps = [te.reduce_axis((0, _TAPS[mode]), f"tap_{name}") for name in names]

    def product(n: Any, c: Any, at: Sequence[Any], taps: Sequence[Any]) -> Any:
        rows = [(n, tap, *at) for tap in taps]
        read = [table(*row) for (table, _), row in zip(tables, rows, strict=True)]
        sample = x(n, c, *(place.astype("int64") for place in read))
        if padding == ZEROS or mode == LINEAR:
            # Behind a place on the last sample a linear tap is outside, with a weight of 0.
            inside = [
                tirx.all(place >= 0, place < axis.size)
                for place, axis in zip(read, axes, strict=True)
            ]
            sample = tirx.if_then_else(tirx.all(*inside), sample, tirx.const(0, dtype))
        weights = [w(*row) for (_, w), row in zip(tables, rows, strict=True) if w is not None]
        return reduce(operator.mul, weights, sample)

    def value(n: Any, c: Any, *at: Any) -> Any:
        if mode == NEAREST:
            return product(n, c, at, [0] * spatial)
        return te.sum(product(n, c, at, taps), taps)

    return te.compute((x.shape[0], x.shape[1], *grid.shape[1:-1]), value, name="grid_sample")


class _Axis:
    """One spatial axis of the input, of ``size`` samples."""

    def __init__(self, size: Any, dtype: str, padding: int, align_corners: bool) -> None:
        self.size, self.padding, self.align_corners = size, padding, align_corners
        self._dtype = dtype
        self._length = tirx.Cast(dtype, size)

    def tables(
        self, grid: te.Tensor, component: int, mode: int, name: str
    ) -> tuple[te.Tensor, te.Tensor | None]:
        """The places (int32) and weights of the taps, [N, taps, (D',) H', W'].

        Places are from -1 to size, with another padding than zeros those of nearest and cubic from
        0 to size - 1. The weights are None where all are 1.
        """
        shape = (grid.shape[0], *grid.shape[1:-1])
        table = (shape[0], _TAPS[mode], *shape[1:])

        def given(n: Any, *at: Any) -> Any:
            place = self._unnormalised(grid(n, *at, component))
            return place if mode == CUBIC else self._padded(place)

        places = te.compute(shape, given, name=f"place_{name}")

        def sample(n: Any, tap: Any, *at: Any) -> Any:
            place = places(n, *at)
            if mode == NEAREST:
                # Half way to the even one.
                return self._whole(tirx.nearbyint(place))
            if mode == LINEAR:
                return self._whole(tirx.floor(place) + tirx.Cast(self._dtype, tap))
            return self._whole(self._padded(tirx.floor(place) + tirx.Cast(self._dtype, tap - 1)))

        def weight(n: Any, tap: Any, *at: Any) -> Any:
            place = places(n, *at)
            past = place - tirx.floor(place)
            if mode == LINEAR:
                return tirx.Select(tap == 0, 1.0 - past, past)
            return _cubic(tirx.abs(past - tirx.Cast(self._dtype, tap - 1)))

        found = te.compute(table, sample, name=f"sample_{name}")
        if mode == NEAREST:
            return found, None
        return found, te.compute(table, weight, name=f"weight_{name}")

    def _number(self, value: float) -> Any:
        return tirx.const(value, self._dtype)

    def _unnormalised(self, coordinate: Any) -> Any:
        """From [-1, 1] to samples; -1 and 1 are the outer samples' centres, or their edges."""
        if self.align_corners:
            return (coordinate + 1.0) / 2.0 * (self._length - 1.0)
        return ((coordinate + 1.0) * self._length - 1.0) / 2.0

    def _padded(self, place: Any) -> Any:
        """A place beyond the input moved into it, as the padding mode says."""
        if self.padding == ZEROS:
            return place
        if self.padding == REFLECTION:
            corners = self.align_corners
            low, span = (0.0, self._length - 1.0) if corners else (-0.5, self._length)
            place = self._reflected(place, low, span)
        return self._bounded(place, 0.0, self._length - 1.0)

    def _reflected(self, place: Any, low: float, span: Any) -> Any:
        """Mirrored at ``low`` and at ``low + span``; 0 where both are one point."""
        from_low = tirx.abs(place - low)
        safe = tirx.max(span, self._number(0.5))
        flips = tirx.floor(from_low / safe)
        rest = from_low - flips * safe
        even = tirx.floor(flips / 2.0) * 2.0 == flips
        moved = tirx.Select(even, rest, span - rest) + low
        return tirx.Select(span > 0.0, moved, self._number(0))

    def _whole(self, place: Any) -> Any:
        """An integer. What lies farther out than any tap is just outside: int32 has an end."""
        return tirx.Cast("int32", self._bounded(place, -1.0, self._length))

    def _bounded(self, place: Any, low: float, high: Any) -> Any:
        return tirx.max(tirx.min(place, high), self._number(low))


def _cubic(d: Any) -> Any:
    """Keys' weight of a sample at the distance ``d``, which is at most 2."""
    near = ((_A + 2.0) * d - (_A + 3.0)) * d * d + 1.0
    far = ((_A * d - 5.0 * _A) * d + 8.0 * _A) * d - 4.0 * _A
    return tirx.Select(d <= 1.0, near, far)


def affine_grid(theta: te.Tensor, *sizes: Any, align_corners: bool) -> te.Tensor:
    """The places to which theta [N, axes, axes + 1] moves those of an image of ``sizes``.

    They are [N, (D,) H, W, axes], the width first, from -1 to 1: of the outermost samples with
    ``align_corners``, else of their outer edges.
    """

    def place(i: Any, size: Any) -> Any:
        n, at = size.astype(theta.dtype), i.astype(theta.dtype)
        if align_corners:
            return at * 2.0 / tirx.max(n - 1.0, tirx.const(1, theta.dtype)) - 1.0
        return (at * 2.0 + 1.0) / n - 1.0

    def moved(n: Any, *at: Any) -> Any:
        *places, row = at
        found = [place(i, size) for i, size in zip(places, sizes, strict=True)][::-1]
        products = [theta(n, row, column) * value for column, value in enumerate(found)]
        return reduce(operator.add, products) + theta(n, row, len(sizes))

    shape = [theta.shape[0], *sizes, len(sizes)]
    return te.compute(shape, moved, name="affine_grid")
