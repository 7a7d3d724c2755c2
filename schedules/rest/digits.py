"""Axes that indices take apart by division, as axes of their own.

y[k, i] = x[k // 8, k // 4 % 2, k % 4, i]    =>    y[8a + 4b + c, i] = x[a, b, c, i]
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise

import tvm
import tvm_ffi
from tvm import sym, tirx

from .stage import Expr, Stage, StageAxis, Var, static_value, substitute

_DIVISIONS = (tirx.FloorDiv, tirx.FloorMod)


def with_digits(stage: Stage) -> Stage:
    """``stage`` with each such axis as several, where the divisors divide one another and the axis.

    What is divided otherwise stays as it is; so do axes of free size.
    """
    divisors: dict[Var, set[int]] = {}

    def note(node: tirx.FloorDiv | tirx.FloorMod) -> None:
        divisor, inside = static_value(node.b), tirx.analysis.undefined_vars(node.a)
        if divisor is not None and len(inside) == 1:
            divisors.setdefault(inside[0], set()).add(divisor * _unit(node.a))

    tvm_ffi.structural_walk(stage.body, (_DIVISIONS, note))
    axes: list[StageAxis] = []
    values: dict[Var, Expr] = {}
    for axis in stage.axes:
        steps = sorted(divisors.get(axis.var, ()), reverse=True)
        if axis.reduces or axis.size is None or not steps or not _is_chain([axis.size, *steps]):
            axes.append(axis)
            continue
        digits = list(_digits(axis, [*steps, 1]))
        axes += [digit for digit, _ in digits]
        first, *others = (digit.var * step for digit, step in digits)
        values[axis.var] = sum(others, first)
    if not values:
        return stage
    analyzer = sym.Analyzer()
    for axis in axes:
        analyzer.bind(axis.var, tvm.ir.Range(0, axis.extent))
    body = substitute(stage.body, values)
    body = tvm_ffi.structural_map(body, (_DIVISIONS, analyzer.simplify))
    return replace(stage, axes=tuple(axes), body=body)


def _unit(index: Expr) -> int:
    """How far an axis goes while what is computed of it rises by one: 4 for ``k // 4``."""
    if not isinstance(index, _DIVISIONS):
        return 1
    by = static_value(index.b) if isinstance(index, tirx.FloorDiv) else 1
    return (by or 1) * _unit(index.a)


def _is_chain(numbers: list[int]) -> bool:
    return all(a > b and a % b == 0 for a, b in pairwise(numbers))


def _digits(axis: StageAxis, steps: list[int]) -> Iterator[tuple[StageAxis, int]]:
    """An axis for each step, and how far it goes along the whole one."""
    whole = axis.size or 0
    for number, step in enumerate(steps):
        var = Var(f"{axis.var.name}_{number}", axis.var.ty)
        yield StageAxis(var, tirx.IntImm("int64", whole // step)), step
        whole = step
