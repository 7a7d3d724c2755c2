"""``FoldScales``: what scales the channels behind a convolution scales its weights instead.

    (conv(x, w) - mean) / deviation * gamma + beta
        => conv(x, w * s) + t        s = gamma / deviation, t = beta - mean * s

of any chain of sums, differences, products and quotients with one constant for each channel, or
one for all: batch norms, of which exporters leave those behind transposed convolutions, and
residuals times 0.2. A quotient takes a vector the time of ten to twenty multiply-adds, which a
convolution of few taps and channels does not have for an output. Scale and offset are computed in
float64.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.relax_functions import with_changed

from .graph import Graph, constant, dtype_of, op_name, same_shape, shape_of
from .rebind import WithValues

_CONVOLUTIONS = {f"relax.nn.conv{n}d{kind}" for n in (1, 2, 3) for kind in ("", "_transpose")}
_SUMS = ("relax.add", "relax.subtract")
_PRODUCTS = ("relax.multiply", "relax.divide")
# A weight of float16 would be rounded a second time.
_DTYPES = ("float32", "float64")


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.FoldScales")
class FoldScales:
    """Relax module pass: what the module's docstring says.

    Of convolutions and transposed ones of one, two and three dimensions, of any layout, stride and
    groups, whose weights are constant and whose result nothing else reads. A chain that would make
    a weight or an offset infinite or NaN stays. A module without such chains is handed back
    untouched.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        folded = with_changed(mod, _folded)
        return mod if folded is mod else relax.transform.DeadCodeElimination()(folded)


@dataclass(frozen=True)
class _Affine:
    """``scale`` * y + ``shift``: one number, or one for each channel; ``var`` holds the result."""

    var: relax.Var
    scale: np.ndarray
    shift: np.ndarray


def _folded(func: relax.Function) -> relax.Function | None:
    graph = Graph(func)
    values = {}
    for var in graph.order:
        call = graph.values[var]
        if op_name(call) not in _CONVOLUTIONS or dtype_of(call) not in _DTYPES:
            continue
        end = _chain(graph, var)
        weight = None if end is None else _scaled(graph, call, end.scale)
        if end is None or weight is None or not np.isfinite(end.shift).all():
            continue
        if end.shift.any():
            values[var] = partial(_convolution, call, weight)
            values[end.var] = partial(_sum, var, _shift(call, end.shift))
        else:
            values[end.var] = partial(_convolution, call, weight)
    return WithValues(values).visit_expr(func) if values else None


def _convolution(call: relax.Call, weight: relax.Expr, rebuild: PyExprMutator) -> relax.Expr:
    data = rebuild.visit_expr(call.args[0])
    return relax.Call(call.op, [data, weight], call.attrs, call.ty_args)


def _sum(var: relax.Var, shift: relax.Expr, rebuild: PyExprMutator) -> relax.Expr:
    return relax.op.add(rebuild.visit_expr(var), shift)


def _chain(graph: Graph, conv: relax.Var) -> _Affine | None:
    """What is computed of the convolution's result alone, up to the last operator."""
    end, found = _Affine(conv, np.ones(()), np.zeros(())), None
    first = end.scale
    while (following := _following(graph, conv, end)) is not None:
        end = following
        found = end if end.scale is not first else None
    return found


def _following(graph: Graph, conv: relax.Var, end: _Affine) -> _Affine | None:
    """The chain with one operator more; None if what reads its end is no part of it."""
    readers = graph.users.get(end.var, [])
    if len(readers) != 1 or end.var in graph.outputs:
        return None
    var = readers[0]
    operator, call = graph.op(var), graph.values[var]
    if operator not in (*_SUMS, *_PRODUCTS) or dtype_of(var) != dtype_of(conv):
        return None
    if not same_shape(shape_of(var), shape_of(conv)):
        return None
    is_first = call.args[0].same_as(end.var)
    other = _of_channels(graph, graph.values[conv], call.args[1 if is_first else 0])
    if other is None:
        return None
    with np.errstate(all="ignore"):
        if operator == "relax.add":
            return _Affine(var, end.scale, end.shift + other)
        if operator == "relax.subtract":
            if is_first:
                return _Affine(var, end.scale, end.shift - other)
            return _Affine(var, -end.scale, other - end.shift)
        if operator == "relax.multiply":
            return _Affine(var, end.scale * other, end.shift * other)
        return _Affine(var, end.scale / other, end.shift / other) if is_first else None


def _of_channels(graph: Graph, call: relax.Call, operand: relax.Expr) -> np.ndarray | None:
    """The constant as one number, or one for each channel of the convolution's result."""
    values = graph.constant(operand)
    if values is None:
        return None
    wide = values.astype(np.float64)
    if wide.size == 1:
        return wide.reshape(())
    layout = _layout(call)
    others = [
        size
        for axis, size in enumerate(wide.shape, len(layout) - wide.ndim)
        if axis != layout.index("C")
    ]
    return wide.reshape(-1) if all(size == 1 for size in others) else None


def _layout(call: relax.Call) -> str:
    return str(call.attrs.out_layout or call.attrs.data_layout)


def _shift(call: relax.Call, shift: np.ndarray) -> relax.Expr:
    """The offsets as a constant that broadcasts over the convolution's result."""
    shape = [1] * len(_layout(call))
    shape[_layout(call).index("C")] = shift.size
    return constant(shift.reshape(shape).astype(dtype_of(call)))


def _scaled(graph: Graph, call: relax.Call, scale: np.ndarray) -> relax.Expr | None:
    """The convolution's weights times the scale; None if they are not constant, or too large."""
    weight = graph.constant(call.args[1])
    if weight is None:
        return None
    layout = str(call.attrs.kernel_layout)
    outputs, inputs = (weight.shape[layout.index(letter)] for letter in "OI")
    if scale.ndim:
        shape = [1] * weight.ndim
        if str(op_name(call)).endswith("_transpose"):
            # The inputs of one group behind those of the other, each with the outputs of its group.
            groups = int(call.attrs.groups)
            of_inputs = np.repeat(scale.reshape(groups, outputs), inputs // groups, axis=0)
            shape[layout.index("O")], shape[layout.index("I")] = outputs, inputs
            if layout.index("O") < layout.index("I"):
                of_inputs = of_inputs.T
            scale = of_inputs.reshape(shape)
        else:
            shape[layout.index("O")] = outputs
            scale = scale.reshape(shape)
    with np.errstate(all="ignore"):
        scaled = (weight * scale).astype(weight.dtype)
    return constant(scaled) if np.isfinite(scaled).all() else None
