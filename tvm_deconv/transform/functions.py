"""What the small passes share: looking for an expression in a function, and changing functions."""

from __future__ import annotations

from collections.abc import Callable

import tvm
from tvm import relax


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


def holds(func: relax.Function, is_meant: Callable[[relax.Expr], bool]) -> bool:
    """Whether there is such an expression in the function."""
    found = []

    def visit(expr: relax.Expr) -> None:
        if is_meant(expr):
            found.append(expr)

    relax.analysis.post_order_visit(func, visit)
    return bool(found)
