"""What a rule answers about one candidate, and how a plan is turned into bindings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm import relax
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.transform.graph import Refused

Emit = Callable[[relax.BlockBuilder, Callable[[relax.Var], relax.Expr]], relax.Expr]


def rebind(mutator: PyExprMutator, binding: relax.VarBinding, value: relax.Expr) -> None:
    """Bind the variable of ``binding`` to another value; it stays an output if it was one."""
    value = mutator.builder_.normalize(value)
    var = mutator.with_type(mutator.visit_var_def(binding.var), value.ty)
    mutator.set_var_remap(binding.var, var)
    mutator.builder_.emit_normalized(relax.VarBinding(var, value))


@dataclass(frozen=True)
class Plan:
    """A rewrite that passed every check.

    ``root`` gets the value that ``emit(builder, remap)`` returns; ``remap`` gives the present form
    of a variable of the original function. ``conv`` is the convolution that disappears,
    ``absorbed`` the upsampling operators that it no longer reads or feeds.
    """

    root: relax.Var
    conv: relax.Var
    rule: str
    before: str
    after: str
    absorbed: frozenset[relax.Var]
    emit: Emit


@dataclass(frozen=True)
class Decision:
    """One line of the report before it is written: a plan, or the reason for none."""

    layer: relax.Var
    rule: str
    outcome: Plan | str


def decision(layer: relax.Var, rule: str, outcome: Plan | Refused) -> Decision:
    return Decision(layer, rule, outcome.reason if isinstance(outcome, Refused) else outcome)
