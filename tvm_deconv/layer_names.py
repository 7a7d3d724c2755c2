"""The model's own names of what a Relax variable holds, for reports and errors.

A frontend gives each variable the name of the node that it was made for, as the source of its span.
The variable's own name stays TVM's: it ends as the name of a kernel's parameter, for which
``/decoder/up.1/Conv`` would not do. Passes keep spans, and structural equality does not see them.
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm
from tvm import relax
from tvm.ir import SourceName, Span
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed


def layer_name(var: relax.Var) -> str:
    """The name of the model's node that ``var`` was made for; its own where it has none."""
    return str(var.name if var.span is None else var.span.source_name.name)


def named(mod: tvm.IRModule, names: Mapping[relax.Var, str] | None = None) -> tvm.IRModule:
    """The module with ``names`` given to the variables of its Relax functions.

    Frontends name the results of nodes, passes keep those names. In the order of the bindings, what
    has no name was made on the way to the next that has one, and gets that name; an alias gets that
    of its source. A module in which nothing has a name is returned as it is.
    """

    def completed(function: relax.Function) -> relax.Function | None:
        found = _completed(function, names or {})
        is_new = any(var.span is None for var in found)
        return _Naming(found).visit_expr(function) if is_new else None

    return with_changed(mod, completed)


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.NameLayers")
class NameLayers:
    """Relax module pass: what passes made for a layer of the model gets the layer's name."""

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return named(mod)


def _completed(function: relax.Function, names: Mapping[relax.Var, str]) -> dict[relax.Var, str]:
    """The name of each bound variable, less those behind the last that has one."""
    known = dict(names)
    found: dict[relax.Var, str] = {}
    waiting: list[relax.Var] = []
    for binding in (one for block in function.body.blocks for one in block.bindings):
        var, value = binding.var, binding.value
        if var not in known and var.span is not None:
            known[var] = layer_name(var)
        if var not in known and isinstance(value, relax.Var) and value in known:
            known[var] = known[value]
        waiting.append(var)
        if var in known:
            found.update(dict.fromkeys(waiting, known[var]))
            waiting = []
    return found


@mutator
class _Naming(PyExprMutator):
    """Gives each bound variable of ``names`` a span; the rest is copied."""

    def __init__(self, names: Mapping[relax.Var, str]) -> None:
        super().__init__()
        self.names = names

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        value = self.builder_.normalize(self.visit_expr(binding.value))
        var = self._named(binding.var)
        self.builder_.emit_normalized(relax.VarBinding(var, value))

    def visit_match_cast_(self, binding: relax.MatchCast) -> None:
        value = self.visit_expr(binding.value)
        var = self._named(binding.var)
        self.builder_.emit_normalized(relax.MatchCast(var, value, binding.ty))

    def _named(self, var: relax.Var) -> relax.Var:
        name = self.names.get(var)
        if name is None:
            return var
        span = Span(SourceName(name), 0, 0, 0, 0)
        kind = relax.DataflowVar if isinstance(var, relax.DataflowVar) else relax.Var
        new = kind(var.name, var.ty, span)
        self.set_var_remap(var, new)
        return new
