"""The model's own names of what a Relax variable holds, for reports and errors.

A frontend gives each variable the name of the node that it was made for, as the source of its span.
The variable's own name stays TVM's: it ends as the name of a kernel's parameter, for which
``/decoder/up.1/Conv`` would not do. Passes keep spans, and structural equality does not see them.
"""

from __future__ import annotations

from collections.abc import Mapping

import tvm
import tvm_ffi
from tvm import relax
from tvm.ir import SourceName, Span

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
        return _renamed(function, found) if is_new else None

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


def _renamed(function: relax.Function, names: Mapping[relax.Var, str]) -> relax.Function:
    """The function with spans given to the variables of ``names``.

    By a structural map: a mutator would find out all types again, twenty times as long.
    """
    # By their hash, which is the address: to compare variables is what takes the time here.
    new = {hash(var): _with_span(var, name) for var, name in names.items()}

    def renamed(var: relax.Var) -> relax.Var:
        return new.get(hash(var), var)

    return tvm_ffi.structural_map(function, [(relax.DataflowVar, renamed), (relax.Var, renamed)])


def _with_span(var: relax.Var, name: str) -> relax.Var:
    kind = relax.DataflowVar if isinstance(var, relax.DataflowVar) else relax.Var
    return kind(var.name, var.ty, Span(SourceName(name), 0, 0, 0, 0))
