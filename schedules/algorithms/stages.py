"""Stages that several algorithms share, as tensor expressions.

All run over a domain rounded up to whole tiles, so that no loop of a reduction ever carries a
remainder predicate; only ``store`` has the output's exact shape.
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .expressions import by_phase, dtype_of, has_tap, static
from .names import EDGE, INTERLEAVE, PAD, PHASES, STORE
from .tir import tir


@dataclass(frozen=True)
class Domain:
    """The rounded-up domain: output channels of a group, block rows and block columns."""

    channels: int
    rows: Any
    columns: Any


def zero() -> tir.FloatImm:
    return tir.const(0, ACCUMULATE_DTYPE)


def shape_of(x: te.Tensor) -> tuple[Any, ...]:
    """(batch, channels, height, width), as ints where they are known."""
    return tuple(static(dim) for dim in x.shape)


def padded(
    conv: ConvTranspose2d, domain: Domain, x: te.Tensor, dtype: str = ACCUMULATE_DTYPE
) -> te.Tensor:
    """``pad[n, c, i, j]``: the input in ``dtype`` with a zero border as wide as the halo."""
    # Bounds are inferred for a loop over all taps, also where a phase has fewer.
    (top, _), (left, _) = conv.h.halo, conv.w.halo
    last = top + conv.h.uniform_extent, left + conv.w.uniform_extent
    return bordered(domain, x, (top, last[0]), (left, last[1]), dtype)


def bordered(
    domain: Domain,
    x: te.Tensor,
    rows: tuple[int, int],
    columns: tuple[int, int],
    dtype: str = ACCUMULATE_DTYPE,
) -> te.Tensor:
    """``padded`` with a border from the first to the last offset that rows and columns read at."""
    batch, channels, height, width = shape_of(x)
    (top, bottom), (left, right) = rows, columns

    def value(n, c, i, j):
        inside = tir.all(i >= -top, i < height - top, j >= -left, j < width - left)
        copied = x[n, c, i + top, j + left].astype(dtype)
        return tir.if_then_else(inside, copied, tir.const(0, dtype))

    extent = domain.rows + (bottom - top), domain.columns + (right - left)
    return te.compute((batch, channels, *extent), value, name=PAD)


def weights_in(packed: te.Tensor, packing: Direct, dtype: str | None = None) -> Callable[..., Any]:
    """What ``phase_sums`` asks for: elements of ``packed``, in ``dtype`` if it is another."""

    def weight(g, o, fh, fw, ic, th, tw):
        value = packed[packing.place(g=g, o=o, fh=fh, fw=fw, ic=ic, th=th, tw=tw)]
        return value if dtype is None else value.astype(dtype)

    return weight


def phase_sums(
    conv: ConvTranspose2d,
    domain: Domain,
    pad: te.Tensor,
    weight: Callable[..., Any],
    multiply: Callable[[Any, Any], Any] = operator.mul,
) -> te.Tensor:
    """``phases[n, g, o, fh, fw, y, x]``: sums over channels and taps, a convolution per phase.

    ``weight(g, o, fh, fw, ic, th, tw)`` is an element of the packed weights, and ``multiply`` a
    term of the sum. With a ``step`` of the layer, y and x count those that are computed.
    """
    h, w = conv.h, conv.w
    down, right = conv.step
    (top, _), (left, _) = h.halo, w.halo
    ic = te.reduce_axis((0, conv.group_inputs), "ic")
    th = te.reduce_axis((0, h.max_taps), "th")
    tw = te.reduce_axis((0, w.max_taps), "tw")
    rows = [h.first_offset(f) - top for f in range(h.stride)]
    columns = [w.first_offset(f) - left for f in range(w.stride)]

    def phase_sum(n, g, o, fh, fw, y, x):
        i = (y if down == 1 else y * down) + by_phase(rows, fh) + h.tap_step * th
        j = (x if right == 1 else x * right) + by_phase(columns, fw) + w.tap_step * tw
        value = pad[n, g * conv.group_inputs + ic, i, j]
        term = multiply(value, weight(g, o, fh, fw, ic, th, tw))
        live = [has_tap(h, fh, th), has_tap(w, fw, tw)]
        live = [condition for condition in live if condition is not None]
        nothing = tir.const(0, dtype_of(term))
        return te.sum(
            tir.if_then_else(tir.all(*live), term, nothing) if live else term, axis=[ic, th, tw]
        )

    batch = static(pad.shape[0])
    shape = (batch, conv.groups, domain.channels, h.stride, w.stride, domain.rows, domain.columns)
    return te.compute(shape, phase_sum, name=PHASES)


def written_out(conv: ConvTranspose2d, x: te.Tensor, weight: Callable[..., Any]) -> te.Tensor:
    """``store`` of every ``step``-th output, straight from the phases; in x's dtype.

    For variants that write their loop nest out themselves: it has no tiles.
    """
    batch, _, height, width = shape_of(x)
    domain = Domain(conv.group_outputs, conv.h.blocks(height), conv.w.blocks(width))
    phases = phase_sums(conv, domain, padded(conv, domain, x), weight)
    outputs, (rh, rw), (down, right) = conv.group_outputs, conv.strides, conv.step

    def element(n, c, oh, ow):
        i, j = oh * down, ow * right
        place = (n, c // outputs, c % outputs, i % rh, j % rw, i // rh, j // rw)
        return phases[place].astype(x.dtype)

    return te.compute(conv.output_shape(batch, height, width), element, name=STORE)


def interleaved(conv: ConvTranspose2d, phases: te.Tensor) -> te.Tensor:
    """``interleave[n, g, o, fh, y, ow]``: rows of consecutive output columns from phases."""
    n, g, o, rh, rw, rows, columns = phases.shape
    shape = (n, g, o, rh, rows, columns * rw)
    period = conv.w.stride

    def element(n, g, o, fh, y, ow):
        return phases[n, g, o, fh, ow % period, y, ow // period]

    return te.compute(shape, element, name=INTERLEAVE)


def stored(
    conv: ConvTranspose2d,
    shape: tuple[Any, ...],
    dtype: str,
    domain: Domain,
    tile_columns: int,
    row_element: Callable[..., Any],
) -> te.Tensor:
    """``store``: the output, from ``row_element(n, g, o, fh, y, ow)``, in ``dtype``.

    ``shape`` is that of the input. Where tiles of ``tile_columns`` block columns may lie partly
    beyond the right edge, the stage ``edge`` holds their rows in memory.
    """
    batch, _, height, width = shape
    if _crosses_edge(conv, width, tile_columns):
        columns = domain.columns * conv.w.stride
        row_shape = (batch, conv.groups, domain.channels, conv.h.stride, domain.rows, columns)
        row_element = te.compute(row_shape, row_element, name=EDGE)
    out_group, stride = conv.group_outputs, conv.h.stride

    def element(n, c, oh, ow):
        g, o = (0, c) if conv.groups == 1 else (c // out_group, c % out_group)
        return row_element(n, g, o, oh % stride, oh // stride, ow).astype(dtype)

    return te.compute(conv.output_shape(batch, height, width), element, name=STORE)


def _crosses_edge(conv: ConvTranspose2d, width: Any, tile_columns: int) -> bool:
    if not isinstance(width, int):
        return True
    return conv.w.output_size(width) % (tile_columns * conv.w.stride) != 0
