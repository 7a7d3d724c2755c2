"""Chains of a quantized network that one kernel computes from bytes: found, and called instead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.relax_functions import opaque, with_rebuilt
from tvm_deconv.transform.graph import Graph, known_sizes, own_names, shape_of
from tvm_deconv.transform.rebind import rebind

from .lower_integers import has_bytes

Emit = Callable[[relax.Expr], relax.Var]
Visit = Callable[[Any], Any]


class ByteKernel(ABC):
    """What replaces a chain: a kernel that reads the bytes ``source``, called ``name``."""

    name: ClassVar[str]
    source: relax.Var

    @property
    @abstractmethod
    def form(self) -> Any:
        """What a kernel depends on besides the sizes of ``source``: a key of a dictionary."""

    @abstractmethod
    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        """The kernel; each of the ``sizes`` of ``source`` is an int or a variable."""

    def tables(self, graph: Graph, visit: Visit, emit: Emit) -> list[relax.Expr]:
        """What it reads besides, from what ``visit`` makes of expressions of ``graph``."""
        return []


def with_byte_kernels(
    mod: tvm.IRModule, read: Callable[[Graph, relax.Var], ByteKernel | None]
) -> tvm.IRModule:
    """The module with a call of the kernel in place of each tensor of which ``read`` gives one.

    Kernels of one form and of equal sizes are one function. A module without any is handed back
    itself.
    """

    def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
        if not has_bytes(func):
            return None
        graph = Graph(func, work)
        found = {var: read(graph, var) for var in graph.order if var in graph.live}
        kernels = {var: kernel for var, kernel in found.items() if kernel is not None}
        return _Rebuild(work, graph, kernels) if kernels else None

    return with_rebuilt(mod, rebuild)


@mutator
class _Rebuild(PyExprMutator):
    def __init__(
        self, mod: tvm.IRModule, graph: Graph, kernels: Mapping[relax.Var, ByteKernel]
    ) -> None:
        super().__init__(mod)
        self.graph, self.kernels = graph, kernels
        self.known: dict[Any, tvm.ir.GlobalVar] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        kernel = self.kernels.get(binding.var)
        if kernel is None:
            super().visit_var_binding_(binding)
            return
        tables = kernel.tables(self.graph, self.visit_expr, self.builder_.emit)
        arguments = [self.visit_expr(kernel.source), *tables]
        rebind(self, binding, relax.call_tir(self._callee(kernel), arguments, binding.var.ty))

    def _callee(self, kernel: ByteKernel) -> tvm.ir.GlobalVar:
        sizes = known_sizes(shape_of(kernel.source) or ())
        key = sizes, kernel.form
        if key not in self.known:
            func = opaque(kernel.write(own_names(sizes)))
            self.known[key] = self.builder_.add_func(func, kernel.name)
        return self.known[key]
