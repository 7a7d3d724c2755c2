"""Normalisations that are spelled out become one function each.

Exporters and our own frontends write them as ten operators, in two passes so that nothing cancels::

    mean = mean(x, axes)                     y = (x - mean) / sqrt(mean((x - mean)²) + epsilon)

Of those TVM's fusion makes four functions, with three maps as large as ``x`` between them. As one
function it is computed row by row (``schedules.rest.row_group``). Those of groups stand between two
reshapes, which go with them. Where ``x`` is dequantized, the function reads bytes: three maps of
float32 less. On processors only: TVM's schedules for GPUs want one reduction each.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
import tvm
from tvm import relax, te, tirx
from tvm.relax.expr_functor import PyExprMutator
from tvm.target import Target

from tvm_deconv.schedules.cpu.machine import is_cpu

from .graph import Graph, dtype_of, same, same_shape, shape_of
from .keep_bytes import DEQUANTIZE, Scale, scale_of
from .rebind import Emit, with_other_values

_DTYPES = ("float32", "float64")


@dataclass(frozen=True)
class _Normalisation:
    """``x`` normalised over its axes from ``first`` on; those of ``groups`` channels together.

    With groups, the statistics are those of each image and group of channels (axis 1), and
    ``first`` is 1. With a ``scale``, ``x`` are the bytes that are dequantized.
    """

    x: relax.Expr
    first: int
    epsilon: float
    groups: int = 0
    scale: Scale | None = None

    def emit(self, rebuild: PyExprMutator) -> relax.Expr:
        """The call of the function that computes it."""
        x, numbers = rebuild.visit_expr(self.x), (self.first, self.groups, self.epsilon)
        of = self.scale and (self.scale.scale, self.scale.zero_point)
        return rebuild.builder_.call_te(
            _normalised, x, *numbers, of, primfunc_name_hint="normalise"
        )


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.MergeNormalisations")
class MergeNormalisations:
    """Relax module pass: what the module's docstring says."""

    def __init__(self, target: Target) -> None:
        self._is_cpu = is_cpu(target)

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_other_values(mod, _values_of) if self._is_cpu else mod


def _values_of(_work: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Emit]:
    return {var: normalisation.emit for var, normalisation in _find(func).items()}


def _find(func: relax.Function) -> dict[relax.Var, _Normalisation]:
    graph = Graph(func)
    found: dict[relax.Var, _Normalisation] = {}
    for var in graph.order:
        normalisation = _read(graph, var) or _grouped(graph, var, found)
        if normalisation is not None:
            found[var] = normalisation
    return found


def _read(graph: Graph, var: relax.Var) -> _Normalisation | None:
    """``var`` as centred / sqrt(variance + epsilon), or times rsqrt."""
    operator = graph.op(var)
    if operator not in ("relax.divide", "relax.multiply") or dtype_of(var) not in _DTYPES:
        return None
    root = "relax.sqrt" if operator == "relax.divide" else "relax.rsqrt"
    a, b = graph.value(var).args
    pairs = [(a, b)] if operator == "relax.divide" else [(a, b), (b, a)]
    for centred, deviation in pairs:
        about = _centred(graph, centred)
        if about is None or graph.op(deviation) != root:
            continue
        x, axes = about
        epsilon = _variance_and_more(graph, graph.value(deviation).args[0], x, axes)
        first = _first_of_tail(shape_of(x) or (), axes)
        if epsilon is not None and first is not None:
            of = _dequantized(graph, x)
            if of is not None:
                return _Normalisation(of[0], first, epsilon, scale=of[1])
            return _Normalisation(x, first, epsilon)
    return None


def _dequantized(graph: Graph, expr: relax.Expr) -> tuple[relax.Expr, Scale] | None:
    """The bytes that ``expr`` is made of, by one scale for all; None if it is not."""
    if graph.op(expr) != DEQUANTIZE:
        return None
    call = graph.value(expr)
    scale = scale_of(graph, call, dtype_of(call.args[0]))
    return None if scale is None else (call.args[0], scale)


def _is_same(graph: Graph, a: relax.Expr, b: relax.Expr) -> bool:
    """Whether both are one tensor, or dequantized alike, each for its reader (``KeepBytes``)."""
    if a.same_as(b):
        return True
    one, other = _dequantized(graph, a), _dequantized(graph, b)
    if one is None or other is None:
        return False
    return one[0].same_as(other[0]) and one[1] == other[1]


def _first_of_tail(shape: Sequence[Any], axes: Sequence[int]) -> int | None:
    """The first of ``axes`` if they are all from there on, those of size 1 left aside."""
    wide = [axis for axis in range(len(shape)) if shape[axis] != 1]
    first = next((axis for axis in axes if axis in wide), None)
    if first is None or any(axis not in axes for axis in wide if axis > first):
        return None
    return first


