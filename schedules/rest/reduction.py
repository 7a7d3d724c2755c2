"""What a reducing stage computes: one accumulator, one operation, and affine operands."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod

import tvm
import tvm_ffi
from tvm import sym, tirx

from .stage import (
    TYPICAL_SIZE,
    Expr,
    Load,
    Stage,
    StageAxis,
    Var,
    loads_of,
    map_loads,
    simplify_under,
    static_value,
    substitute,
)

# Measured on pooling (2.25 and 4 uses of each value), strided depthwise convolutions (2.25) and
# depthwise ones (9): only the last gain from a copy that lies right.
_USES_WORTH_COPYING = 8

# How two partial results are joined, by the node that a reduction's body is made of.
_COMBINE: dict[type, Callable[[Expr, Expr], Expr]] = {
    tirx.Add: lambda a, b: a + b,
    tirx.Mul: lambda a, b: a * b,
    tirx.Max: tirx.max,
    tirx.Min: tirx.min,
}


@dataclass(frozen=True, eq=False)
class Accumulation:
    """``buffer[indices] = combine(buffer[indices], term)``, starting from ``identity``."""

    buffer: Var
    indices: tuple[Expr, ...]
    combine: Callable[[Expr, Expr], Expr]
    identity: Expr
    term: Expr


def accumulations_of(stage: Stage) -> list[Accumulation] | None:
    """The independent accumulations of a stage; None for any other kind of reduction.

    Reductions of tuples are taken apart where their components do not read one another (mean and
    variance in one sweep); an argmax is not.
    """
    if stage.init is None or not stage.reducing:
        return None
    identities = _identities(stage.init)
    bound: dict[Var, Expr] = {}
    tvm_ffi.structural_walk(
        stage.body, (tirx.Bind, lambda bind: bound.__setitem__(bind.var, bind.value))
    )
    found = []
    for store in stage.stores():
        value = substitute(store.value, bound)
        parts = _COMBINE.get(type(value))
        if parts is None or store.buffer not in identities:
            return None
        for own, term in ((value.a, value.b), (value.b, value.a)):
            if _is_load_of(own, store) and not _reads_any(term, identities):
                indices = tuple(store.indices)
                identity = identities[store.buffer]
                found.append(Accumulation(store.buffer, indices, parts, identity, term))
                break
        else:
            return None
    return found if len(found) == len(identities) else None


def _identities(init: tirx.Stmt) -> dict[Var, Expr]:
    found: dict[Var, Expr] = {}
    tvm_ffi.structural_walk(
        init, (tirx.BufferStore, lambda store: found.__setitem__(store.buffer, store.value))
    )
    return found


def _is_load_of(expr: Expr, store: tirx.BufferStore) -> bool:
    return (
        isinstance(expr, Load)
        and expr.source.same_as(store.buffer)
        and all(
            tvm_ffi.structural_equal(a, b) for a, b in zip(expr.indices, store.indices, strict=True)
        )
    )


def _reads_any(expr: Expr, buffers) -> bool:
    return any(load.source in buffers for load in loads_of(expr))


@dataclass(frozen=True, eq=False)
class Operand:
    """A load of a reduction's term whose indices are affine in the stage's axes.

    ``steps[d]`` maps axes to their integer coefficients in dimension ``d``; ``bases[d]`` is the
    rest of the index.
    """

    load: Load
    steps: tuple[dict[StageAxis, int], ...]
    bases: tuple[Expr, ...]

    @property
    def axes(self) -> set[StageAxis]:
        """All axes that the load depends on."""
        return {axis for step in self.steps for axis in step}

    @property
    def has_window(self) -> bool:
        """Whether some dimension is indexed by several axes, as a convolution's input is."""
        return any(len(step) > 1 for step in self.steps)

    def dimension_of(self, axis: StageAxis) -> int | None:
        """The only dimension that depends on ``axis``; None if there is none or several."""
        found = [d for d, step in enumerate(self.steps) if axis in step]
        return found[0] if len(found) == 1 else None

    def is_contiguous_along(self, axis: StageAxis) -> bool:
        """Whether neighbours along ``axis`` are neighbours in memory."""
        d = self.dimension_of(axis)
        if d is None or self.steps[d][axis] != 1:
            return False
        return all(static_value(extent) == 1 for extent in self.load.source.shape[d + 1 :])


def operands_of(stage: Stage, term: Expr) -> list[Operand] | None:
    """The distinct loads of ``term``; None if one is not affine with integer coefficients."""
    operands: list[Operand] = []
    for load in loads_of(term):
        if any(tvm_ffi.structural_equal(load, known.load) for known in operands):
            continue
        operand = _operand(stage, load)
        if operand is None:
            return None
        operands.append(operand)
    return operands


