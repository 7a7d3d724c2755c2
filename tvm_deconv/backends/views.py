"""Reshapes that are views of the tensor that they read, instead of copies.

TVM's ``RewriteDataflowReshape`` makes views of those within a dataflow block, as long as they have
no schedule: in a scheduled loop nest it does not see that every element stays in its place. One
that the block gives back it leaves as a copy. That is needed where the function would return its
own argument, and nowhere else:

    gv = reshape(lv)    =>    lv1 = reshape(lv); gv = lv1        # lv is computed by a kernel
"""

from __future__ import annotations

import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import with_changed

_CALL_TIR = tvm.ir.Op.get("relax.call_tir")


def views() -> list[tvm.transform.Pass]:
    """The passes, to run after FuseTIR and before anything is scheduled."""
    return [ViewOutputs(), relax.transform.RewriteDataflowReshape()]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ViewOutputs")
class ViewOutputs:
    """Relax module pass: the rewrite above, for ``call_tir`` of reshapes, squeezes and the like."""

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        def changed(func: relax.Function) -> relax.Function | None:
            outputs = _reshaped_outputs(mod, func)
            return _Alias(outputs).visit_expr(func) if outputs else None

        return with_changed(mod, changed)


def _reshaped_outputs(mod: tvm.IRModule, func: relax.Function) -> set[relax.Var]:
    """What dataflow blocks give back that is a kernel's result in another shape."""
    found: set[relax.Var] = set()
    computed: set[relax.Var] = set()
    for block in func.body.blocks:
        if not isinstance(block, relax.DataflowBlock):
            continue
        for binding in block.bindings:
            var, value = binding.var, binding.value
            if not isinstance(value, relax.Call) or value.op != _CALL_TIR:
                continue
            kernel = mod[value.args[0]]
            if not (
                isinstance(kernel, tirx.PrimFunc) and relax.analysis.has_reshape_pattern(kernel)
            ):
                computed.add(var)
            elif not isinstance(var, relax.DataflowVar) and value.args[1].fields[0] in computed:
                found.add(var)
    return found


@mutator
class _Alias(PyExprMutator):
    def __init__(self, outputs: set[relax.Var]) -> None:
        super().__init__()
        self.outputs = outputs

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        if binding.var not in self.outputs:
            super().visit_var_binding_(binding)
            return
        inner = self.builder_.emit(self.visit_expr(binding.value))
        self.builder_.emit_normalized(relax.VarBinding(self.visit_var_def(binding.var), inner))
