"""``KeepBytes``: what stands between the layers of a quantized network reads and writes bytes.

Quantizers write dequantize -> operator -> quantize around every operator. As such, maps of float32
are written and read between layers, at four times the memory. With D = dequantize, by one positive
scale s and zero point z for the whole tensor, and Q its reverse:

    move(D(x))                  => D(move(x))            slices, shuffles, nearest resizes, padding
    concat(D(x), D(y))          => D(concat(x, y))       if s and z are equal
    max_pool(D(x))              => D(max_pool(x))        s > 0: D keeps the order
    Q(concat(D(x), f))          => concat(Q(D(x)), Q(f)) Q is elementwise
    Q(D(x))                     => x                     if s, z and the type are equal
    add(D(x), ..), relu(D(x))   => each with a dequantization of its own

All are exact. With the last one FuseOps, which joins a value only with its one reader, makes one
function of an elementwise chain, which holds float32 in registers only.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.patterns import operators
from tvm_deconv.relax_functions import holds, with_rebuilt

from .graph import CONCAT, COPIES, ELEMENTWISE, PAD, RESIZE, Graph, dtype_of, op_name
from .rebind import rebind

QUANTIZE, DEQUANTIZE = f"relax.{operators.QUANTIZE}", f"relax.{operators.DEQUANTIZE}"
BYTES = operators.BYTES
_ELEMENTWISE = ELEMENTWISE | {QUANTIZE, f"relax.{operators.PRELU}"}
_MAX_POOLS = frozenset(f"relax.nn.max_pool{n}d" for n in (1, 2, 3))
# (q - z) * s and its division by s are then normal numbers, of which rounding makes q again.
_SCALES = (2.0**-100, 2.0**100)


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.KeepBytes")
class KeepBytes:
    """Relax module pass: the identities above, wherever they hold; the rest is as it was.

    To run after the rewrite, which looks through pairs of both, and before shuffles are lowered.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module; itself where nothing of it is dequantized."""
        return with_rebuilt(
            mod,
            lambda work, func: _Keep(work, Graph(func)) if holds(func, _is_dequantized) else None,
        )


@dataclass(frozen=True)
class Scale:
    """Of a whole tensor of bytes: value = ``scale`` * (byte - ``zero_point``)."""

    scale: float
    zero_point: int
    dtype: str

    @property
    def keeps_bytes(self) -> bool:
        """Whether quantizing what was dequantized gives the bytes back."""
        return _SCALES[0] < self.scale < _SCALES[1]

    def byte(self, value: float) -> int | None:
        """The byte that stands for ``value``; None if there is none that does so exactly."""
        byte = round(value / self.scale) + self.zero_point if np.isfinite(value) else -1 << 9
        bounds, back = np.iinfo(self.dtype), np.float32(byte - self.zero_point)
        is_exact = back * np.float32(self.scale) == np.float32(value)
        return byte if bounds.min <= byte <= bounds.max and is_exact else None


def scale_of(graph: Graph, call: relax.Call, dtype: str) -> Scale | None:
    """Of a quantization to ``dtype`` or its reverse; None if there are several, or no bytes."""
    scale, zero_point = (graph.constant(argument) for argument in call.args[1:3])
    if dtype not in BYTES or scale is None or zero_point is None:
        return None
    if scale.size != 1 or zero_point.size != 1:
        return None
    value = float(scale.item())
    return Scale(value, int(zero_point.item()), dtype) if 0 < value < np.inf else None


def _is_dequantized(expr: relax.Expr) -> bool:
    return op_name(expr) == DEQUANTIZE and dtype_of(expr.args[0]) in BYTES


@dataclass(frozen=True)
class _Bytes:
    """What a variable of float32 was dequantized from."""

    tensor: relax.Expr
    scale: Scale

    def dequantized(self) -> relax.Expr:
        s = self.scale
        values = relax.const(s.scale, "float32"), relax.const(s.zero_point, s.dtype)
        return relax.op.dequantize(self.tensor, *values, 0, "float32")


@mutator
class _Keep(PyExprMutator):
    def __init__(self, mod: tvm.IRModule, graph: Graph) -> None:
        super().__init__(mod)
        self.graph = graph
        # By new variables; ``joined`` are tensors of which one is known that was dequantized.
        self.bytes: dict[relax.Var, _Bytes] = {}
        self.joined: dict[relax.Var, tuple[list[relax.Expr], int]] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        name = op_name(binding.value)
        if name is None or binding.var not in self.graph.live:
            super().visit_var_binding_(binding)
            alias = self._known(self.visit_expr(binding.value))
            if alias is not None:
                self.bytes[self.visit_expr(binding.var)] = alias
            return
        value = self.visit_expr(binding.value)
        known = self._bytes_of(name, binding.value, value)
        if known is not None:
            value = known.dequantized()
        elif name == QUANTIZE:
            value = self._quantized(binding.value, value)
        elif name in _ELEMENTWISE:
            value = self._with_own(value)
        rebind(self, binding, value)
        new = self.visit_expr(binding.var)
        if known is not None:
            self.bytes[new] = known
        elif name == CONCAT and self._has_one_reader(binding.var):
            parts = self._parts(value)
            if any(part in self.bytes for part in parts if isinstance(part, relax.Var)):
                self.joined[new] = parts, int(value.attrs.axis)

    def _has_one_reader(self, var: relax.Var) -> bool:
        return len(self.graph.users.get(var, [])) == 1 and var not in self.graph.outputs

    def _parts(self, concat: relax.Call) -> list[relax.Expr]:
        whole = concat.args[0]
        tuple_ = self.lookup_binding(whole) if isinstance(whole, relax.Var) else whole
        return list(tuple_.fields) if isinstance(tuple_, relax.Tuple) else []

    def _bytes_of(self, name: str, old: relax.Call, call: relax.Call) -> _Bytes | None:
        """The bytes that the result of ``call`` (``old`` in new variables) is made of."""
        if name == DEQUANTIZE:
            scale = scale_of(self.graph, old, dtype_of(old.args[0]))
            is_single = str(old.attrs.out_dtype) == "float32"
            return _Bytes(call.args[0], scale) if scale is not None and is_single else None
        if name == CONCAT:
            found = [self._known(part) for part in self._parts(call)]
            first = found[0] if found else None
            if first is None or any(one is None or one.scale != first.scale for one in found):
                return None
            parts = [one.tensor for one in found if one is not None]
            return self._moved(relax.op.concat(parts, int(call.attrs.axis)), first)
        known = self._known(call.args[0]) if call.args else None
        if known is None:
            return None
        if name == PAD:
            return self._padded(call, known)
        if name in COPIES or (name == RESIZE and _is_nearest(call)) or _is_max_pool(name, call):
            moved = relax.Call(call.op, [known.tensor, *call.args[1:]], call.attrs)
            return self._moved(moved, known)
        return None

    def _padded(self, call: relax.Call, known: _Bytes) -> _Bytes | None:
        attrs, fill = call.attrs, 0
        if str(attrs.pad_mode) == "constant":
            byte = known.scale.byte(float(attrs.pad_value))
            if byte is None:
                return None
            fill = byte
        widths = [int(width) for width in attrs.pad_width]
        return self._moved(
            relax.op.nn.pad(known.tensor, widths, str(attrs.pad_mode), float(fill)), known
        )

    def _known(self, expr: Any) -> _Bytes | None:
        return self.bytes.get(expr) if isinstance(expr, relax.Var) else None

    def _moved(self, tensor: relax.Expr, like: _Bytes) -> _Bytes:
        return _Bytes(self.builder_.emit(tensor), like.scale)

    def _quantized(self, old: relax.Call, call: relax.Call) -> relax.Expr:
        source = call.args[0]
        dtype = str(old.attrs.out_dtype)
        scale = scale_of(self.graph, old, dtype)
        joined = self.joined.get(source) if isinstance(source, relax.Var) else None
        if joined is None or scale is None:
            return self._rounded(call, source, scale)
        parts, axis = joined
        return relax.op.concat(
            [self.builder_.emit(self._rounded(call, part, scale)) for part in parts], axis
        )

    def _rounded(self, call: relax.Call, value: relax.Expr, scale: Scale | None) -> relax.Expr:
        """``value`` quantized as ``call`` does it: the bytes themselves where that is nothing."""
        known = self._known(value)
        if known is None:
            return relax.Call(call.op, [value, *call.args[1:]], call.attrs)
        if known.scale == scale and scale.keeps_bytes:
            return known.tensor
        own = self.builder_.emit(known.dequantized())
        return relax.Call(call.op, [own, *call.args[1:]], call.attrs)

    def _with_own(self, call: relax.Call) -> relax.Expr:
        """``call`` with dequantizations that nothing else reads."""
        arguments = []
        for argument in call.args:
            known = self._known(argument)
            arguments.append(argument if known is None else self.builder_.emit(known.dequantized()))
        return relax.Call(call.op, arguments, call.attrs)


def _is_nearest(call: relax.Call) -> bool:
    out = str(call.attrs.out_dtype or "void")
    return str(call.attrs.method) == "nearest_neighbor" and out in ("void", "", "float32")


def _is_max_pool(name: str, call: relax.Call) -> bool:
    """A pooling in which every window holds something: of padding alone, it would be -inf."""
    if name not in _MAX_POOLS:
        return False
    attrs = call.attrs
    sizes, widths = ([int(n) for n in values] for values in (attrs.pool_size, attrs.padding))
    is_dense = all(int(n) == 1 for n in attrs.dilation)
    reach = [size - 1 for size in (*sizes, *sizes)]
    is_inside = all(width <= most for width, most in zip(widths, reach, strict=True))
    return not attrs.ceil_mode and (not any(widths) or (is_dense and is_inside))
