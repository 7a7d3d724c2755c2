"""What passes share: to look for an expression, remember it, change functions, mark them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Generic, TypeVar

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator

CALL_TIR = tvm.ir.Op.get("relax.call_tir")
# Those that write over an argument, too.
KERNEL_CALLS = (CALL_TIR, tvm.ir.Op.get("relax.call_tir_inplace"))
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


def kernel_of(
    mod: tvm.IRModule, value: relax.Expr | None, calls: Sequence[tvm.ir.Op] = (CALL_TIR,)
) -> tirx.PrimFunc | None:
    """The kernel that ``value`` calls by one of ``calls``, by default for tensors of their own."""
    if not isinstance(value, relax.Call) or value.op not in calls:
        return None
    callee = mod[value.args[0]]
    return callee if isinstance(callee, tirx.PrimFunc) else None


def dataflow_bindings(func: relax.Function) -> Iterator[tuple[relax.Var, relax.Expr]]:
    """The variables of all dataflow blocks, in order, and what they are bound to."""
    for block in func.body.blocks:
        for binding in block.bindings if isinstance(block, relax.DataflowBlock) else ():
            yield binding.var, binding.value


def all_bindings(func: relax.Function) -> list[relax.Binding]:
    """Those of its blocks and of the branches of its conditions."""
    found: list[relax.Binding] = []
    kinds = (relax.VarBinding, relax.MatchCast)
    tvm_ffi.structural_walk(func.body, [(kind, found.append) for kind in kinds])
    return found


def variables_in(value: relax.Expr) -> list[relax.Var]:
    """The variables that an expression reads."""
    found: list[relax.Var] = []
    tvm_ffi.structural_walk(value, (relax.Var, found.append))
    return found


def reads_of(func: relax.Function) -> Counter[relax.Var]:
    """How often dataflow blocks read the variables that only they can read."""
    found: list[relax.Var] = []
    for _, value in dataflow_bindings(func):
        tvm_ffi.structural_walk(value, (relax.DataflowVar, found.append))
    return Counter(found)


def opaque(func: tvm.tirx.PrimFunc) -> tvm.tirx.PrimFunc:
    """The function, marked so that FuseOps leaves it alone."""
    return func.with_attr("op_pattern", _OPAQUE)
