"""``LowerByteResizes``: bytes that are enlarged become bytes.

    y = quantize(linear_resize(dequantize(x), r))  =>  y = call_tir(resize, (x,))
    y = nearest_resize(x, r)                       =>  y = call_tir(repeat, (x,))

for whole factors (half_pixel). The sums are those of integers, each of which is rounded once
(``schedules.cpu.integer.resize``): half of what lies exactly between two bytes, one in sixteen for
r = 2 and one scale, is rounded otherwise than by sums of float32, which are a little off.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import tvm
from tvm import relax, tirx

from tvm_deconv.patterns.copying import resize_factors
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.cpu.integer.nearest import repeats, write_nearest
from tvm_deconv.schedules.cpu.integer.resize import ByteResize, write_resize
from tvm_deconv.schedules.cpu.machine import is_cpu
from tvm_deconv.transform.graph import RESIZE, Graph, dtype_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE, scale_of

from .byte_kernels import ByteKernel, with_byte_kernels


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerByteResizes")
class LowerByteResizes:
    """Relax module pass: the above, for maps NCHW of any size on processors.

    To run after ``KeepBytes`` and before LegalizeOps. Other modules are handed back themselves.
    """

    def __init__(self, target: tvm.target.Target) -> None:
        self._is_meant = is_cpu(target)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every such resize as a call of a function ``resize`` or ``repeat``."""
        return with_byte_kernels(mod, _enlarged) if self._is_meant else mod


@dataclass(frozen=True)
class _Resized(ByteKernel):
    source: relax.Var
    resize: ByteResize

    name = "resize"

    @property
    def form(self) -> ByteResize:
        return self.resize

    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        return write_resize(self.resize, sizes)


@dataclass(frozen=True)
class _Repeated(ByteKernel):
    source: relax.Var
    factors: tuple[int, int]

    name = "repeat"

    @property
    def form(self) -> tuple[tuple[int, int], str]:
        return self.factors, dtype_of(self.source)

    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        return write_nearest(*self.form, sizes)


def _enlarged(graph: Graph, result: relax.Var) -> _Resized | _Repeated | None:
    return _repeated(graph, result) or _resized(graph, result)


def _repeated(graph: Graph, result: relax.Var) -> _Repeated | None:
    """What bytes ``result`` repeats; None if it is no nearest resize of bytes."""
    if graph.op(result) != RESIZE or dtype_of(result) not in BYTES:
        return None
    call = graph.call(result)
    assert call is not None
    factors = resize_factors(graph, result, call, "NCHW")
    data = call.args[0]
    if isinstance(factors, Refused) or not isinstance(data, relax.Var) or not repeats(factors):
        return None
    return _Repeated(data, factors)


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
