"""``LowerLookups``: what makes bytes of bytes one by one, by a table.

    y = quantize(f(dequantize(x)))  =>  table = quantize(f(dequantize([0, 1, ... 255])))
                                        y = call_tir(lookup, (x, table))

f is any chain of elementwise operators with constants that are one number or one for each channel:
an activation, or nothing but another scale. x has 256 values, so f is computed 256 times (for each
channel), at compile time, and then looked up: a tanh costs no more than a copy.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator, mutator

from tvm_deconv.patterns import operators
from tvm_deconv.relax_functions import opaque, with_rebuilt
from tvm_deconv.schedules.cpu.integer.lookup import has_lookup, write_lookup
from tvm_deconv.transform.graph import (
    BROADCAST,
    UNARY,
    Graph,
    constant,
    dtype_of,
    same_shape,
    shape_of,
)
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE
from tvm_deconv.transform.rebind import rebind

from .lower_integers import has_bytes

_PRELU = f"relax.{operators.PRELU}"
_INNER = UNARY | BROADCAST
# Below it, making the table is more work than computing the function of each byte.
_LEAST = 1 << 12


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerLookups")
class LowerLookups:
    """Relax module pass: the above, for maps of any size on processors that look vectors up.

    To run before LegalizeOps, which also folds the tables, and after ``LowerIntegers``, which does
    the same in the stores of convolutions where it can. Other modules are handed back themselves.
    """

    def __init__(self, target: tvm.target.Target) -> None:
        self._is_meant = target.kind.name == "llvm" and has_lookup(target)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every such chain as a call of a function ``lookup``."""

        def rebuild(work: tvm.IRModule, func: relax.Function) -> _Rebuild | None:
            if not has_bytes(func):
                return None
            graph = Graph(func, work)
            found = {var: _chain(graph, var) for var in graph.order if var in graph.live}
            chains = {var: chain for var, chain in found.items() if chain is not None}
            return _Rebuild(work, graph, chains) if chains else None

        return with_rebuilt(mod, rebuild) if self._is_meant else mod


@dataclass(frozen=True)
class _Chain:
    """``members`` in order make bytes of the bytes ``source``; ``channels`` tables, or one."""

    source: relax.Var
    members: tuple[relax.Var, ...]
    channels: int


def _chain(graph: Graph, result: relax.Var) -> _Chain | None:
    """What quantizes a function of one tensor of bytes as ``result``; None if it is none."""
    shape = shape_of(result)
    if graph.op(result) != QUANTIZE or dtype_of(result) not in BYTES or shape is None:
        return None
    if len(shape) < 3 or not isinstance(shape[1], int):
        return None
    sizes = [size for size in shape if isinstance(size, int)]
    if len(sizes) == len(shape) and np.prod(sizes) < _LEAST:
        return None
    sources: list[relax.Var] = []
    members: dict[relax.Var, None] = {}
    widths: set[int] = {1}

    def walk(var: relax.Var) -> bool:
        """Take in what computes ``var``; False where it is no function of bytes of the source."""
        if var in members:
            return True
        call, name = graph.value(var), graph.op(var)
        if not same_shape(shape_of(var), shape):
            return False
        if name == DEQUANTIZE:
            source = call.args[0]
            sources.append(source)
            is_one = isinstance(source, relax.Var) and source.same_as(sources[0])
            known = is_one and dtype_of(source) in BYTES and _are_numbers(graph, call.args[1:])
        elif name == _PRELU:
            slope = graph.constant(call.args[1])
            is_known = slope is not None and int(call.attrs.axis) % len(shape or ()) == 1
            widths.add(0 if slope is None else slope.size)
            known = is_known and _operand(call.args[0])
        elif name == QUANTIZE and var.same_as(result):
            known = _are_numbers(graph, call.args[1:]) and _operand(call.args[0])
        else:
            known = name in _INNER and all(map(_operand, call.args))
        if known:
            members[var] = None
        return bool(known)

    def _operand(argument: Any) -> bool:
        if not isinstance(argument, relax.Expr) or not isinstance(argument.ty, relax.TensorType):
            return True
        value = graph.constant(argument)
        if value is None:
            return isinstance(argument, relax.Var) and walk(argument)
        width = _channels_of(value, len(shape or ()))
        widths.add(width or 0)
        return width is not None

    if not walk(result) or not sources or not widths <= {1, shape[1]}:
        return None
    return _Chain(sources[0], tuple(members), max(widths))


def _are_numbers(graph: Graph, arguments: Any) -> bool:
    values = [graph.constant(argument) for argument in arguments]
    return all(value is not None and value.size == 1 for value in values)


def _channels_of(value: np.ndarray, rank: int) -> int | None:
    """How many numbers a constant has, if no axis but that of channels has several."""
    if value.size == 1:
        return 1
    full = (1,) * (rank - value.ndim) + value.shape
    return full[1] if len(full) == rank and np.prod(full) == full[1] else None


@mutator
class _Rebuild(PyExprMutator):
    """Replaces the result of each chain by a call that looks it up; the rest is copied."""

    def __init__(self, mod: tvm.IRModule, graph: Graph, chains: dict[relax.Var, _Chain]) -> None:
        super().__init__(mod)
        self.graph, self.chains = graph, chains
        self.known: dict[Any, tvm.ir.GlobalVar] = {}

    def visit_var_binding_(self, binding: relax.VarBinding) -> None:
        chain = self.chains.get(binding.var)
        if chain is None:
            super().visit_var_binding_(binding)
            return
        arguments = [self.visit_expr(chain.source), self._table(chain)]
        rebind(self, binding, relax.call_tir(self._callee(chain), arguments, binding.var.ty))

    def _table(self, chain: _Chain) -> relax.Expr:
        dtype, rank = dtype_of(chain.source), len(shape_of(chain.source) or ())
        every = np.arange(256).astype("uint8").view(dtype)
        shape = (1, chain.channels, *(1,) * (rank - 3), 256)
        made: dict[Any, relax.Expr] = {
            chain.source: constant(np.ascontiguousarray(np.broadcast_to(every, shape)))
        }
        for var in chain.members:
            call = self.graph.value(var)
            arguments = [
                made[argument] if argument in made else self._copied(argument)
                for argument in call.args
            ]
            made[var] = self.builder_.emit(relax.Call(call.op, arguments, call.attrs))
        table = relax.op.reshape(made[chain.members[-1]], (chain.channels, 256))
        return self.builder_.emit(table)

    def _copied(self, argument: Any) -> Any:
        return self.visit_expr(argument) if isinstance(argument, relax.Expr) else argument

    def _callee(self, chain: _Chain) -> tvm.ir.GlobalVar:
        sizes = tuple(
            size if isinstance(size, int) else None for size in shape_of(chain.source) or ()
        )
        dtypes = dtype_of(chain.source), dtype_of(chain.members[-1])
        key = sizes, dtypes, chain.channels
        if key not in self.known:
            free = [
                tvm.tirx.Var(f"n{axis}", "int64") if size is None else size
                for axis, size in enumerate(sizes)
            ]
            func = opaque(write_lookup(free, dtypes, chain.channels))
            self.known[key] = self.builder_.add_func(func, "lookup")
        return self.known[key]
