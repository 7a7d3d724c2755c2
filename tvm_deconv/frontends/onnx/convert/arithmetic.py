"""Operators of several tensors, element by element."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, is_float

# Whole exponents up to this are written out as products.
_WRITTEN_OUT = 8


def extreme(operator: Callable[..., relax.Expr]) -> Callable[[Call], relax.Expr]:
    """Max and Min of any number of tensors; a NaN in any of them is the result."""

    def pair(call: Call, a: relax.Expr, b: relax.Expr) -> relax.Expr:
        # TVM's operators keep the NaN of the second operand only.
        if isinstance(b, tvm.ir.GenericConst):
            a, b = b, a
        found = call.emit(operator(a, b))
        if isinstance(a, tvm.ir.GenericConst) or not is_float(a):
            return found
        return call.emit(relax.op.where(relax.op.isnan(a), a, found))

    def convert(call: Call) -> relax.Expr:
        values = [call.tensor(i) for i in range(len(call.inputs))]
        return reduce(lambda a, b: pair(call, a, b), values)

    return convert


def modulo(call: Call) -> relax.Expr:
    """With the sign of the dividend (fmod), else of the divisor; a dividend by infinity stays.

    TVM's own remainder of floats with the divisor's sign divides, and infinity times 0 is no
    number.
    """
    a, b = call.tensor(0), call.tensor(1)
    if call.get("fmod", 0):
        return relax.op.mod(a, b)
    if not is_float(a):
        return relax.op.floor_mod(a, b)
    rest = call.emit(relax.op.mod(a, b))
    zero = call.number(0, rest)
    signs = [call.emit(relax.op.less(value, zero)) for value in (rest, b)]
    differ = call.emit(relax.op.logical_xor(*signs))
    moves = call.emit(relax.op.logical_and(differ, call.emit(relax.op.not_equal(rest, zero))))
    return relax.op.where(moves, call.emit(relax.op.add(rest, b)), rest)


def bit_shift(call: Call) -> relax.Expr:
    """A shift by all bits or more, or by a negative number, leaves only copies of the sign.

    LLVM leaves such shifts undefined.
    """
    x, by = call.tensor(0), call.tensor(1)
    right = call.choice("direction", "", ("LEFT", "RIGHT")) == "RIGHT"
    signed, bits = dtype_of(x).startswith("int"), np.dtype(dtype_of(x)).itemsize * 8
    far = relax.op.greater_equal(by, call.number(bits, by))
    if signed:
        negative = call.emit(relax.op.less(by, call.number(0, by)))
        far = relax.op.logical_or(call.emit(far), negative)
    far = call.emit(far)
    near = call.emit(relax.op.where(far, call.number(bits - 1 if right and signed else 0, by), by))
    shifted = call.emit((relax.op.right_shift if right else relax.op.left_shift)(x, near))
    return shifted if right and signed else relax.op.where(far, call.number(0, x), shifted)


def total(call: Call) -> relax.Expr:
    """Sum of any number of tensors."""
    values = [call.tensor(i) for i in range(len(call.inputs))]
    return reduce(lambda a, b: call.emit(relax.op.add(a, b)), values)


def mean(call: Call) -> relax.Expr:
    if len(call.inputs) == 1:
        return call.tensor(0)
    summed = total(call)
    return relax.op.divide(summed, call.number(len(call.inputs), summed))


def power(call: Call) -> relax.Expr:
    """The result has the type of the base; integers go through float64."""
    base, exponent = call.tensor(0), call.tensor(1)
    kind = dtype_of(base)
    if isinstance(exponent, tvm.ir.GenericConst) and exponent.value.numpy().size == 1:
        value = float(exponent.value.numpy().reshape(()))
        rank = exponent.value.numpy().ndim
        if value.is_integer() and 1 <= value <= _WRITTEN_OUT and rank <= len(base.ty.shape):
            return _written_out(call, base, int(value))
    wide = kind if is_float(base) else "float64"
    operands = [
        value if dtype_of(value) == wide else call.emit(relax.op.astype(value, wide))
        for value in (base, exponent)
    ]
    found = relax.op.power(*operands)
    return found if wide == kind else relax.op.astype(call.emit(found), kind)


def _written_out(call: Call, base: relax.Expr, exponent: int) -> relax.Expr:
    found = None
    while exponent:
        if exponent % 2:
            found = base if found is None else call.emit(relax.op.multiply(found, base))
        exponent //= 2
        if exponent:
            base = call.emit(relax.op.multiply(base, base))
    return found


def equal(call: Call) -> relax.Expr:
    """Of truth values, too, which LLVM compares as integers only."""
    values = [call.tensor(0), call.tensor(1)]
    if dtype_of(values[0]) == "bool":
        values = [call.emit(relax.op.astype(value, "uint8")) for value in values]
    return relax.op.equal(*values)


def gemm(call: Call) -> relax.Expr:
    """alpha * A B + beta * C, where C broadcasts to the product."""
    a, b, c = call.tensor(0), call.tensor(1), call.input(2)
    alpha, beta = call.get("alpha", 1.0), call.get("beta", 1.0)
    if len(a.ty.shape) != 2 or len(b.ty.shape) != 2:
        refuse(f"its operands have {len(a.ty.shape)} and {len(b.ty.shape)} axes, not 2")
    if alpha != 1 and not is_float(a):
        refuse(f"alpha is {alpha:g} for integers: it must be 1")
    a = call.emit(relax.op.permute_dims(a, [1, 0])) if call.get("transA", 0) else a
    b = call.emit(relax.op.permute_dims(b, [1, 0])) if call.get("transB", 0) else b
    y = call.emit(relax.op.matmul(a, b))
    y = y if alpha == 1 else call.emit(relax.op.multiply(y, call.number(alpha, y)))
    if c is None or beta == 0:
        return y
    scaled = c if beta == 1 else call.emit(relax.op.multiply(c, call.number(beta, c)))
    return relax.op.add(y, scaled)