def _operand(stage: Stage, load: Load) -> Operand | None:
    variables = [axis.var for axis in stage.axes]
    steps, bases = [], []
    for index in load.indices:
        linear = sym.detect_linear_equation(simplify_under(stage.axes, index), variables)
        if not linear:
            return None
        step = {}
        for axis, coefficient in zip(stage.axes, linear[:-1], strict=True):
            number = static_value(coefficient)
            if number is None:
                return None
            if number:
                step[axis] = number
        steps.append(step)
        bases.append(linear[-1])
    return Operand(load, tuple(steps), tuple(bases))


def multiply_adds_per_value(stage: Stage, operand: Operand) -> float:
    """Iterations of the stage for each value of the operand."""
    iterations = prod(axis.size or TYPICAL_SIZE for axis in stage.axes)
    values = prod(
        1 + sum(abs(c) * ((axis.size or TYPICAL_SIZE) - 1) for axis, c in step.items())
        for step in operand.steps
    )
    return iterations / values


def is_used_little(stage: Stage, operand: Operand) -> bool:
    """Whether copying the operand or reusing it from registers cannot pay."""
    return multiply_adds_per_value(stage, operand) < _USES_WORTH_COPYING


def split_groups(stage: Stage) -> Stage:
    """Turn an axis that is only divided and taken modulo a constant into two axes.

    Grouped convolutions index their input by ``channel // size * k``; after the split, group and
    channel within the group are axes of their own and every index is affine.
    """
    divisors: dict[Var, set[int]] = {}

    def note(node) -> None:
        divisor = static_value(node.b)
        if isinstance(node.a, Var) and divisor is not None:
            divisors.setdefault(node.a, set()).add(divisor)

    tvm_ffi.structural_walk(stage.body, ((tirx.FloorDiv, tirx.FloorMod), note))
    axes: list[StageAxis] = []
    values: dict[Var, Expr] = {}
    for axis in stage.axes:
        sizes = divisors.get(axis.var, set())
        size = next(iter(sizes)) if len(sizes) == 1 else None
        if size is None or axis.size is None or axis.size % size or axis.reduces:
            axes.append(axis)
            continue
        dtype = axis.extent.ty
        group = StageAxis(
            Var(f"{axis.var.name}_group", dtype), tirx.IntImm("int64", axis.size // size)
        )
        member = StageAxis(Var(f"{axis.var.name}_member", dtype), tirx.IntImm("int64", size))
        axes += [group, member]
        values[axis.var] = group.var * size + member.var
    if not values:
        return stage
    body = _simplified(axes, substitute(stage.body, values))
    init = None if stage.init is None else substitute(stage.init, values)
    return replace(stage, axes=tuple(axes), body=body, init=init)


def _simplified(axes: list[StageAxis], body: tirx.Stmt) -> tirx.Stmt:
    analyzer = sym.Analyzer()
    for axis in axes:
        analyzer.bind(axis.var, tvm.ir.Range(0, axis.extent))
    divisions = (tirx.FloorDiv, tirx.FloorMod)
    return tvm_ffi.structural_map(body, (divisions, analyzer.simplify))


def sum_type(buffer: Var) -> str:
    """The type that sums into ``buffer`` are kept in.

    Half-precision sums are kept in single precision: the conversion costs one instruction per
    vector, the lost bits cannot be had back.
    """
    dtype = str(buffer.dtype)
    return "float32" if dtype == "float16" else dtype


def widened(term: Expr, dtype: str, read: Callable[[Load], Expr] = lambda load: load) -> Expr:
    """``term`` computed in ``dtype``, over ``read(load)`` in place of every load.

    Only sums, differences and products are computed anew; anything else (an exponential) is
    computed as it was and converted.
    """

    def visit(node: Expr) -> Expr:
        if isinstance(node, Load):
            return read(node).astype(dtype)
        if isinstance(node, tirx.Cast) and str(node.value.ty.dtype).startswith("float"):
            return visit(node.value)
        if isinstance(node, tirx.Add):
            return visit(node.a) + visit(node.b)
        if isinstance(node, tirx.Sub):
            return visit(node.a) - visit(node.b)
        if isinstance(node, tirx.Mul):
            return visit(node.a) * visit(node.b)
        return map_loads(node, lambda load: read(load).astype(str(load.source.dtype))).astype(dtype)

    return visit(term)
