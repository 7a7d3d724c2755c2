"""``LowerByteResizes``: bytes that are enlarged linearly become bytes.

    y = quantize(linear_resize(dequantize(x), r))  =>  y = call_tir(resize, (x,))

for whole factors (half_pixel). The sums are those of integers, each of which is rounded once
(``schedules.cpu.integer.resize``): half of what lies exactly between two bytes, one in sixteen for
r = 2 and one scale, is rounded otherwise than by sums of float32, which are a little off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import opaque, with_rebuilt
from tvm_deconv.schedules.cpu.integer.resize import ByteResize, write_resize
from tvm_deconv.transform.graph import Graph, dtype_of, shape_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE, scale_of
from tvm_deconv.transform.rebind import rebind

from .lower_integers import has_bytes


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerByteResizes")
class LowerByteResizes:
    """Relax module pass: the above, for maps NCHW of any size on processors.

    To run after ``KeepBytes`` and before LegalizeOps. Other modules are handed back themselves.
    """

    def __init__(self, target: tvm.target.Target) -> None:
        self._is_meant = target.kind.name == "llvm"

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every such resize as a call of a function ``resize``."""

        def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
            if not has_bytes(func):
                return None
            graph = Graph(func, work)
            found = {var: _resized(graph, var) for var in graph.order if var in graph.live}
            resizes = {var: one for var, one in found.items() if one is not None}
            return _Rebuild(work, resizes) if resizes else None

        return with_rebuilt(mod, rebuild) if self._is_meant else mod


@dataclass(frozen=True)
class _Resized:
    source: relax.Var
    resize: ByteResize


def _resized(graph: Graph, result: relax.Var) -> _Resized | None:
    """What ``result`` is a quantized linear resize of; None if it is none."""
    call = graph.value(result)
    if graph.op(result) != QUANTIZE or dtype_of(result) not in BYTES:
        return None
    found = graph.interpolated(call.args[0])
    if found is None or len(found.factors) != 4 or found.factors[:2] != (1, 1):
        return None
    source = graph.value(found.data)
    if graph.op(found.data) != DEQUANTIZE or dtype_of(found.data) != "float32":
        return None
    data = source.args[0]
    scales = scale_of(graph, source, dtype_of(data)), scale_of(graph, call, dtype_of(result))
    if None in scales or not isinstance(data, relax.Var):
        return None
    own, y = scales
    assert own is not None and y is not None
    if not (own.keeps_bytes and y.keeps_bytes):
        return None
    resize = ByteResize(
        (found.factors[2], found.factors[3]),
        (own.dtype, y.dtype),
        (own.zero_point, y.zero_point),
        own.scale / y.scale,
    )
    return _Resized(data, resize) if resize.sums else None


@mutator
class _Rebuild(PyExprMutator):
    """Replaces each resize by a call of its function; the rest is copied."""

    def __init__(self, mod: tvm.IRModule, resizes: dict[relax.Var, _Resized]) -> None:
        super().__init__(mod)
        self.resizes = resizes
        self.known: dict[Any, tvm.ir.GlobalVar] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        found = self.resizes.get(binding.var)
        if found is None:
            super().visit_var_binding_(binding)
            return
        arguments = [self.visit_expr(found.source)]
        rebind(self, binding, relax.call_tir(self._callee(found), arguments, binding.var.ty))

    def _callee(self, found: _Resized) -> tvm.ir.GlobalVar:
        sizes = tuple(
            size if isinstance(size, int) else None for size in shape_of(found.source) or ()
        )
        key = sizes, found.resize
        if key not in self.known:
            free = [
                tvm.tirx.Var(name, "int64") if size is None else size
                for name, size in zip("nchw", sizes, strict=True)
            ]
            func = opaque(write_resize(found.resize, free))
            self.known[key] = self.builder_.add_func(func, "resize")
        return self.known[key]
