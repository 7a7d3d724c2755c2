"""Values that are computed once and named, so that chains of operators stay as long as they are.

Inlining writes an operand as often as its reader names it: ``select(p > 0, p, a * p)`` three times,
and n such operators behind each other 3**n times. ``bind_repeated_reads`` names it once::

    y[i] = select(p[i] > 0, p[i], a * p[i])   =>   y[i] = let v = p[i] in select(v > 0, v, a * v)

Nothing leaves the side of an ``if_then_else``, or of a ``Select`` whose condition is about indices:
what stands there may be read on that side only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tvm
import tvm_ffi
from tvm import s_tir, tirx
from tvm.ir import Expr, Var
from tvm.ir import TensorLoad as Load

from . import edit

Binding = tuple[Var, Expr]


def bind_repeated_reads(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, unscheduled, with every value that a store reads several times bound once.

    Only values of the function's own blocks are: those of its parameters cost a load to repeat.
    """
    parameters = set(func.params)

    def bound(block: s_tir.SBlock) -> s_tir.SBlock:
        if block.init is not None or not isinstance(block.body, tirx.BufferStore):
            return block
        store = block.body
        value = _bind_repeated(store.value, parameters)
        if value.same_as(store.value):
            return block
        return edit.changed(block, body=tirx.BufferStore(store.buffer, value, store.indices))

    body = tvm_ffi.structural_map(func.body, (s_tir.SBlock, bound))
    # Two functions with one body are one too many: a schedule of either changes both, in place.
    return func if body.same_as(func.body) else func.with_body(body)


def _bind_repeated(value: Expr, parameters: set[Var]) -> Expr:
    sides: dict[Var, Expr] = {}
    open_value = without_sides(value, sides, lambda side: _bind_repeated(side, parameters))
    groups: list[list[Load]] = []
    named_before: set[Var] = set()
    tvm_ffi.structural_walk(open_value, (tirx.Let, lambda let: named_before.add(let.var)))

    def note(load: Load) -> None:
        if load.source in parameters or named_before & edit.variables_of(load):
            return
        same = (g for g in groups if tvm_ffi.structural_equal(g[0], load))
        group = next(same, None)
        if group is None:
            groups.append([load])
        else:
            group.append(load)

    tvm_ffi.structural_walk(open_value, (Load, note))
    bindings = []
    for first, *others in groups:
        if not others:
            continue
        var = Var("v", first.ty)
        bindings.append((var, first))

        def named(load: Load, first: Load = first, var: Var = var) -> Expr:
            return var if tvm_ffi.structural_equal(load, first) else load

        open_value = tvm_ffi.structural_map(open_value, (Load, named))
    if not bindings and not sides:
        return value
    return edit.substitute(nested(bindings, open_value), sides)


def nested(bindings: list[Binding], body: Expr) -> Expr:
    for var, value in reversed(bindings):
        body = tirx.Let(var, value, body)
    return body


def without_sides(value: Expr, sides: dict[Var, Expr], map_side: Callable[[Expr], Expr]) -> Expr:
    """``value`` with a variable for every choice that guards its sides; ``sides`` says which."""

    def named(choice: Any) -> Expr:
        parts = _guarded(choice)
        if parts is None:
            return choice
        condition, *rest = parts
        mapped = [map_side(side) for side in rest]
        var = Var("guarded", choice.ty)
        if isinstance(choice, tirx.Select):
            sides[var] = tirx.Select(condition, *mapped)
        else:
            sides[var] = tirx.if_then_else(condition, *mapped)
        return var

    kinds = (tvm.ir.Call, tirx.Select)
    return tvm_ffi.structural_map(value, (kinds, named), order="pre")


def _guarded(choice: tvm.ir.Call | tirx.Select) -> list[Expr] | None:
    """(condition, one side, the other) of a choice whose sides stay where they are, else None."""
    if isinstance(choice, tirx.Select):
        parts = [choice.condition, choice.true_value, choice.false_value]
        return parts if _asks_for_indices(choice.condition) else None
    if getattr(choice.op, "name", "") == "prim.if_then_else":
        return list(choice.args)
    return None


def _asks_for_indices(condition: Expr) -> bool:
    """Whether the condition is about anything but loaded, bound and constant values."""
    outside = tvm_ffi.structural_map(condition, (Load, lambda load: tirx.const(0, load.ty.dtype)))
    variables = edit.variables_of(outside)
    return any(str(getattr(var.ty, "dtype", "")).startswith("int") for var in variables)
