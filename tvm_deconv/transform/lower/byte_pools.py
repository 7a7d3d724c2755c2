"""``LowerBytePools``: averages of bytes read the bytes.

    y = avg_pool(dequantize(x))  =>  y = call_tir(avg_pool, (x,))
    y = mean(dequantize(x))      =>  y = call_tir(mean, (x,))

TVM fuses nothing into what a pool reads, so a map of float32 would be written and read. The
arithmetic of a pool stays: each byte becomes the same float32 where it is read, and the sum is the
same. A mean over a whole map adds up integers, which is exact: s * (sum - count * z) / count.
"""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
from tvm import relax, te, tirx, topi
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.relax_functions import holds
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, shape_of
from tvm_deconv.transform.keep_bytes import DEQUANTIZE, Scale, scale_of
from tvm_deconv.transform.rebind import Emit, with_other_values

_MEAN = "relax.mean"
# What int32 holds for certain: so many bytes are added up.
_MOST_ADDED = 2**31 // 2**8
_POOLS = {f"relax.nn.avg_pool{n}d": getattr(topi.nn, f"pool{n}d") for n in (1, 2, 3)}


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerBytePools")
class LowerBytePools:
    """Relax module pass: the above, for bytes of one scale, on any device; the rest is as it was.

    To run before LegalizeOps.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module; itself where no average is taken."""
        return with_other_values(mod, _values_of)


def _values_of(work: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Emit]:
    if not holds(func, _is_average):
        return {}
    graph = Graph(func, work)
    averages = [var for var in graph.order if _is_average(graph.values[var])]
    found = {var: _of_bytes(graph, graph.values[var]) for var in averages}
    return {var: emit for var, emit in found.items() if emit is not None}


def _is_average(call: relax.Expr) -> bool:
    return op_name(call) in (*_POOLS, _MEAN) and dtype_of(call) == "float32"


def _of_bytes(graph: Graph, call: relax.Call) -> Emit | None:
    """The call of the function of bytes; None where ``call`` reads none of one scale."""
    source = graph.value(call.args[0])
    if op_name(source) != DEQUANTIZE:
        return None
    data, name = source.args[0], str(op_name(call))
    scale = scale_of(graph, source, dtype_of(data))
    if scale is None:
        return None
    if name == _MEAN:
        axes = _axes(call)
        sizes = [size for size in axes.values() if isinstance(size, int)]
        count = prod(sizes)
        # How many bytes are added up has to be known.
        if len(sizes) < len(axes) or not 0 < count <= _MOST_ADDED:
            return None
        averaged, hint = _mean(list(axes), count, bool(call.attrs.keepdims), scale), "mean"
    else:
        averaged, hint = _averaged(_POOLS[name], call.attrs, scale), "avg_pool"

    def emit(rebuild: PyExprMutator) -> relax.Expr:
        return rebuild.builder_.call_te(averaged, rebuild.visit_expr(data), primfunc_name_hint=hint)

    return emit


def _axes(mean: relax.Call) -> dict[int, Any]:
    """The axes that a mean is taken over, all of them by default, with their sizes."""
    shape, given = shape_of(mean.args[0]) or (), mean.attrs.axis
    axes = range(len(shape)) if given is None else (int(axis) % len(shape) for axis in given)
    return {axis: shape[axis] for axis in axes}


def _mean(axes: list[int], count: int, keepdims: bool, scale: Scale) -> Any:
    """The function of tensor expressions, of sums of ``count`` bytes."""

    def mean(x: te.Tensor) -> te.Tensor:
        values = te.compute(x.shape, lambda *at: x(*at).astype("int32"), name="widened")
        sums = topi.sum(values, axes, keepdims)
        unit = tirx.const(scale.scale / count, "float32")

        def value(*at: Any) -> Any:
            return (sums(*at) - count * scale.zero_point).astype("float32") * unit

        return te.compute(sums.shape, value, name="mean")

    return mean


def _averaged(pool: Any, attrs: Any, scale: Scale) -> Any:
    """The function of tensor expressions."""

    def average(x: te.Tensor) -> te.Tensor:
        def value(*at: Any) -> Any:
            return (x(*at).astype("int32") - scale.zero_point).astype("float32") * scale.scale

        values = te.compute(x.shape, value, name="dequantized")
        numbers = attrs.pool_size, attrs.strides, attrs.dilation, attrs.padding
        return pool(
            values,
            *numbers,
            pool_type="avg",
            ceil_mode=attrs.ceil_mode,
            layout=str(attrs.layout),
            count_include_pad=attrs.count_include_pad,
        )

    return average
