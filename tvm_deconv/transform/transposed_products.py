"""``ReadTransposed``: products of matrices whose right operand is read as it lies, not transposed.

    t = permute_dims(b, [..., n, k] -> [..., k, n]); y = matmul(a, t)
    => y[.., i, j] = sum over k of a[.., i, k] * b[.., j, k]

So attention takes q k^T. The kernel packs its right operand by panels anyway where rows are many,
and is one of dot products where they are few. A left operand stays a copy: a kernel that read down
its columns took a tenth longer for 512x512x512.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.target import Target

from tvm_deconv.relax_functions import holds, with_rebuilt

from .graph import dtype_of, op_name, shape_of

_MATMUL, _PERMUTE = "relax.matmul", "relax.permute_dims"

# Of a product that packs: squares of the widest vectors fit into its right operand.
_LEAST = 16


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ReadTransposed")
class ReadTransposed:
    """Relax module pass: what the module's docstring says, in float32 and for processors."""

    def __init__(self, target: Target) -> None:
        self._is_cpu = str(target.kind.name) == "llvm"

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
        product = _product(shape)
        return self.builder_.call_te(product, a, right, primfunc_name_hint="matmul")

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
