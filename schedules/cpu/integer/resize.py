"""Bytes enlarged linearly (half_pixel) by whole factors, as bytes: sums of integers.

Sample r*i + f of an axis lies between two samples of x, whose weights are multiples of 1/(2r). With
D the product of these denominators, 2r for each axis that is enlarged,

    S = sum of weight * weight * x, an integer          y = round(m * (S - D*z_x)) + z_y

and m = s_x / (D * s_y), so that each value is rounded once, half to even. Where x and y have one
scale and zero point and D is a power of 2, that is ``S >> log2(D)``, rounded, and the sums of a
resize by 2 or 4 are int16: no float is made.

Rows first: two rows of x become one of scratch, which is enlarged along the width.

    parallel over maps and rows of x:
        for phase in height:
            line[0 ... W+1] = a * x[row] + b * x[row + 1], with a copy of each end
            for vector of columns: for phase in width: a * line[...] + b * line[... + 1]
                store the phases, interleaved

More than four phases in width are vectors themselves, of one column each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, interleaved
from tvm_deconv.schedules.tir.writing import broadcast, fill, in_vectors, places, type_of

from .enlarging import write_enlarging
from .rounding import rounded_bytes

# Columns of x at once: a register of AVX-512, of sums of int16 or int32; and of what is left.
_LANES, _FEWER = {"int16": 32, "int32": 16}, 8
_LARGEST = {"int16": 2**15, "int32": 2**24}
# Phases along the width that vectors of columns are interleaved of; more are a vector themselves.
_MOST_INTERLEAVED, _MOST_PHASES = 4, 64


@dataclass(frozen=True)
class ByteResize:
    """``factors`` along height and width; x and y are bytes of ``dtypes`` with ``zero_points``.

    ``ratio`` is x's scale over y's.
    """

    factors: tuple[int, int]
    dtypes: tuple[str, str]
    zero_points: tuple[int, int]
    ratio: float

    @property
    def denominator(self) -> int:
        """D, of which a sum is so many times a value."""
        return prod(2 * r for r in self.factors if r > 1)

    @property
    def sums(self) -> str:
        """The dtype of S: int16, or int32 that float32 holds exactly; empty for no kernel."""
        if self.factors[1] > _MOST_PHASES:
            return ""
        return next((kind for kind, most in _LARGEST.items() if 256 * self.denominator <= most), "")

    @property
    def is_shift(self) -> bool:
        """Whether y is S without its last bits."""
        alike = len(set(self.dtypes)) == len(set(self.zero_points)) == 1 and self.ratio == 1
        return alike and self.denominator & (self.denominator - 1) == 0


def phases(factor: int) -> list[tuple[int, int, int]]:
    """Of each phase f: (samples before r*i + f, from i on: -1 or 0; the two weights)."""
    if factor == 1:
        return [(0, 1, 0)]
    found = []
    for f in range(factor):
        before, share = divmod(2 * f + 1 - factor, 2 * factor)
        found.append((before, 2 * factor - share, share))
    return found


def write_resize(resize: ByteResize, shape: Sequence[Any]) -> tirx.PrimFunc:
    """x (N, C, H, W) of ``shape``, y (N, C, r_h*H, r_w*W). A size is an int or a variable."""
    h, w = (index(size) for size in shape[2:])
    (rh, rw), kind = resize.factors, resize.sums

    def write(x: Any, y: Any, at: tuple[Any, Any], row: Any) -> None:
        line = T.alloc_buffer((w + 2,), kind)
        with T.serial(index(0), index(rh)) as f:
            units = T.bind(f * 2 + (1 - rh))
            first = T.bind(row + (units < 0).astype("int64") * -1)
            rows = [tirx.max(tirx.min(first + i, h - 1), index(0)) for i in range(2)]
            share = T.bind(tirx.Cast(kind, tirx.floormod(units, index(2 * rh))))
            weights = (tirx.const(2 * rh, kind) - share, share) if rh > 1 else (None,)
            _blend(x, line, [(*at, T.bind(one)) for one in rows], weights, w, kind)
            enlarge = _interleaved if rw <= _MOST_INTERLEAVED else _one_by_one
            enlarge(resize, line, y, (*at, row * rh + f), w)

    return write_enlarging(resize.factors, resize.dtypes, shape, write)


def _blend(
    x: Any, line: Any, rows: Sequence[tuple[Any, ...]], weights: Sequence[Any], w: Any, kind: str
) -> None:
    """``line``: the sum of two rows of x, or of one without a weight, and a copy of each end."""

    def blend(first: Any, lanes: int) -> None:
        total = None
        for row, weight in zip(rows, weights, strict=False):
            place = (*row, places(first, lanes))
            part = tirx.Cast(type_of(kind, lanes), x[place])
            part = part if weight is None else part * broadcast(weight, lanes)
            total = part if total is None else total + part
        T.buffer_store(line, total, [places(first + 1, lanes)])

    _along(w, kind, blend)
    fill(line, line[index(1)], index(0), index(1))
    fill(line, line[w], w + 1, index(1))


def _interleaved(resize: ByteResize, line: Any, y: Any, row: tuple[Any, ...], w: Any) -> None:
    """A row of y: a vector of columns for each phase, and the phases side by side."""
    rw = resize.factors[1]

    def enlarge(first: Any, lanes: int) -> None:
        near = [T.bind(line[places(first + i, lanes)]) for i in range(3)]
        made = [
            _stored(resize, _weighed(near[before + 1 : before + 3], weights), lanes)
            for before, *weights in phases(rw)
        ]
        T.buffer_store(y, interleaved(made, lanes), [*row, places(first * rw, lanes * rw)])

    _along(w, resize.sums, enlarge)


def _one_by_one(resize: ByteResize, line: Any, y: Any, row: tuple[Any, ...], w: Any) -> None:
    """A row of y: for each column a vector of its phases, of weights that rise with them."""
    rw, kind = resize.factors[1], resize.sums

    def rising(first: int, step: int) -> Any:
        ramp_ = tirx.Ramp(tirx.const(first, kind), tirx.const(step, kind), rw)
        return T.bind(tirx.max(ramp_, broadcast(tirx.const(0, kind), rw)))

    before, behind = rising(rw - 1, -2), rising(1 - rw, 2)
    own = T.bind(broadcast(tirx.const(2 * rw, kind), rw) - before - behind)
    with T.serial(index(0), w) as column:
        terms = [
            broadcast(line[column + i], rw) * weights
            for i, weights in enumerate((before, own, behind))
        ]
        value = _stored(resize, terms[0] + terms[1] + terms[2], rw)
        T.buffer_store(y, value, [*row, places(column * rw, rw)])


def _along(count: Any, kind: str, do: Any) -> None:
    """``do(first, lanes)`` for vectors of a register, of ``_FEWER``, and for single columns."""

    lanes = _LANES[kind]
    with T.serial(index(0), count // lanes) as vector:
        do(vector * lanes, lanes)
    begin = T.bind(count // lanes * lanes)
    in_vectors(count - begin, _FEWER, lambda first, own: do(begin + first, own))


def _weighed(values: Sequence[Any], weights: Sequence[int]) -> Any:
    """The sum of products, less those by 0; a product by 1 is none."""
    total = None
    for value, weight in zip(values, weights, strict=True):
        if weight:
            part = value if weight == 1 else value * tirx.const(weight, str(value.ty.dtype))
            total = part if total is None else total + part
    return total


def _stored(resize: ByteResize, total: Any, lanes: int) -> Any:
    """Bytes of sums."""
    (_, result), (z_x, z_y), d = resize.dtypes, resize.zero_points, resize.denominator

    def number(value: float, dtype: str) -> Any:
        return broadcast(tirx.const(value, dtype), lanes)

    if resize.is_shift:
        kind, bits = resize.sums, d.bit_length() - 1
        if not bits:
            return tirx.Cast(type_of(result, lanes), total)
        # Half to even before the zero point.
        is_odd = ((total >> number(bits, kind)) + number(z_x & 1, kind)) & number(1, kind)
        rounded = total + number(d // 2 - 1, kind) + is_odd
        return tirx.Cast(type_of(result, lanes), rounded >> number(bits, kind))
    units = tirx.Cast(type_of("int32", lanes), total) - number(d * z_x, "int32")
    bounds = np.iinfo(result)
    value = tirx.Cast(type_of("float32", lanes), units) * number(resize.ratio / d, "float32")
    value = tirx.max(value, number(float(bounds.min - z_y), "float32"))
    value = tirx.min(value, number(float(bounds.max - z_y), "float32"))
    return rounded_bytes(value, number(z_y, "int32"), result, lanes)
