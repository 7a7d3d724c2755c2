"""``LowerLookups``: what makes bytes of bytes one by one, by a table.

    y = quantize(f(dequantize(x)))  =>  table = quantize(f(dequantize([0, 1, ... 255])))
                                        y = call_tir(lookup, (x, table))

f is any chain of elementwise operators with constants that are one number or one for each channel:
an activation, or nothing but another scale. x has 256 values, so f is computed 256 times (for each
channel), at compile time, and then looked up: a tanh costs no more than a copy. Where all inputs of
a Concat are looked up, as those of a dense block whose scales differ, one function does it for all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import relax, tirx
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.patterns import operators
from tvm_deconv.schedules.cpu.integer.lookup import has_lookup, write_lookup, write_lookups
from tvm_deconv.schedules.cpu.machine import is_cpu
from tvm_deconv.transform.graph import (
    CONCAT,
    ELEMENTWISE,
    Graph,
    constant,
    dtype_of,
    same_shape,
    shape_of,
)
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, QUANTIZE

from .byte_kernels import ByteKernel, with_byte_kernels

_PRELU = f"relax.{operators.PRELU}"
# Below it, making the table is more work than computing the function of each byte.
_LEAST = 1 << 12


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerLookups")
class LowerLookups:
    """Relax module pass: the above, for maps of any size on processors that look vectors up.

    To run before LegalizeOps, which also folds the tables, and after ``LowerIntegers``, which does
    the same in the stores of convolutions where it can. Other modules are handed back themselves.
    """

    def __init__(self, target: tvm.target.Target) -> None:
        self._is_meant = is_cpu(target) and has_lookup(target)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every such chain as a call of a function ``lookup``."""
        return with_byte_kernels(mod, _read) if self._is_meant else mod


@dataclass(frozen=True)
class _Chain(ByteKernel):
    """``members`` in order make bytes of the bytes ``source``; ``channels`` tables, or one."""

    source: relax.Var
    members: tuple[relax.Var, ...]
    channels: int

    name = "lookup"

    @property
    def form(self) -> tuple[tuple[str, str], int]:
        return (dtype_of(self.source), dtype_of(self.members[-1])), self.channels

    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        return write_lookup(sizes, *self.form)

    def tables(self, graph: Graph, rebuild: PyExprMutator) -> list[relax.Expr]:
        """f of every byte, as operators that LegalizeOps folds."""
        dtype, rank = dtype_of(self.source), len(shape_of(self.source) or ())
        emit = rebuild.builder_.emit
        every = np.arange(256).astype("uint8").view(dtype)
        shape = (1, self.channels, *(1,) * (rank - 3), 256)
        made: dict[Any, relax.Expr] = {
            self.source: constant(np.ascontiguousarray(np.broadcast_to(every, shape)))
        }

        def copied(argument: Any) -> Any:
            return rebuild.visit_expr(argument) if isinstance(argument, relax.Expr) else argument

        for var in self.members:
            call = graph.value(var)
            arguments = [
                made[argument] if argument in made else copied(argument) for argument in call.args
            ]
            made[var] = emit(relax.Call(call.op, arguments, call.attrs))
        return [emit(relax.op.reshape(made[self.members[-1]], (self.channels, 256)))]


@dataclass(frozen=True)
class _Joined(ByteKernel):
    """What is looked up of several sources, side by side along axis 1; all sizes are known."""

    source: relax.Var
    chains: tuple[_Chain, ...]

    name = "lookup"

    @property
    def sources(self) -> tuple[relax.Expr, ...]:
        return tuple(chain.source for chain in self.chains)

    @property
    def form(self) -> Any:
        channels = tuple((shape_of(one.source) or ())[1] for one in self.chains)
        return channels, tuple(one.form for one in self.chains)

    def write(self, sizes: list[Any]) -> tirx.PrimFunc:
        channels, forms = self.form
        shapes = [[sizes[0], own, *sizes[2:]] for own in channels]
        (result,) = {written for (_, written), _ in forms}
        read = [source for (source, _), _ in forms]
        return write_lookups(shapes, read, result, [tables for _, tables in forms])

    def tables(self, graph: Graph, rebuild: PyExprMutator) -> list[relax.Expr]:
        return [table for chain in self.chains for table in chain.tables(graph, rebuild)]


def _read(graph: Graph, var: relax.Var) -> ByteKernel | None:
    """A Concat of chains, or a chain that is not an input of one."""
    joined = _joined(graph, var)
    if joined is not None:
        return joined
    return None if any(_joined(graph, one) for one in _readers(graph, var)) else _chain(graph, var)


def _readers(graph: Graph, var: relax.Var) -> list[relax.Var]:
    return graph.users.get(var, [])


def _joined(graph: Graph, var: relax.Var) -> _Joined | None:
    """The chains that a Concat along axis 1 joins, which nobody else reads; None if not all are."""
    if graph.op(var) != CONCAT or dtype_of(var) not in BYTES:
        return None
    call = graph.value(var)
    rank = len(shape_of(var) or ())
    if not isinstance(call.args[0], relax.Tuple) or rank < 3 or int(call.attrs.axis) % rank != 1:
        return None
    chains = []
    for part in call.args[0].fields:
        is_own = isinstance(part, relax.Var) and part not in graph.outputs
        chain = _chain(graph, part) if is_own and len(_readers(graph, part)) == 1 else None
        is_known = all(isinstance(size, int) for size in shape_of(part) or ("",))
        if chain is None or not is_known:
            return None
        chains.append(chain)
    return _Joined(chains[0].source, tuple(chains)) if len(chains) > 1 else None


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
            known = name in ELEMENTWISE and all(map(_operand, call.args))
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
