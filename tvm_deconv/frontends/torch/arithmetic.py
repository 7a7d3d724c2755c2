"""Operators of two and three tensors, elementwise: promotion of types as in PyTorch.

PyTorch promotes by three kinds (bool, integer, float) and lets a tensor without axes, or a number,
change the kind only. The result's type is in PyTorch's record; the type in which two operands are
compared is asked of ``torch.result_type``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from torch import fx
from tvm import relax, tirx

from tvm_deconv.errors import ModelError

from .sizes import integer
from .translation import Converter, Translation
from .values import is_tensor, shape_of, value_of

Op = Callable[..., relax.Expr]


def common_dtype(t: Translation, *operands: int) -> str:
    """The type in which PyTorch computes with the arguments at these positions."""
    records = [_record(t.node.args[position]) for position in operands]
    found = torch.result_type(records[0], records[-1])
    return str(found).removeprefix("torch.")


def _record(argument: Any) -> Any:
    if not isinstance(argument, fx.Node):
        return argument
    record = argument.meta["val"]
    if isinstance(record, torch.SymInt):
        return 1
    return 1.0 if isinstance(record, torch.SymFloat) else record


def apply(t: Translation, op: Op, operands: Sequence[Any], dtype: str) -> relax.Expr:
    """``op`` of tensors and numbers as ``dtype``, the result as PyTorch recorded it."""
    working = dtype
    if dtype == "bool":
        working = "int8"
    elif dtype == "float16" and not all(map(_is_half, operands)):
        # PyTorch keeps the numbers of half-precision arithmetic in float32: 1e5 is not infinite.
        working = "float32"
    arguments = [t.cast(x, working) if is_tensor(x) else t.scalar(x, working) for x in operands]
    return t.cast(t.emit(op(*fitted(t, arguments))), t.dtype)


def fitted(
    t: Translation, tensors: Sequence[relax.Expr], apart: int | None = None
) -> list[relax.Expr]:
    """The tensors, sizes that are formulas replaced by those that they stand beside.

    Along the axis ``apart``, counted from the last, they may differ.

    PyTorch exports that only where they are equal: a decoder doubles what its encoder has halved.
    TVM does not broadcast them. They are compared when the program runs. Where all are formulas,
    the first is taken; a free size of an input alone never is (TVM takes a cast to it for its
    definition).
    """
    shapes = [shape_of(x) for x in tensors]
    wanted: dict[int, Any] = {}
    for shape in shapes:
        for axis, size in enumerate(reversed(shape)):
            if axis == apart:
                continue
            if isinstance(size, int) and size != 1:
                wanted[axis] = size
            elif not isinstance(size, (int, tirx.Var)):
                wanted.setdefault(axis, size)
    result = []
    for x, shape in zip(tensors, shapes, strict=True):
        new = [
            size if isinstance(size, int) else wanted.get(len(shape) - 1 - axis, size)
            for axis, size in enumerate(shape)
        ]
        changed = not all(map(t.sizes.equal, new, shape))
        ty = relax.TensorType([integer(size) for size in new], str(x.ty.dtype))
        result.append(t.builder.match_cast(x, ty) if changed else x)
    return result


def _is_half(operand: Any) -> bool:
    if is_tensor(operand):
        return True
    return (
        isinstance(operand, (bool, int, float))
        and abs(operand) <= 65504
        and float(np.float16(operand)) == operand
    )


def binary(op: Op) -> Converter:
    """Computed in the type of the result."""

    def convert(t: Translation, a: Any, b: Any) -> relax.Expr:
        return apply(t, op, (a, b), t.dtype)

    return convert


def extreme(op: Op) -> Op:
    """maximum or minimum: NaN where either operand is, of which TVM's keeps the second's only."""

    def convert(a: relax.Expr, b: relax.Expr) -> relax.Expr:
        if not str(a.ty.dtype).startswith("float") or value_of(a) is not None:
            return op(a, b)
        if value_of(b) is not None:
            return op(b, a)
        return relax.op.where(relax.op.isnan(a), a, op(a, b))

    return convert


def number_of(op: Op) -> Op:
    """fmax or fmin: the number where the other operand is NaN."""

    def convert(a: relax.Expr, b: relax.Expr) -> relax.Expr:
        if not str(a.ty.dtype).startswith("float"):
            return op(a, b)
        either = relax.op.where(relax.op.isnan(b), a, op(a, b))
        return relax.op.where(relax.op.isnan(a), b, either)

    return convert


def comparison(op: Op) -> Converter:
    """Computed in the common type, the result is bool."""

    def convert(t: Translation, a: Any, b: Any) -> relax.Expr:
        dtype = common_dtype(t, 0, 1)
        return apply(t, op, (a, b), dtype)

    return convert


def logical(op: Op) -> Converter:
    def convert(t: Translation, *operands: Any) -> relax.Expr:
        return op(*(t.cast(x, "bool") for x in operands))

    return convert


def bitwise(on_bits: Op, on_bools: Op) -> Converter:
    def convert(t: Translation, *operands: Any) -> relax.Expr:
        op = on_bools if t.dtype == "bool" else on_bits
        return op(*(t.cast(x, t.dtype) if is_tensor(x) else t.scalar(x, t.dtype) for x in operands))

    return convert


def add(t: Translation, a: Any, b: Any, alpha: Any) -> relax.Expr:
    return apply(t, relax.op.add, (a, _times(t, b, alpha)), t.dtype)


def subtract(t: Translation, a: Any, b: Any, alpha: Any) -> relax.Expr:
    return apply(t, relax.op.subtract, (a, _times(t, b, alpha)), t.dtype)


def reverse_subtract(t: Translation, a: Any, b: Any, alpha: Any) -> relax.Expr:
    return apply(t, relax.op.subtract, (b, _times(t, a, alpha)), t.dtype)


def _times(t: Translation, x: Any, alpha: Any) -> Any:
    if isinstance(alpha, (int, float)) and alpha == 1:
        return x
    if not is_tensor(x):
        return x * alpha
    return apply(t, relax.op.multiply, (x, alpha), t.dtype)


def power(t: Translation, base: Any, exponent: Any) -> relax.Expr:
    if not t.dtype.startswith("float"):
        return _integer_power(t, base, exponent)
    if isinstance(exponent, (int, float)):
        x = t.cast(base, "float32" if t.dtype == "float16" else t.dtype)
        special = _SPECIAL_POWERS.get(float(exponent))
        if special is not None:
            return t.cast(t.emit(special(x)), t.dtype)
        if 0 <= exponent <= 64 and float(exponent).is_integer():
            return t.cast(whole_power(t, x, int(exponent)), t.dtype)
    working = "float32" if t.dtype == "float16" else t.dtype
    return apply(t, relax.op.power, (base, exponent), working)


# Those that PyTorch does not compute by pow().
_SPECIAL_POWERS: dict[float, Op] = {
    0.5: relax.op.sqrt,
    1.0: lambda x: relax.op.multiply(x, relax.const(1, str(x.ty.dtype))),
    2.0: lambda x: relax.op.multiply(x, x),
    3.0: lambda x: relax.op.multiply(relax.op.multiply(x, x), x),
    -0.5: relax.op.rsqrt,
    -1.0: lambda x: relax.op.divide(relax.const(1, str(x.ty.dtype)), x),
    -2.0: lambda x: relax.op.divide(relax.const(1, str(x.ty.dtype)), relax.op.multiply(x, x)),
}


def _integer_power(t: Translation, base: Any, exponent: Any) -> relax.Expr:
    if not isinstance(exponent, int) or not is_tensor(base):
        raise ModelError("an integer power needs a fixed exponent: compute it in floats")
    if exponent < 0:
        raise ModelError(f"integers to the power of {exponent}")
    return whole_power(t, t.cast(base, t.dtype), exponent)


def whole_power(t: Translation, x: relax.Expr, exponent: int) -> relax.Expr:
    """Products: TVM warns that its pow() is not to be used with negative numbers."""
    if exponent == 0:
        return t.emit(relax.op.ones_like(x))
    result, square = None, x
    while True:
        if exponent % 2:
            result = square if result is None else t.emit(relax.op.multiply(result, square))
        exponent //= 2
        if not exponent:
            return result
        square = t.emit(relax.op.multiply(square, square))


def clamp(t: Translation, x: relax.Expr, low: Any, high: Any) -> relax.Expr:
    """Bounds are numbers, tensors or absent; the lower one is applied first."""
    for op, bound in ((extreme(relax.op.maximum), low), (extreme(relax.op.minimum), high)):
        if bound is not None:
            x = apply(t, op, (x, bound), t.dtype)
    return t.cast(x, t.dtype)


def clamp_min(t: Translation, x: relax.Expr, low: Any) -> relax.Expr:
    return clamp(t, x, low, None)


def clamp_max(t: Translation, x: relax.Expr, high: Any) -> relax.Expr:
    return clamp(t, x, None, high)


def where(t: Translation, condition: relax.Expr, a: Any, b: Any) -> relax.Expr:
    values = [t.cast(x, t.dtype) if is_tensor(x) else t.scalar(x, t.dtype) for x in (a, b)]
    return relax.op.where(t.cast(condition, "bool"), *values)


def masked_fill(t: Translation, x: relax.Expr, mask: relax.Expr, value: Any) -> relax.Expr:
    return where(t, mask, value, x)
