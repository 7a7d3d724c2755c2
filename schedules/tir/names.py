"""Names as TVM takes them: each bound once, and none within a factor of a product.

Its code generator takes no second value for a variable that is no vector, so what a schedule copied
has names of its own (``with_own_names``). Its vectorizer takes less (``with_names_bound_once``):

    (let x = s in f(x)) + (let x = s in g(x))   =>   let x = s in f(x) + g(x)
    cast(let x = s in f(x)) * c                 =>   let x = s in cast(f(x)) * c

TVM 0.27 takes a name for bound to another value where a vectorized loop binds it a second time, to
the same one (``LetNode`` in vectorize_loop.cc), as where an operator is inlined into several
others. It also visits the factors of a product that is no vector twice where the first visit made
something new of one (``MulNode``): of a call of LLVM's intrinsics, or of what it cannot make a
vector of (``isnan``). A name for each factor would do, too, but TVM's code generator puts the
values of names into each other: sines took it minutes.
"""

from __future__ import annotations

import tvm
import tvm_ffi
from tvm import tirx
from tvm.ir import Expr, Var

from . import edit
from .bindings import Binding, nested, without_sides

# Calls of which the vectorizer makes others even of scalars, and those that it has a rule for.
_MADE_ANEW = frozenset(("tirx.call_llvm_intrin", "tirx.call_llvm_pure_intrin"))
_KEPT = frozenset(("tirx.reinterpret", "prim.if_then_else"))


def with_own_names(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func`` in which no two bindings are of one variable.

    A schedule copies what a binding stands in, whole vectors and the rest of a row for instance.
    """
    if _are_once(_names(func.body)):
        return func

    def renamed(let: tirx.Let) -> Expr:
        var = Var(let.var.name, let.var.ty)
        return tirx.Let(var, let.value, edit.substitute(let.body, {let.var: var}))

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.Let, renamed)))


def with_names_bound_once(func: tirx.PrimFunc) -> tirx.PrimFunc:
    """``func``, scheduled, with the names of each store as the module's docstring says.

    A choice that guards its sides stays whole, and has a name if it is such a factor.
    """

    def changed(store: tirx.BufferStore) -> tirx.BufferStore:
        value = _opened(store.value)
        if value.same_as(store.value):
            return store
        return tirx.BufferStore(store.buffer, value, store.indices)

    if not _names(func.body):
        return func
    body = tvm_ffi.structural_map(func.body, (tirx.BufferStore, changed))
    return func if body.same_as(func.body) else func.with_body(body)


def _opened(value: Expr) -> Expr:
    if _are_once(_names(value)) and not any(map(_binds_names_of_calls, _factors(value))):
        return value
    sides: dict[Var, Expr] = {}
    bindings: list[Binding] = []

    def taken(let: tirx.Let) -> Expr:
        if let.var not in dict(bindings):
            bindings.append((let.var, opened(let.value)))
        return opened(let.body)

    def opened(expr: Expr) -> Expr:
        return tvm_ffi.structural_map(expr, (tirx.Let, taken), order="pre")

    rest = opened(without_sides(value, sides, _opened))
    whole = {var: side for var, side in sides.items() if _binds_names_of_calls(side)}
    others = {var: side for var, side in sides.items() if var not in whole}
    ordered: list[Binding] = []
    for user in [*bindings, None]:
        # A choice may read the names bound so far.
        read = edit.variables_of(user[1] if user else rest)
        ordered += [(var, whole.pop(var)) for var in list(whole) if var in read]
        ordered += [user] if user else []
    return edit.substitute(nested(ordered, rest), others)


def _factors(value: Expr) -> list[Expr]:
    products: list[tirx.Mul] = []
    tvm_ffi.structural_walk(value, (tirx.Mul, products.append))
    return [factor for product in products for factor in (product.a, product.b)]


def _names(node: Expr | tirx.Stmt) -> list[Var]:
    """As often as they are bound in ``node``."""
    found: list[Var] = []
    tvm_ffi.structural_walk(node, (tirx.Let, lambda let: found.append(let.var)))
    return found


def _are_once(names: list[Var]) -> bool:
    return len(set(names)) == len(names)


def _binds_names_of_calls(node: Expr) -> bool:
    """Whether a name is bound in ``node``, and something called that is made anew."""
    if not _names(node):
        return False
    calls: list[tvm.ir.Call] = []
    tvm_ffi.structural_walk(node, (tvm.ir.Call, calls.append))
    return any(map(_is_made_anew, calls))


def _is_made_anew(call: tvm.ir.Call) -> bool:
    op = call.op
    if not isinstance(op, tvm.ir.Op) or op.name in _MADE_ANEW:
        return True
    return op.name not in _KEPT and not op.get_attr("TVectorizable")
