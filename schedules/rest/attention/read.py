"""Which three functions are attention, and how the axes of its two products belong together.

scores[.., i, j] = epilogue(sum over k of q[.., i, k] * keys[.., k, j])
weights = softmax(scores)                                             # along j
y[.., i, n] = epilogue(sum over j of weights[.., i, j] * values[.., j, n])
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import tvm_ffi
from tvm import te, tirx, topi

from tvm_deconv.schedules.rest.product.read import Product
from tvm_deconv.schedules.rest.stage import Expr, StageAxis, static_value

_FLOAT = "float32"


@dataclass(frozen=True, eq=False)
class Attention:
    """The two products, and which of the outer axes of the second is which of the first.

    Outer axes of the second that are not among ``same`` have one step.
    """

    scores: Product
    values: Product
    same: dict[StageAxis, StageAxis]

    @property
    def height(self) -> int:
        """Rows of a place of the outer axes."""
        assert self.scores.rows is not None and self.scores.rows.size is not None
        return self.scores.rows.size

    @property
    def width(self) -> int:
        """Scores of a row."""
        assert self.scores.columns.size is not None
        return self.scores.columns.size


def attention_of(scores: Product, values: Product) -> Attention | None:
    """The two products as one; None where rows or columns of theirs are others.

    What ``scores`` stores is, after softmax, the left operand of ``values``.
    """
    stored, read = scores.store, values.a.load
    if str(stored.buffer.dtype) != _FLOAT or scores.rows is None or values.rows is None:
        return None
    if scores.rows.size is None or scores.columns.size is None:
        return None
    before = _axes(stored.indices, [*scores.outer, scores.rows, scores.columns])
    after = _axes(read.indices, [*values.outer, values.rows, values.depth])
    if before is None or after is None or len(before) != len(after):
        return None
    if before[-1] is not scores.columns or after[-1] is not values.depth:
        return None
    same: dict[StageAxis, StageAxis] = {}
    for mine, its in zip(before[:-1], after[:-1], strict=True):
        if (mine is scores.rows) != (its is values.rows):
            return None
        if its is None or its is values.rows:
            continue
        if mine is None:
            # Of one step in the first product, so of one here.
            continue
        same[its] = mine
    others = [axis for axis in values.outer if axis not in same]
    if any(axis.size != 1 for axis in others):
        return None
    return Attention(scores, values, same)


def _axes(indices: Sequence[Expr], axes: Sequence[StageAxis]) -> list[StageAxis | None] | None:
    """Of each index its axis, or None where it is 0; None where one is anything else.

    Each axis of more than one step must be there, once.
    """
    found: list[StageAxis | None] = []
    left = list(axes)
    for at in indices:
        own = [axis for axis in left if at.same_as(axis.var)]
        if own:
            left.remove(own[0])
        elif static_value(at) != 0:
            return None
        found.append(own[0] if own else None)
    return None if any(axis.size != 1 for axis in left) else found


def is_softmax(func: tirx.PrimFunc) -> bool:
    """Whether ``func``, not scheduled yet, is TVM's softmax along the last axis, in float32."""
    if len(func.params) != 2 or not all(hasattr(param, "shape") for param in func.params):
        return False
    given = func.params[0]
    if str(given.dtype) != _FLOAT or not len(given.shape):
        return False
    x = te.placeholder(tuple(given.shape), _FLOAT, name="x")
    usual = te.create_prim_func([x, topi.nn.softmax(x, axis=-1)], index_dtype_override="int64")
    plain = [tirx.PrimFunc(f.params, f.body, f.ret_type) for f in (func, usual)]
    return bool(tvm_ffi.structural_equal(*plain))
