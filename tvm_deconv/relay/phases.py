"""Values per phase between the operators of a rewritten network, brought into the kernel's store.

A bias before a shuffle is one for each phase behind it. The rewrite says so in standard operators,

    reshape(add(reshape(y, (N, O, H, r, W, r)), bias (1, O, 1, r, 1, r)), (N, O, r*H, r*W)),

or the same in NHWC, and Relay fuses no reshape into a convolution: each would be a pass over the
high-resolution map. Here that becomes, when ``relay.build`` legalizes the last reshape,

    add(y, tvm_deconv.phase_like(y, bias (O, r, r))),    phase_like[n, c, i, j] = bias[c, i%r, j%r]

of which every operator is pointwise in y, and so fused. ``phase_like`` takes y for its shape alone:
of constants only, it would be folded into a map of full size.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import tvm
from tvm import relay, te, topi

from tvm_deconv.schedules.te.layouts import NCHW, NHWC, permuted

from . import operators
from .layer import static

NAME = "tvm_deconv.phase_like"
_RESHAPE = "reshape"
# The axes of a map whose height and width are split into positions (H, W) and phases (p, q).
_SPLIT = {NCHW: "NOHpWq", NHWC: "NHpWqO"}
# Attributes of operators that make them other than pointwise.
_AXES = ("axis", "axes")


def phase_like(data: relay.Expr, values: relay.Expr, layout: str) -> relay.Call:
    """``values`` (O, r_h, r_w), repeated over the shape of ``data`` (N, O, r_h*H, r_w*W).

    In NHWC, over that of (N, r_h*H, r_w*W, O).
    """
    attrs = tvm.ir.make_node("DictAttrs", layout=layout)
    return relay.Call(relay.op.get(NAME), [data, values], attrs)


def merged(attrs: Any, inputs: Any, types: Any) -> relay.Expr | None:
    """The legalization of ``reshape``: one that merges phases, without the six dimensions.

    None for every other reshape, and for one whose operands this does not understand.
    """
    split, whole = static(types[0].shape), static(types[1].shape)
    if split is None or whole is None or len(split) != 6:
        return None
    layout = next((name for name in _SPLIT if _merges(split, whole, name)), None)
    if layout is None:
        return None
    try:
        return _Region(split, whole, layout).convert(inputs[0])
    except _NotPointwise:
        return None


def _merges(split: tuple[int, ...], whole: tuple[int, ...], layout: str) -> bool:
    n, o, h, rh, w, rw = permuted(split, _SPLIT[layout], "NOHpWq")
    return permuted(whole, layout, NCHW) == (n, o, h * rh, w * rw)


class _NotPointwise(Exception):
    """An operand that has no counterpart in four dimensions."""


class _Region:
    """Pointwise operators of shape (N, O, H, r_h, W, r_w) over one map of (N, O, r_h*H, r_w*W).

    In the order of ``layout``, both.
    """

    def __init__(self, split: tuple[int, ...], whole: tuple[int, ...], layout: str) -> None:
        self.split, self.whole, self.layout = split, whole, layout
        self.done: dict[relay.Expr, relay.Expr] = {}
        self.map: relay.Expr | None = None

    def convert(self, expr: relay.Expr) -> relay.Expr:
        if expr not in self.done:
            self.done[expr] = self._convert(expr)
        return self.done[expr]

    def _convert(self, expr: relay.Expr) -> relay.Expr:
        if not isinstance(expr, relay.Call) or not isinstance(expr.op, tvm.ir.Op):
            raise _NotPointwise
        if expr.op.name == _RESHAPE:
            (data,) = expr.args
            if _shape(data) != self.whole or _shape(expr) != self.split:
                raise _NotPointwise
            if self.map is None:
                self.map = data
            return data
        pattern = expr.op.get_attr("TOpPattern")
        named = expr.attrs.keys() if expr.attrs is not None else ()
        if pattern is None or pattern > relay.op.OpPattern.BROADCAST or {*_AXES} & {*named}:
            raise _NotPointwise
        computed = [arg for arg in expr.args if not isinstance(arg, relay.Constant)]
        if not computed:
            raise _NotPointwise
        converted = {arg: self.convert(arg) for arg in computed}
        args = [converted[arg] if arg in converted else self._constant(arg) for arg in expr.args]
        return relay.Call(expr.op, args, expr.attrs, [], expr.span)

    def _constant(self, constant: relay.Constant) -> relay.Expr:
        values = constant.data.numpy()
        if values.size == 1:
            return relay.const(values.reshape(()), str(values.dtype))
        axes = _SPLIT[self.layout]
        dims = permuted(self.split, axes, "Opq")
        values = values.reshape((1,) * (6 - values.ndim) + values.shape)
        if self.map is None or permuted(values.shape, axes, "NHW") != (1, 1, 1):
            raise _NotPointwise
        each = values.transpose(permuted(range(6), axes, "NHWOpq"))[0, 0, 0]
        repeated = np.ascontiguousarray(np.broadcast_to(each, dims))
        return phase_like(self.map, relay.const(repeated), self.layout)


def _shape(expr: relay.Expr) -> tuple[int, ...] | None:
    return static(relay.transform.InferTypeLocal(expr).shape)


def _output_type(types: list[Any], attrs: Any) -> relay.TensorType:
    return relay.TensorType(types[0].shape, types[1].dtype)


def _compute(attrs: Any, inputs: list[te.Tensor], out_type: Any) -> list[te.Tensor]:
    _, values = inputs
    _, rh, rw = values.shape
    layout = str(attrs["layout"])

    def element(*at):
        c, i, j = permuted(at, layout, "CHW")
        return values[c, i % rh, j % rw]

    return [te.compute(out_type.shape, element, name="phase_like", tag=topi.tag.BROADCAST)]


def register() -> None:
    """Make the operator and the legalization known to Relay, once."""
    operators.register(
        NAME,
        "Values per phase, repeated over a map",
        {"data": "a map, for its shape", "values": "(O, r_h, r_w)"},
        _output_type,
        relay.op.OpPattern.BROADCAST,
    )
    relay.op.op.register_compute(NAME, _compute)
    relay.op.op.register_broadcast_schedule(NAME)
    relay.op.op.register_legalize(_RESHAPE, merged)
