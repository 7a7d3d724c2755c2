"""One function for calls that differ in nothing but the order of their sizes.

TVM hands free sizes to a function behind its tensors, in an order that is a matter of chance: of
two equal layers one is called with ``(x, h, w)`` and the other with ``(x, w, h)``, and each
function is scheduled and compiled. Of the 74 functions of a network with attention 17 were
others again.

    call_tir(add, (x, y, h, w)); call_tir(add1, (x, y, w, h))
    => call_tir(add, (x, y, h, w)); call_tir(add, (x, y, h, w))
"""

from __future__ import annotations

from typing import NamedTuple

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.ir import GlobalVar, Var
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import KERNEL_CALLS, with_changed


class _Shared(NamedTuple):
    """The function to call, and from which places of a call its arguments come."""

    function: GlobalVar
    places: list[int]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ShareFunctions")
class ShareFunctions:
    """Relax module pass, to run after FuseTIR: before schedules, which then are fewer, and after.

    A schedule gives the parameters sizes of their own (``schedules.tir.own_sizes``), so that what
    differed in the formulas of their shapes is equal only then.
    """

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        instead = _instead(mod)
        if not instead:
            return mod
        shared = with_changed(mod, lambda func: _Share(instead).visit_expr(func))
        # What nobody calls now is not to be scheduled and compiled.
        return relax.transform.DeadCodeElimination()(shared)


def _instead(mod: tvm.IRModule) -> dict[GlobalVar, _Shared]:
    """What can be called for functions that equal one before them, with sizes in another order."""
    known: dict[int, list[tuple[GlobalVar, tirx.PrimFunc, list[int]]]] = {}
    instead = {}
    for name, func in sorted(mod.functions_items(), key=lambda item: item[0].name_hint):
        if not isinstance(func, tirx.PrimFunc):
            continue
        order = _order(func)
        ordered = _with_params(func, [func.params[place] for place in order])
        alike = known.setdefault(tvm_ffi.structural_hash(ordered), [])
        for first, other, order_of_first in alike:
            if tvm_ffi.structural_equal(other, ordered):
                place_of = dict(zip(order_of_first, order, strict=True))
                instead[name] = _Shared(first, [place_of[i] for i in range(len(order))])
                break
        else:
            alike.append((name, ordered, order))
    return instead


def _order(func: tirx.PrimFunc) -> list[int]:
    """The places of the parameters, the sizes among them in the order in which they are met."""
    met: dict[Var, None] = {}

    def meet(var: Var) -> None:
        met.setdefault(var)

    for param in func.params:
        for size in getattr(param.ty, "shape", None) or ():
            tvm_ffi.structural_walk(size, (Var, meet))
    sizes = [place for place, param in enumerate(func.params) if not _is_tensor(param)]
    if any(func.params[place] not in met for place in sizes):
        tvm_ffi.structural_walk(func.body, (Var, meet))
    rank = {var: number for number, var in enumerate(met)}
    order = list(range(len(func.params)))
    # A size that nothing reads goes last.
    by_rank = sorted(sizes, key=lambda place: rank.get(func.params[place], len(rank)))
    for place, source in zip(sizes, by_rank, strict=True):
        order[place] = source
    return order


def _is_tensor(param: Var) -> bool:
    return getattr(param.ty, "shape", None) is not None


def _with_params(func: tirx.PrimFunc, params: list[Var]) -> tirx.PrimFunc:
    return tirx.PrimFunc(params, func.body, func.ret_type, func.attrs)


@mutator
class _Share(PyExprMutator):
    def __init__(self, instead: dict[GlobalVar, _Shared]) -> None:
        super().__init__()
        self.instead = instead

    def visit_call_(self, call: relax.Call) -> relax.Expr:
        call = super().visit_call_(call)
        # A third argument holds sizes behind the outputs: nothing that TVM's fusion leaves.
        if call.op not in KERNEL_CALLS or len(call.args) != 2 or call.args[0] not in self.instead:
            return call
        function, places = self.instead[call.args[0]]
        given = call.args[1].fields
        # What is not given is allocated: the outputs, which are the last parameters.
        arguments = relax.Tuple([given[place] for place in places[: len(given)]])
        return relax.Call(call.op, [function, arguments], call.attrs, call.ty_args)
