"""``ReadTransposed``: products of matrices whose right operand is read as it lies, not transposed.

    t = permute_dims(b, [..., n, k] -> [..., k, n]); y = matmul(a, t)
    => y[.., i, j] = sum over k of a[.., i, k] * b[.., j, k]

So attention takes q k^T. The kernel packs its right operand by panels anyway where rows are many,
and is one of dot products where they are few. A left operand stays a copy: a kernel that read down
its columns took a tenth longer for 512x512x512.

Where b is much larger than a, as weights of attention are that stand on the right of v, packing it
is most of the time. Then the product is computed the other way round, and its result transposed:

    u[.., j, i] = sum over k of b[.., j, k] * a[.., i, k]; y = permute_dims(u, [..., i, j])
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import tvm
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.target import Target

from tvm_deconv.relax_functions import holds, with_rebuilt
from tvm_deconv.schedules.cpu.machine import is_cpu

from .graph import dtype_of, op_name, same_shape, shape_of

_MATMUL, _PERMUTE = "relax.matmul", "relax.permute_dims"

# Of a product that packs: squares of the widest vectors fit into its right operand.
_LEAST = 16

# A result is written and, to be transposed, read and written again.
_COPIES_OF_RESULT = 2


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ReadTransposed")
class ReadTransposed:
    """Relax module pass: what the module's docstring says, in float32 and for processors."""

    def __init__(self, target: Target) -> None:
        self._is_cpu = is_cpu(target)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def read(work: tvm.IRModule, func: relax.Function) -> _Read | None:
            return _Read(work) if holds(func, lambda expr: op_name(expr) == _MATMUL) else None

        return with_rebuilt(mod, read) if self._is_cpu else mod


@mutator
class _Read(PyExprMutator):
    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        if op_name(call) != _MATMUL or dtype_of(call) != "float32":
            return call
        a, b = call.args
        right, shape, sizes = self._transposed(b), shape_of(call), (shape_of(b) or ())[-2:]
        is_large = all(isinstance(size, int) and size >= _LEAST for size in sizes)
        if right is None or shape is None or not is_large or len(shape_of(a) or ()) < 2:
            return call
        if not _is_better_turned(shape_of(a) or (), shape_of(right) or ()):
            return self.builder_.call_te(_product(shape), a, right, primfunc_name_hint="matmul")
        *outer, m, n = shape
        product = _product((*outer, n, m))
        turned = self.builder_.call_te(product, right, a, primfunc_name_hint="matmul")
        last = len(shape) - 1
        order = [*range(last - 1), last, last - 1]
        return relax.op.permute_dims(self.builder_.emit(turned), order)

    def _transposed(self, operand: relax.Expr) -> relax.Expr | None:
        """What ``operand`` is with its last two axes exchanged; None if it is nothing so."""
        value = self.lookup_binding(operand) if isinstance(operand, relax.Var) else None
        if value is None or op_name(value) != _PERMUTE or dtype_of(operand) != "float32":
            return None
        count = len(shape_of(operand) or ())
        axes = value.attrs.axes
        if count < 2:
            return None
        order = list(range(count))[::-1] if axes is None else [int(axis) % count for axis in axes]
        expected = [*range(count - 2), count - 1, count - 2]
        return value.args[0] if order == expected else None


def _is_better_turned(a: Sequence[Any], b: Sequence[Any]) -> bool:
    """Whether a[.., m, k] and the transposed result are less to copy than b[.., n, k].

    Both have the same outer axes, so that as many matrices are copied either way.
    """
    *outer, m, k = a
    if not isinstance(m, int) or m < _LEAST or not same_shape(outer, b[:-2]):
        return False
    n = int(b[-2])
    return k * n > k * m + _COPIES_OF_RESULT * m * n


def _product(shape: tuple[Any, ...]) -> Callable[[te.Tensor, te.Tensor], te.Tensor]:
    """matmul with the right operand transposed, and a result of this shape."""

    def matmul(a: te.Tensor, b: te.Tensor) -> te.Tensor:
        step = te.reduce_axis((0, a.shape[-1]), name="k")

        def element(*at: Any) -> Any:
            *outer, i, j = at
            return te.sum(a[_place(a, outer, i, step)] * b[_place(b, outer, j, step)], axis=step)

        return te.compute(shape, element, name="matmul")

    return matmul


def _place(tensor: te.Tensor, outer: list[Any], row: Any, column: Any) -> tuple[Any, ...]:
    """An element of a matrix among others, which are repeated along outer axes of size 1."""
    own = list(tensor.shape)[:-2]
    at = outer[len(outer) - len(own) :]
    is_one = [isinstance(size, tvm.tirx.IntImm) and int(size.value) == 1 for size in own]
    repeated = [0 if one else place for one, place in zip(is_one, at, strict=True)]
    return (*repeated, row, column)
