"""``LowerBytePools``: averages of bytes read the bytes.

    y = avg_pool(dequantize(x))  =>  y = call_tir(avg_pool, (x,))

TVM fuses nothing into what a pool reads, so a map of float32 would be written and read. The
arithmetic stays: each byte becomes the same float32 where it is read, and the sum is the same.
"""

from __future__ import annotations

from typing import Any

import tvm
from tvm import relax, te, topi
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import holds, with_rebuilt
from tvm_deconv.transform.graph import Graph, dtype_of, op_name
from tvm_deconv.transform.keep_bytes import DEQUANTIZE, Scale, scale_of
from tvm_deconv.transform.rebind import rebind

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
        return with_rebuilt(
            mod,
            lambda work, func: (
                _Rebuild(work, Graph(func, work))
                if holds(func, lambda expr: op_name(expr) in _POOLS)
                else None
            ),
        )


@mutator
class _Rebuild(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, graph: Graph) -> None:
        super().__init__(mod)
        self.graph = graph

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        call, found = binding.value, None
        if op_name(call) in _POOLS and dtype_of(call) == "float32":
            found = self._bytes_of(call.args[0])
        if found is None:
            super().visit_var_binding_(binding)
            return
        data, scale = found
        averaged = _averaged(_POOLS[str(op_name(call))], call.attrs, scale)
        made = self.builder_.call_te(averaged, self.visit_expr(data), primfunc_name_hint="avg_pool")
        rebind(self, binding, made)

    def _bytes_of(self, values: relax.Expr) -> tuple[relax.Expr, Scale] | None:
        """What ``values`` were dequantized from, if by one scale."""
        source = self.graph.value(values)
        if op_name(source) != DEQUANTIZE:
            return None
        (data, *_) = source.args
        scale = scale_of(self.graph, source, dtype_of(data))
        return None if scale is None else (data, scale)


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