def _mean(graph: Graph, expr: relax.Expr) -> tuple[relax.Expr, tuple[int, ...]] | None:
    """What ``expr`` is the mean of, along which axes, which stay."""
    if graph.op(expr) != "relax.mean":
        return None
    call = graph.value(expr)
    shape = shape_of(call.args[0])
    if shape is None or not call.attrs.keepdims or not call.attrs.axis:
        return None
    axes = sorted(int(axis) % len(shape) for axis in call.attrs.axis)
    return call.args[0], tuple(axes)


def _centred(graph: Graph, expr: relax.Expr) -> tuple[relax.Expr, tuple[int, ...]] | None:
    """``x - mean(x, axes)`` as x and axes."""
    if graph.op(expr) != "relax.subtract":
        return None
    x, mean = graph.value(expr).args
    of = _mean(graph, mean)
    return of if of is not None and isinstance(x, relax.Var) and _is_same(graph, of[0], x) else None


def _variance_and_more(
    graph: Graph, expr: relax.Expr, x: relax.Expr, axes: Sequence[int]
) -> float | None:
    """What is added to the variance of ``x``; None for anything else."""
    if graph.op(expr) != "relax.add":
        return None
    variance, more = graph.value(expr).args
    epsilon = graph.constant(more)
    of = _mean(graph, variance)
    if epsilon is None or epsilon.size != 1 or of is None or of[1] != tuple(axes):
        return None
    square = graph.value(of[0])
    name = graph.op(of[0])
    if name == "relax.multiply":
        factors = list(square.args)
    elif name == "relax.square" or (
        name == "relax.power" and _is(graph.constant(square.args[1]), 2)
    ):
        factors = [square.args[0]]
    else:
        return None
    for factor in factors:
        about = _centred(graph, factor)
        if about is None or not _is_same(graph, about[0], x) or about[1] != tuple(axes):
            return None
    return float(epsilon.reshape(()))


def _is(value: np.ndarray | None, number: float) -> bool:
    return value is not None and value.size == 1 and float(value.reshape(())) == number


def _grouped(
    graph: Graph, var: relax.Var, found: dict[relax.Var, _Normalisation]
) -> _Normalisation | None:
    """``reshape(normalised(reshape(x, (images, groups, ...))), shape of x)``."""
    if graph.op(var) != "relax.reshape":
        return None
    inner = graph.value(var).args[0]
    normalisation = found.get(inner) if isinstance(inner, relax.Var) else None
    if normalisation is None or graph.op(normalisation.x) != "relax.reshape":
        return None
    x = graph.value(normalisation.x).args[0]
    whole, parts = shape_of(x), shape_of(normalisation.x)
    if whole is None or parts is None or normalisation.first != 2 or normalisation.groups:
        return None
    groups, channels = parts[1], whole[1] if len(whole) > 1 else 0
    if not isinstance(groups, int) or not isinstance(channels, int) or channels % groups:
        return None
    is_by_group = len(whole) > 2 and same_shape(shape_of(var), whole) and same(whole[0], parts[0])
    return _Normalisation(x, 1, normalisation.epsilon, groups) if is_by_group else None


def _normalised(
    x: te.Tensor, first: int, groups: int, epsilon: float, of: tuple[float, int] | None = None
) -> te.Tensor:
    """(x - mean) / sqrt(variance + epsilon) over the axes from ``first`` on, or by groups.

    Bytes are ``of`` a scale and a zero point.
    """
    dtype = x.dtype if of is None else "float32"

    def read(*at: Any) -> Any:
        if of is None:
            return x(*at)
        above = x(*at).astype("int32") - tirx.const(of[1], "int32")
        return above.astype(dtype) * tirx.const(of[0], dtype)

    outer, within = list(x.shape[:first]), list(x.shape[first:])
    if groups:
        outer, within = [*outer, groups], [within[0] // groups, *within[1:]]

    def value(row: Sequence[Any], at: Sequence[Any]) -> Any:
        if groups:
            *image, group = row
            return read(*image, group * within[0] + at[0], *at[1:])
        return read(*row, *at)

    def total(term: Any, name: str) -> te.Tensor:
        at = [te.reduce_axis((0, size), f"k{i}") for i, size in enumerate(within)]
        return te.compute(outer, lambda *row: te.sum(term(row, at), axis=at), name=name)

    count = prod(within[1:], start=within[0])
    count = count.astype(dtype) if isinstance(count, tirx.Expr) else tirx.const(count, dtype)
    sums = total(value, "sum")
    mean = te.compute(outer, lambda *row: sums(*row) / count, name="mean")

    def square(row: Sequence[Any], at: Sequence[Any]) -> Any:
        return (value(row, at) - mean(*row)) * (value(row, at) - mean(*row))

    squares = total(square, "squares")
    shift = tirx.const(epsilon, dtype)
    inverse = te.compute(
        outer, lambda *row: tirx.rsqrt(squares(*row) / count + shift), name="inverse"
    )

    def normal(*at: Any) -> Any:
        row = list(at[:first])
        if groups:
            row.append(at[first] // within[0])
        return (read(*at) - mean(*row)) * inverse(*row)

    return te.compute(x.shape, normal, name="normalised")
