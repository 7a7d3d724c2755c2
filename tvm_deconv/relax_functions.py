"""What passes share: to look for an expression, remember it, change functions, mark them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator

# The attribute of a function of free sizes that was an operator for a reshape.
RESHAPE = "tvm_deconv.reshape"
# relax.OpPatternKind.kOpaque.
_OPAQUE = 8


T = TypeVar("T")


class Remembered(Generic[T]):
    """What ``compute`` gives for an expression, computed once for each.

    Found by the hash of the expression, which is its address: a dict would compare expressions,
    which takes TVM as long as what is remembered here.
    """

    def __init__(self, compute: Callable[[relax.Expr], T]) -> None:
        self._compute = compute
        # With the expression itself, so that no other gets its address.
        self._known: dict[int, tuple[relax.Expr, T]] = {}

    def __call__(self, expr: relax.Expr) -> T:
        known = self._known.get(hash(expr))
        if known is None:
            known = self._known[hash(expr)] = expr, self._compute(expr)
        return known[1]


def with_changed(
    mod: tvm.IRModule, change: Callable[[relax.Function], relax.Function | None]
) -> tvm.IRModule:
    """The module with what ``change`` makes of its Relax functions; None leaves one as it is.

    A module of which nothing changes is handed back itself.
    """
    changed = {
        name: new
        for name, func in mod.functions_items()
        if isinstance(func, relax.Function) and (new := change(func)) is not None
    }
    if not changed:
        return mod
    mod = mod.clone()
    for name, func in changed.items():
        mod.update_func(name, func)
    return mod


def with_rebuilt(
    mod: tvm.IRModule,
    mutator_of: Callable[[tvm.IRModule, relax.Function], PyExprMutator | None],
) -> tvm.IRModule:
    """The module with what mutators make of its Relax functions, and the functions that they add.

    ``mutator_of`` gets the module as it is by then, and a function; None leaves that as it is. What
    is dead afterwards goes. A module of which nothing changes is handed back itself.
    """
    result = mod
    for name, func in mod.functions_items():
        rebuild = mutator_of(result, func) if isinstance(func, relax.Function) else None
        if rebuild is not None:
            func = rebuild.visit_expr(func)
            result = rebuild.builder_.get()
            result.update_func(name, func)
    return mod if result is mod else relax.transform.DeadCodeElimination()(result)


def holds(func: relax.Function, is_meant: Callable[[relax.Expr], bool]) -> bool:
    """Whether the function binds such an expression, branches of its conditions included."""
    return _binds(func.body, is_meant)


def _binds(body: relax.SeqExpr, is_meant: Callable[[relax.Expr], bool]) -> bool:
    # Every operator is bound. A network has ten times as many expressions as bindings, and a dozen
    # passes ask whether there is anything for them to do.
    for value in (binding.value for block in body.blocks for binding in block.bindings):
        branches = (value.true_branch, value.false_branch) if isinstance(value, relax.If) else ()
        if is_meant(value) or any(_binds(branch, is_meant) for branch in branches):
            return True
    return False


def opaque(func: tvm.tirx.PrimFunc) -> tvm.tirx.PrimFunc:
    """The function, marked so that FuseOps leaves it alone."""
    return func.with_attr("op_pattern", _OPAQUE)
