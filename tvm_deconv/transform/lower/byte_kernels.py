"""Chains of a quantized network that one kernel computes from bytes: found, and called instead."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, ClassVar

import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.relax_functions import opaque
from tvm_deconv.transform.graph import Graph, known_sizes, own_names, shape_of
from tvm_deconv.transform.rebind import Emit, with_other_values

from .lower_integers import has_bytes


class ByteKernel(ABC):
    """What replaces a chain: a kernel that reads the bytes ``source``, called ``name``."""

    name: ClassVar[str]
    source: relax.Var

    @property
    def sources(self) -> tuple[relax.Expr, ...]:
        """All that it reads bytes of."""
        return (self.source,)

    @property
    @abstractmethod
    def form(self) -> Any:
        """What a kernel depends on besides the sizes of ``source``: a key of a dictionary."""

    @abstractmethod
    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        """The kernel; each of the ``sizes`` of ``source`` is an int or a variable."""

    def tables(self, graph: Graph, rebuild: PyExprMutator) -> list[relax.Expr]:
        """What it reads besides: expressions of the new function, made of those of ``graph``."""
        return []


def with_byte_kernels(
    mod: tvm.IRModule, read: Callable[[Graph, relax.Var], ByteKernel | None]
) -> tvm.IRModule:
    """The module with a call of the kernel in place of each tensor of which ``read`` gives one.

    Kernels of one form and of equal sizes are one function. A module without any is handed back
    itself.
    """

    def values_of(work: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Emit]:
        if not has_bytes(func):
            return {}
        graph, calls = Graph(func, work), _Calls()
        found = {var: read(graph, var) for var in graph.order if var in graph.live}
        return {
            var: partial(calls.emit, graph, kernel, var.ty)
            for var, kernel in found.items()
            if kernel is not None
        }

    return with_other_values(mod, values_of)


class _Calls:
    """Calls of kernels in one function; ``known`` are those that were added to the module."""

    def __init__(self) -> None:
        self.known: dict[Any, tvm.ir.GlobalVar] = {}

    def emit(
        self, graph: Graph, kernel: ByteKernel, ty: relax.TensorType, rebuild: PyExprMutator
    ) -> relax.Expr:
        """The call of ``kernel``, which gives a tensor of type ``ty``."""
        builder, sizes = rebuild.builder_, known_sizes(shape_of(kernel.source) or ())
        tables = kernel.tables(graph, rebuild)
        key = sizes, kernel.form
        if key not in self.known:
            func = opaque(kernel.write(own_names(sizes)))
            self.known[key] = builder.add_func(func, kernel.name)
        sources = map(rebuild.visit_expr, kernel.sources)
        return relax.call_tir(self.known[key], [*sources, *tables], ty)
