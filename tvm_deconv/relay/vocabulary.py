"""Relay's operators in the vocabulary of the rules: their names, and attributes as Relax has them.

Everything that is not in ``_READERS`` or ``_POINTWISE`` is not understood, and what rules do not
understand they leave alone.
"""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import tvm
from tvm import relay

from tvm_deconv.patterns.graph import Call, begin_of_slice
from tvm_deconv.patterns.operators import (
    BATCH_NORM,
    BIAS,
    BROADCAST,
    CONCAT,
    CONV,
    PRELU,
    RESHAPE,
    RESIZE,
    SHUFFLE,
    SLICE,
    TRANSPOSE,
    UNARY,
)

from .constants import Constants, layout_permutation

# Where Relay's name differs from Relax's.
_NATIVE = {"astype": "cast", "nn.leakyrelu": "nn.leaky_relu"}


def native(op: str) -> str:
    """Relay's name of an operator of the vocabulary."""
    return _NATIVE.get(op, op)


# Relay's gelu, silu and the like are made of several operators.
_KNOWN = frozenset(tvm.ir.Op.list_op_names())
_POINTWISE = {native(op): op for op in UNARY | BROADCAST if native(op) in _KNOWN}


def translate(expr: relay.Expr) -> Call | None:
    """The call that computes ``expr``; None if none of the vocabulary does."""
    if isinstance(expr, relay.TupleGetItem):
        norm = expr.tuple_value
        return _batch_norm(norm) if expr.index == 0 and _name(norm) == BATCH_NORM else None
    name = _name(expr)
    if name in _POINTWISE:
        return Call(_POINTWISE[name], tuple(expr.args), expr.attrs)
    reader = None if name is None else _READERS.get(name)
    return None if reader is None else reader(expr)


def _name(expr: relay.Expr) -> str | None:
    is_call = isinstance(expr, relay.Call) and isinstance(expr.op, tvm.ir.Op)
    return str(expr.op.name) if is_call else None


def _as_it_is(op: str) -> Callable[[relay.Call], Call]:
    return lambda call: Call(op, tuple(call.args), call.attrs)


def _batch_norm(norm: relay.Call) -> Call:
    a = norm.attrs
    attrs = SimpleNamespace(
        axis=int(a.axis),
        epsilon=float(a.epsilon),
        center=bool(a.center),
        scale=bool(a.scale),
        training=False,
    )
    return Call(BATCH_NORM, tuple(norm.args), attrs, (norm,))


def _transpose(call: relay.Call) -> Call:
    axes = call.attrs.axes
    rank = len(call.checked_type.shape)
    order = range(rank)[::-1] if axes is None else [int(axis) % rank for axis in axes]
    return Call(TRANSPOSE, tuple(call.args), SimpleNamespace(axes=list(order)))


def _layout_transform(call: relay.Call) -> Call | None:
    axes = layout_permutation(call)
    return None if axes is None else Call(TRANSPOSE, tuple(call.args), SimpleNamespace(axes=axes))


def _concatenate(call: relay.Call) -> Call | None:
    """None where the tuple is no tuple of tensors that are known one by one."""
    (parts,) = call.args
    return Call(CONCAT, tuple(parts), call.attrs) if isinstance(parts, relay.Tuple) else None


def _tile(call: relay.Call) -> Call:
    counts = [int(count) for count in call.attrs.reps]
    return Call("tile", tuple(call.args), SimpleNamespace(repeats=counts))


def _upsampling(call: relay.Call) -> Call:
    """``topi.nn.upsampling`` is ``topi.image.resize2d`` in one of two modes."""
    a = call.attrs
    attrs = SimpleNamespace(
        layout=str(a.layout),
        method={"bilinear": "linear", "bicubic": "cubic"}.get(str(a.method), str(a.method)),
        coordinate_transformation_mode="align_corners" if a.align_corners else "asymmetric",
        rounding_method="",
        roi=[tvm.tir.FloatImm("float32", 0.0)] * 4,
    )
    return Call(RESIZE, tuple(call.args), attrs)


def _pad(call: relay.Call) -> Call | None:
    """Relay gives the value as an operand; None if that is not constant."""
    data, value = call.args
    mode = {"edge": "replicate"}.get(str(call.attrs.pad_mode), str(call.attrs.pad_mode))
    number = Constants().evaluate(value) if mode == "constant" else np.zeros(())
    return None if number is None else _padding(data, call.attrs.pad_width, mode, number.item())


def _mirror_pad(call: relay.Call) -> Call:
    return _padding(call.args[0], call.attrs.pad_width, str(call.attrs.mode).lower(), 0.0)


def _padding(data: relay.Expr, widths: Any, mode: str, value: float) -> Call:
    flat = [int(width) for pair in widths for width in pair]
    return Call("nn.pad", (data,), SimpleNamespace(pad_width=flat, pad_mode=mode, pad_value=value))


def _strided_slice(call: relay.Call) -> Call | None:
    """None if it steps, or begins where is not known; where it ends its shape says."""
    a = call.attrs
    if a.begin is None or any(int(step) != 1 for step in a.strides or ()):
        return None
    dims = call.args[0].checked_type.shape
    sizes = [int(dim) if isinstance(dim, tvm.tir.IntImm) else dim for dim in dims]
    begins = [int(begin) for begin in a.begin]
    axes = range(len(begins)) if a.axes is None else [int(axis) for axis in a.axes]
    found = begin_of_slice(sizes, axes, begins)
    return None if found is None else Call(SLICE, tuple(call.args), SimpleNamespace(begin=found))


_READERS: dict[str, Callable[[relay.Call], Call | None]] = {
    CONV: _as_it_is(CONV),
    "nn.bias_add": _as_it_is(BIAS),
    "nn.prelu": _as_it_is(PRELU),
    "nn.depth_to_space": _as_it_is(SHUFFLE),
    "nn.upsampling": _upsampling,
    "nn.pad": _pad,
    "nn.mirror_pad": _mirror_pad,
    "image.resize2d": _as_it_is(RESIZE),
    "concatenate": _concatenate,
    "reshape": _as_it_is(RESHAPE),
    "expand_dims": _as_it_is("expand_dims"),
    "broadcast_to": _as_it_is("broadcast_to"),
    "broadcast_to_like": _as_it_is("broadcast_to"),
    "tile": _tile,
    "repeat": _as_it_is("repeat"),
    # Rules read one row of indices along one axis, and then there are no batch dimensions.
    "take": _as_it_is("take"),
    "strided_slice": _strided_slice,
    "transpose": _transpose,
    "layout_transform": _layout_transform,
}
