"""Operators for the border of a folded resize, which Relay has none for.

    tvm_deconv.border_lines(x)      outermost rows or columns of a map, enlarged
    tvm_deconv.add_border(y, line)  a map with such lines added to its outermost rows or columns

``algebra.outside`` says why, ``patterns.graph.BorderBuilder`` what they give. Lines are NCHW; the
map is of the attribute ``layout``. The second is pointwise in the map, so that Relay fuses it into
the store of the convolution.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relay, te, topi

from tvm_deconv.schedules.algorithms import borders
from tvm_deconv.schedules.algorithms.borders import Counts
from tvm_deconv.schedules.te.layouts import NCHW, as_nchw, permuted

from . import operators

__all__ = ["Counts", "add_border", "border_lines", "register"]

LINES, ADD = "tvm_deconv.border_lines", "tvm_deconv.add_border"
# Relay lowers shapes that are known as int32.
_INDEX = "int32"


def border_lines(
    x: relay.Expr,
    axis: int,
    ends: tuple[bool, bool],
    factor: int,
    copies: tuple[int, int],
    linear: bool,
    layout: str,
) -> relay.Call:
    """Rows (``axis`` 2) or columns (3) of ``x``, as (N, S*C, 1, L)."""
    attrs = tvm.ir.make_node(
        "DictAttrs",
        axis=axis,
        ends=[int(end) for end in ends],
        factor=factor,
        copies=list(copies),
        linear=int(linear),
        layout=layout,
    )
    return relay.Call(relay.op.get(LINES), [x], attrs)


def add_border(
    y: relay.Expr, line: relay.Expr, axis: int, counts: tuple[int, int], layout: str
) -> relay.Call:
    """``y`` with the channels of ``line`` added to so many rows or columns at begin and end."""
    attrs = tvm.ir.make_node("DictAttrs", axis=axis, counts=list(counts), layout=layout)
    return relay.Call(relay.op.get(ADD), [y, line], attrs)


def _lines_type(types: list[Any], attrs: Any) -> relay.TensorType:
    n, c, *sides = permuted(types[0].shape, str(attrs["layout"]), NCHW)
    along = sides[3 - int(attrs["axis"])]
    length = along * int(attrs["factor"]) + sum(_ints(attrs["copies"]))
    return relay.TensorType((n, c * sum(_ints(attrs["ends"])), 1, length), types[0].dtype)


def _lines(attrs: Any, inputs: list[te.Tensor], out_type: Any) -> list[te.Tensor]:
    begin, end = (bool(end) for end in _ints(attrs["ends"]))
    left, right = _ints(attrs["copies"])
    x = as_nchw(inputs[0], str(attrs["layout"]))
    axis, factor = int(attrs["axis"]), int(attrs["factor"])
    linear, copies = bool(attrs["linear"]), (left, right)
    return [borders.border_faces(x, axis, (begin, end), [factor], [copies], linear, _INDEX)]


def _sum_type(types: list[Any], attrs: Any) -> relay.TensorType:
    return types[0]


def _sum(attrs: Any, inputs: list[te.Tensor], out_type: Any) -> list[te.Tensor]:
    y, line = inputs
    begin, end = _ints(attrs["counts"])
    counts: Counts = ((begin, end), (0, 0)) if int(attrs["axis"]) == 2 else ((0, 0), (begin, end))
    layout = str(attrs["layout"])
    value = borders.with_border(as_nchw(y, layout), (line,), counts, _INDEX)

    def element(*at: Any) -> Any:
        return value(*permuted(at, layout, NCHW))

    return [te.compute(y.shape, element, name="add_border", tag=topi.tag.BROADCAST)]


def _ints(values: Any) -> list[int]:
    return [int(value) for value in values]


def register() -> None:
    """Make both operators known to Relay, once."""
    words, data = "Outermost lines of a map, enlarged", {"data": "a map"}
    operators.register(LINES, words, data, _lines_type, relay.op.OpPattern.INJECTIVE)
    words, both = "A map plus lines at its border", {**data, "line": "NCHW"}
    operators.register(ADD, words, both, _sum_type, relay.op.OpPattern.BROADCAST)
    relay.op.op.register_compute(LINES, _lines)
    relay.op.op.register_compute(ADD, _sum)
    relay.op.op.register_injective_schedule(LINES)
    relay.op.op.register_broadcast_schedule(ADD)
