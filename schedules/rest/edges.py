"""Where the condition of a padded copy begins and ends to hold along a row."""

from __future__ import annotations

from dataclasses import dataclass

from tvm import sym, tirx

from .stage import Expr, Load, Var, is_conditional, static_value


@dataclass(frozen=True, eq=False)
class Edges:
    """``between`` is the store for ``low <= axis < high``, ``outside`` the one for the rest."""

    axis: Var
    low: Expr | None
    high: Expr | None
    between: tirx.Stmt
    outside: tirx.Stmt

    @property
    def is_static(self) -> bool:
        """Whether the edges are at known places: else their scalar rests take longer than masks."""
        known = [static_value(edge) for edge in (self.low, self.high) if edge is not None]
        return None not in known


def edges_of(body: tirx.Stmt) -> Edges | None:
    """The edges of ``row[.., axis] = if_then_else(low <= axis < high and .., value, other)``.

    ``other`` is a constant, or read where ``value`` is: a padding by what it pads. None if the
    store is not of this form, with the axis as its last index.
    """
    if not isinstance(body, tirx.BufferStore) or not isinstance(body.indices[-1], Var):
        return None
    axis = body.indices[-1]
    value = body.value
    if not is_conditional(value):
        return None
    condition, inner, other = value.args
    if not isinstance(other, tirx.FloatImm | tirx.IntImm) and not _read_alike(inner, other):
        return None
    low, high = None, None
    rest: list[Expr] = []
    for term in conjuncts(condition):
        below, above = lower_bound(term, axis), upper_bound(term, axis)
        if below is not None:
            low = below if low is None else tirx.max(low, below)
        elif above is not None:
            high = above if high is None else tirx.min(high, above)
        elif any(var.same_as(axis) for var in tirx.analysis.undefined_vars(term)):
            return None
        else:
            rest.append(term)
    if low is None and high is None:
        return None
    if rest:
        remaining = rest[0]
        for term in rest[1:]:
            remaining = tirx.And(remaining, term)
        inner = tirx.if_then_else(remaining, inner, other)
    return Edges(
        axis,
        low,
        high,
        tirx.BufferStore(body.buffer, inner, body.indices),
        tirx.BufferStore(body.buffer, other, body.indices),
    )


def _read_alike(value: Expr, other: Expr) -> bool:
    loads = isinstance(value, Load) and isinstance(other, Load)
    return loads and value.source.same_as(other.source)


def conjuncts(predicate: Expr) -> list[Expr]:
    """The conditions that a conjunction is made of."""
    if isinstance(predicate, tirx.And):
        return conjuncts(predicate.a) + conjuncts(predicate.b)
    return [] if static_value(predicate) == 1 else [predicate]


def lower_bound(condition: Expr, var: Var) -> Expr | None:
    """``b - a`` where the condition is ``b <= var + a``; None where it is anything else."""
    if not isinstance(condition, tirx.LE):
        return None
    return upper_bound(tirx.LT(condition.b, condition.a), var)


def upper_bound(condition: Expr, var: Var) -> Expr | None:
    """``b - a`` where the condition is ``var + a < b``; None where it is anything else."""
    if not isinstance(condition, tirx.LT):
        return None
    linear = sym.detect_linear_equation(condition.a, [var])
    uses = [v for v in tirx.analysis.undefined_vars(condition.b) if v.same_as(var)]
    if not linear or static_value(linear[0]) != 1 or uses:
        return None
    return sym.Analyzer().simplify(condition.b - linear[1])
