"""Attention as one call, where its scores would fill memory.

    s = call_tir(matmul, (q, k)); p = call_tir(softmax, (s,)); y = call_tir(matmul1, (p, v))
    => y = call_tir(attention, (q, k, v))

The scores of 5120 tokens and two heads are 210 MB, which three kernels write and read four times;
one that goes by strips of rows keeps them in the cache (``schedules.rest.attention``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator
from tvm.target import Target

from tvm_deconv.relax_functions import dataflow_bindings, kernel_of, reads_of, with_rebuilt
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.rest.attention.schedule import schedule_attention
from tvm_deconv.schedules.rest.default import is_scheduled

from .registry import machine_of


@dataclass(frozen=True)
class _Chain:
    """The calls of one attention, and which argument of the last is what the second computes."""

    scores: relax.Call
    softmax: relax.Call
    values: relax.Call
    place: int

    @property
    def calls(self) -> tuple[relax.Call, relax.Call, relax.Call]:
        return self.scores, self.softmax, self.values

    @property
    def names(self) -> tuple[str | int, ...]:
        return (*(call.args[0].name_hint for call in self.calls), self.place)

    @property
    def arguments(self) -> list[relax.Expr]:
        after = self.values.args[1].fields
        return [*self.scores.args[1].fields, *after[: self.place], *after[self.place + 1 :]]


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.MergeAttention")
class MergeAttention:
    """Relax module pass for processors, to run before anything else is scheduled."""

    def __init__(self, target: Target) -> None:
        self._machine = machine_of(target)

    def transform_module(
        self, mod: tvm.IRModule, _context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        machine = self._machine
        if not isinstance(machine, CpuMachine):
            return mod
        made: dict[tuple[str | int, ...], tirx.PrimFunc | None] = {}

        def merge(work: tvm.IRModule, func: relax.Function) -> _Merge | None:
            found = {}
            for var, chain in _chains(work, func).items():
                if chain.names not in made:
                    scores, softmax, values = (work[call.args[0]] for call in chain.calls)
                    merged = schedule_attention(scores, softmax, values, chain.place, machine)
                    made[chain.names] = merged
                if made[chain.names] is not None:
                    found[var] = chain
            return _Merge(work, found, made) if found else None

        return with_rebuilt(mod, merge)


def _chains(mod: tvm.IRModule, func: relax.Function) -> dict[relax.Var, _Chain]:
    """Three calls in a row, by the variable of the last; nobody else reads what is between them."""
    read = reads_of(func)
    calls: dict[relax.Var, relax.Call] = {}
    for var, value in dataflow_bindings(func):
        kernel = kernel_of(mod, value)
        # Those of layers are scheduled. Sizes that a call hands on belong to one function alone.
        if kernel is not None and not is_scheduled(kernel) and len(value.args) == 2:
            calls[var] = value

    def alone(given: relax.Expr) -> relax.Call | None:
        is_own = isinstance(given, relax.DataflowVar) and read[given] == 1
        return calls.get(given) if is_own else None

    found = {}
    for var, call in calls.items():
        for place, given in enumerate(call.args[1].fields):
            softmax = alone(given)
            if softmax is None or len(softmax.args[1].fields) != 1:
                continue
            scores = alone(softmax.args[1].fields[0])
            if scores is not None:
                found[var] = _Chain(scores, softmax, call, place)
    return found


@mutator
class _Merge(PyExprMutator):
    def __init__(
        self,
        mod: tvm.IRModule,
        found: Mapping[relax.Var, _Chain],
        made: Mapping[tuple[str | int, ...], tirx.PrimFunc | None],
    ) -> None:
        super().__init__(mod)
        self.found, self.made = found, made
        self.kernels: dict[tuple[str | int, ...], tvm.ir.GlobalVar] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        chain = self.found.get(binding.var)
        if chain is None:
            super().visit_var_binding_(binding)
            return
        if chain.names not in self.kernels:
            kernel = self.made[chain.names]
            self.kernels[chain.names] = self.builder_.add_func(kernel, "attention")
        given = [self.visit_expr(argument) for argument in chain.arguments]
        call = relax.call_tir(self.kernels[chain.names], given, binding.var.ty)
        var = self.visit_var_def(binding.var)
        self.builder_.emit_normalized(relax.VarBinding(var, self.builder_.normalize(call)))
