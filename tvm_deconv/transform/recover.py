"""A working copy in which operators that an importer lowered too early are Relax operators again.

TVM 0.27's ONNX importer emits Pad, Clip and Tile as calls of PrimFuncs, and symbolic sizes of
Resize as ``Cast(int64, float32(2) * Cast(float32, H))``. Names say nothing reliable about a
PrimFunc, so each is compared structurally with what TVM itself generates for the operator that it
might be: equal code is equal meaning. What changes nothing (a reshape to the same shape, as
PyTorch's ONNX exporter writes on both sides of a shuffle) is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial
from itertools import permutations, product
from typing import Any

import tvm
import tvm_ffi
from tvm import relax, sym, topi
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.relax.utils import gen_call_tir_inputs

from tvm_deconv.relax_functions import holds

from .graph import op_name, shape_of, static

_PADS = {
    "constant": topi.nn.pad,
    "reflect": partial(topi.nn.mirror_pad, mode="REFLECT"),
    "replicate": topi.nn.replicate_pad,
    "circular": topi.nn.circular_pad,
}
_EXTREMES = {
    tvm.tirx.Max: (topi.maximum, relax.op.maximum),
    tvm.tirx.Min: (topi.minimum, relax.op.minimum),
}

Build = Callable[[list[relax.Expr]], relax.Expr]


def recover(mod: tvm.IRModule) -> tvm.IRModule:
    """A copy of ``mod`` with PrimFuncs recognised as Relax operators, aliases and what changes
    nothing removed and sizes in integers."""
    work = relax.transform.CanonicalizeBindings()(mod).clone()
    for name, func in work.functions_items():
        if isinstance(func, relax.Function) and holds(func, _may_change):
            work.update_func(name, _Recover(mod).visit_expr(func))
    return relax.transform.CanonicalizeBindings()(work)


def _may_change(value: relax.Expr) -> bool:
    """Whether there may be anything to recover in what a variable is bound to."""
    if not isinstance(value, relax.Call):
        return isinstance(value, relax.ShapeExpr)
    if op_name(value) == "relax.call_tir" or _is_own_operand(value):
        return True
    # Sizes that are numbers are in integers already.
    shapes = [argument for argument in value.args if isinstance(argument, relax.ShapeExpr)]
    return not all(isinstance(size, tvm.tirx.IntImm) for shape in shapes for size in shape.values)


def _is_own_operand(call: relax.Call) -> bool:
    """Whether a call gives its operand back as it is."""
    if op_name(call) not in ("relax.reshape", "relax.permute_dims"):
        return False
    operand = call.args[0]
    if op_name(call) == "relax.permute_dims":
        axes = call.attrs.axes
        return axes is not None and [int(axis) for axis in axes] == list(range(len(axes)))
    before, after = shape_of(operand), call.args[1]
    return (
        before is not None
        and isinstance(after, relax.ShapeExpr)
        and len(before) == len(after.values)
        and all(_difference(a, b) == 0 for a, b in zip(after.values, before, strict=True))
    )


@mutator
class _Recover(PyExprMutator):
    def __init__(self, mod: tvm.IRModule) -> None:
        super().__init__()
        self.mod = mod

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        build = recognise(self.mod, call) if op_name(call) == "relax.call_tir" else None
        if build is None:
            call = super().visit_call_(call)
            return call.args[0] if _is_own_operand(call) else call
        tensors = [self.visit_expr(tensor) for tensor in _tensors(call)]
        return self.builder_.normalize(build(tensors))

    def visit_shape_expr_(self, shape: relax.ShapeExpr) -> relax.Expr:
        return relax.ShapeExpr([integer_size(size) for size in shape.values])


def integer_size(expr: Any) -> Any:
    """``Cast(int64, float(k) * Cast(float, n))`` as ``k*n`` where k is a whole number.

    Equal for every n below 2**24, where float32 starts to skip integers.
    """
    if not isinstance(expr, tvm.tirx.Cast) or not _is_integer(expr):
        return expr
    inner = expr.value
    if isinstance(inner, tvm.tirx.Mul):
        for scale, size in ((inner.a, inner.b), (inner.b, inner.a)):
            whole = isinstance(scale, tvm.tirx.FloatImm) and float(scale.value).is_integer()
            if whole and isinstance(size, tvm.tirx.Cast) and _is_integer(size.value):
                n = integer_size(size.value)
                return sym.Analyzer().simplify(n * int(scale.value))
    return expr


def recognise(mod: tvm.IRModule, call: relax.Call) -> Build | None:
    """How to build the Relax call that a ``call_tir`` is the lowered form of, or None."""
    if len(call.args) != 2 or len(call.ty_args) != 1 or not isinstance(call.args[1], relax.Tuple):
        return None
    func = mod[call.args[0]]
    if not isinstance(func, tvm.tirx.PrimFunc):
        return None
    for generate, arguments, build in _guesses(call, _stored(func.body), _tensors(call)):
        expected = gen_call_tir_inputs(generate, *arguments)[0]
        if any(tvm_ffi.structural_equal(form, func) for form in _orders(expected)):
            return build
    return None


def _tensors(call: relax.Call) -> list[relax.Expr]:
    return [a for a in call.args[1].fields if isinstance(a.ty, relax.TensorType)]


def _orders(func: tvm.tirx.PrimFunc) -> Iterator[tvm.tirx.PrimFunc]:
    """``func`` with its scalar parameters in every order: TVM leaves them in the order of a set."""
    scalars = [i for i, param in enumerate(func.params) if isinstance(param.ty, tvm.ir.PrimType)]
    for order in permutations(scalars):
        params = list(func.params)
        for place, source in zip(scalars, order, strict=True):
            params[place] = func.params[source]
        yield tvm.tirx.PrimFunc(params, func.body, func.ret_type, func.attrs)


def _guesses(
    call: relax.Call, stored: Any, tensors: list[relax.Expr]
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], Build]]:
    """(TVM's generator, its arguments, the Relax call) for what the call might be."""
    if type(stored) in _EXTREMES:
        generate, operator = _EXTREMES[type(stored)]
        sides = (stored.a, stored.b)
        if len(tensors) == 2 and all(isinstance(side, tvm.ir.TensorLoad) for side in sides):
            yield generate, tuple(tensors), lambda t: operator(*t)
        elif len(tensors) == 1 and isinstance(stored.b, tvm.tirx.FloatImm):
            bound = float(stored.b.value)
            scalar = relax.const(bound, tensors[0].ty.dtype)
            yield generate, (tensors[0], bound), lambda t: operator(t[0], scalar)
        return
    source, target = shape_of(tensors[0]) if tensors else None, _out_shape(call)
    if len(tensors) != 1 or source is None or target is None or len(source) != len(target):
        return
    if all(isinstance(d, int) for d in (*source, *target)):
        counts = tuple(t // max(s, 1) for t, s in zip(target, source, strict=True))
        yield topi.tile, (tensors[0], counts), lambda t: relax.op.tile(t[0], counts)
    extra = [_difference(a, b) for a, b in zip(target, source, strict=True)]
    yield from _pads(stored, tensors[0], extra)


def _pads(
    stored: Any, tensor: relax.Expr, extra: list[int | None]
) -> Iterator[tuple[Callable[..., Any], tuple[Any, ...], Build]]:
    if any(e is None or e < 0 for e in extra) or not any(extra):
        return
    widths = [e or 0 for e in extra]
    value = 0.0
    if isinstance(stored, relax.Call) and isinstance(stored.args[-1], tvm.tirx.FloatImm):
        value = float(stored.args[-1].value)
    numbers = _numbers(stored)
    for begins in product(*(_begins(width, numbers) for width in widths)):
        ends = tuple(width - begin for width, begin in zip(widths, begins, strict=True))
        both = [side for pair in zip(begins, ends, strict=True) for side in pair]
        for mode, generate in _PADS.items():
            arguments = (tensor, begins, ends) + ((value,) if mode == "constant" else ())
            yield generate, arguments, partial(_pad, both, mode, value)


def _pad(both: list[int], mode: str, value: float, tensors: list[relax.Expr]) -> relax.Expr:
    return relax.op.nn.pad(tensors[0], both, mode, value)


def _begins(width: int, numbers: set[int]) -> list[int]:
    """How wide a padding of ``width`` in all may begin: what begins is in the code as a number."""
    possible = [begin for begin in range(width + 1) if begin in numbers or begin == 0]
    return sorted(possible, key=lambda begin: abs(2 * begin - width))


def _numbers(expr: Any) -> set[int]:
    """All integers in an expression."""
    found: list[Any] = []
    if expr is not None:
        tvm_ffi.structural_walk(expr, (tvm.tirx.IntImm, found.append))
    return {abs(int(number.value)) for number in found}


def _stored(body: Any) -> Any:
    """The value that the only store of a generated PrimFunc writes."""
    while not isinstance(body, tvm.tirx.BufferStore):
        inner = getattr(body, "body", None) or getattr(body, "block", None)
        if inner is None:
            return None
        body = inner
    return body.value


def _out_shape(call: relax.Call) -> tuple[Any, ...] | None:
    ty = call.ty_args[0]
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        return None
    return tuple(static(d) for d in ty.shape.values)


def _difference(a: Any, b: Any) -> int | None:
    if isinstance(a, int) and isinstance(b, int):
        return a - b
    found = static(sym.Analyzer().simplify(a - b))
    return found if isinstance(found, int) else None


def _is_integer(expr: Any) -> bool:
    return str(expr.ty.dtype).startswith("int")
