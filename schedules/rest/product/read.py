"""Which functions are products of matrices, and what the axes of one are for.

    y[outer, m, n] = epilogue(sum over k of a[outer, m, k] * b[outer, k, n])

``n`` are neighbours in memory of the result, and no axis of ``a``. Rows of several axes that lie
one behind the other (batch and tokens of a Linear layer, a picture's pixels in NHWC) are one axis.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from tvm import tirx

from tvm_deconv.schedules.rest.contraction import epilogue_positions
from tvm_deconv.schedules.rest.injective import is_injective, is_joined
from tvm_deconv.schedules.rest.reduction import Accumulation, Operand, accumulations_of, operands_of
from tvm_deconv.schedules.rest.stage import (
    Expr,
    Load,
    Stage,
    StageAxis,
    Var,
    loads_of,
    static_value,
    substitute,
)

_FLOAT = "float32"

# Fewer columns are no vector.
_FEWEST_COLUMNS = 4


@dataclass(frozen=True, eq=False)
class Product:
    """Operands and axes; ``store`` is what becomes of the sum ``total``.

    ``rows`` is None for a vector times a matrix. ``outer`` are all other axes of the result, in
    order. ``indices`` are those at which ``store`` reads the sum.
    """

    a: Operand
    b: Operand
    outer: tuple[StageAxis, ...]
    rows: StageAxis | None
    columns: StageAxis
    depth: StageAxis
    total: Var
    store: tirx.BufferStore

    @property
    def reads_b_alone(self) -> bool:
        """Whether nothing but the right operand reads its tensor."""
        loads = (self.a.load, *loads_of(self.store.value))
        return not any(load.source.same_as(self.b.load.source) for load in loads)

    def with_height(self, rows: int) -> Product:
        """The product of so many of its rows."""
        assert self.rows is not None
        extent = tirx.IntImm(str(self.rows.var.ty.dtype), rows)
        return replace(self, rows=replace(self.rows, extent=extent))

    @property
    def multiply_adds(self) -> int | None:
        """None where a size is free."""
        axes = [*self.outer, self.columns, self.depth, *([self.rows] if self.rows else [])]
        sizes = [axis.size for axis in axes]
        return None if None in sizes else prod(size for size in sizes if size is not None)


def product_of(stages: list[Stage]) -> Product | None:
    """The product that ``stages``, all of a function, are; None if they are none, or not only."""
    stage, *after = stages
    accumulations = accumulations_of(stage)
    if accumulations is None or len(accumulations) != 1 or len(after) > 1:
        return None
    (sums,) = accumulations
    stage, term = _without_single_steps(stage, sums.term)
    is_sum = isinstance(stages[0].stores()[0].value, tirx.Add)
    if not is_sum or not _is_product(sums, term) or len(stage.reducing) != 1:
        return None
    operands = operands_of(stage, term)
    if operands is None or len(operands) != 2:
        return None
    store = _store(stage, sums, after)
    columns = _columns(stage, sums, operands)
    if store is None or columns is None:
        return None
    a, b = sorted(operands, key=lambda operand: columns in operand.axes)
    (depth,) = stage.reducing
    if columns in a.axes or depth not in a.axes or depth not in b.axes:
        return None
    rows = [
        axis for axis in stage.spatial if axis in a.axes and axis not in b.axes and axis.size != 1
    ]
    outer = tuple(axis for axis in stage.spatial if axis not in rows and axis is not columns)
    found = Product(a, b, outer, None, columns, depth, sums.buffer, store)
    return _with_rows(found, rows) if rows else found


def _is_product(sums: Accumulation, term: Expr) -> bool:
    if not isinstance(term, tirx.Mul):
        return False
    factors = (term.a, term.b)
    return all(isinstance(factor, Load) for factor in factors) and all(
        str(buffer.dtype) == _FLOAT for buffer in (sums.buffer, *(f.source for f in factors))
    )


def _without_single_steps(stage: Stage, term: Expr) -> tuple[Stage, Expr]:
    """Without the reducing axes of one step: a kernel of 1x1."""
    single = [axis for axis in stage.reducing if axis.size == 1]
    axes = tuple(axis for axis in stage.axes if axis not in single)
    zeros = {axis.var: tirx.IntImm(str(axis.var.ty.dtype), 0) for axis in single}
    return replace(stage, axes=axes), substitute(term, zeros)


def _store(stage: Stage, sums: Accumulation, after: list[Stage]) -> tirx.BufferStore | None:
    """What is stored of each sum, in the axes of ``stage``; None if that is not done one by one."""
    at = list(sums.indices)
    if not after:
        return tirx.BufferStore(sums.buffer, tirx.BufferLoad(sums.buffer, at), at)
    (epilogue,) = after
    body = epilogue.body
    if not is_injective(epilogue) or not isinstance(body, tirx.BufferStore):
        return None
    if any(load.source.same_as(body.buffer) for load in loads_of(body)):
        return None
    positions = epilogue_positions(epilogue, sums.buffer)
    if positions is None:
        return None
    places = dict(zip(positions, at, strict=True))
    return substitute(body, {p: place for p, place in places.items() if isinstance(p, Var)})


def _columns(stage: Stage, sums: Accumulation, operands: list[Operand]) -> StageAxis | None:
    """The axis along which results are neighbours, in one operand alone, and of fixed size."""
    wide = [
        index
        for index, extent in zip(sums.indices, sums.buffer.shape, strict=True)
        if static_value(extent) != 1
    ]
    if not wide:
        return None
    for axis in stage.spatial:
        if axis.var.same_as(wide[-1]):
            is_alone = sum(axis in operand.axes for operand in operands) == 1
            return axis if is_alone and (axis.size or 0) >= _FEWEST_COLUMNS else None
    return None


def _with_rows(product: Product, rows: list[StageAxis]) -> Product:
    """With the longest tail of ``rows`` that all accesses see as one axis as ``product.rows``."""
    accesses = [(load.source, load.indices) for load in _of_rows(product)]
    count = 1
    while count < len(rows) and all(axis.size is not None for axis in rows[-count - 1 :]):
        if not all(is_joined(*access, tuple(rows[-count - 1 :])) for access in accesses):
            break
        count += 1
    outer = tuple(axis for axis in product.outer) + tuple(rows[:-count])
    joined = rows[-count:]
    if count == 1:
        return replace(product, rows=joined[0], outer=outer)
    size = prod(axis.size or 1 for axis in joined)
    kind = str(joined[0].var.ty.dtype)
    row = StageAxis(Var("m", joined[0].var.ty), tirx.IntImm(kind, size))
    values: dict[Var, Expr] = {}
    # Whole rows of `joined[0]`, as `is_joined` says: one step of it is what all others make up.
    inside = 1
    for axis in reversed(joined):
        place = row.var if inside == 1 else row.var // inside
        values[axis.var] = place if axis is joined[0] else place % axis.extent
        inside *= axis.size or 1
    a = replace(product.a, load=substitute(product.a.load, values))
    return replace(product, a=a, store=substitute(product.store, values), rows=row, outer=outer)


def _of_rows(product: Product) -> list[Load]:
    store = product.store
    stored = tirx.BufferLoad(store.buffer, list(store.indices))
    return [product.a.load, stored, *loads_of(store.value)]
