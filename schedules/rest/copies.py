"""Copies of a contraction's operands: further than the original reaches, or in another order."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import tvm
from tvm import sym, tirx
from tvm.tirx import decl_buffer

from .plan import ContractionPlan
from .reduction import Operand
from .stage import Expr, Stage, StageAxis, Var, is_conditional, static_value, substitute
from .tile import RegisterTile


class Copier:
    """Makes copies for one contraction, whose axes are rounded up to whole tiles and strips.

    ``producers`` maps buffers to the injective stages that fill them: a copy computes their values
    itself. ``dtype`` is the type of the copies.
    """

    def __init__(
        self,
        stage: Stage,
        tile: RegisterTile,
        plan: ContractionPlan,
        producers: Mapping[Var, Stage],
        dtype: str,
    ) -> None:
        self._stage = stage
        self._tile = tile
        self._plan = plan
        self._producers = producers
        self._dtype = dtype
        self.rounded = {axis: self._round_up(axis) for axis in stage.axes}

    def is_rounded(self, axis: StageAxis) -> bool:
        """Whether the rounded domain is larger than the axis, or may be."""
        return not self.rounded[axis].same_as(axis.extent)

    def _round_up(self, axis: StageAxis) -> Expr:
        step = self._plan.step(axis)
        if step == 1 or (axis.size is not None and axis.size % step == 0):
            return axis.extent
        if axis.size is not None:
            return tirx.IntImm("int64", -(-axis.size // step) * step)
        return (axis.extent + (step - 1)) // step * step

    def _value_at(self, operand: Operand, indices: list[Expr]) -> Expr:
        """The operand's value at ``indices`` of its buffer, seen through its producer."""
        producer = self._producers.get(operand.load.source)
        if producer is None:
            return tirx.BufferLoad(operand.load.source, indices)
        store = producer.stores()[0]
        at = {}
        for position, index in zip(store.indices, indices, strict=True):
            if isinstance(position, Var):
                at[position] = index
        return substitute(store.value, at)

    def halo_copy(self, operand: Operand, name: str) -> tuple[Stage, Expr]:
        """The operand's own dimensions, extended; (stage that fills it, read in its place)."""
        source = operand.load.source
        vector = self._tile.vector_axis
        axes: list[StageAxis] = []
        indices: list[Expr] = []
        reads: list[Expr] = []
        last: tuple[StageAxis, Expr] | None = None
        inside: list[Expr] = []
        analyzer = sym.Analyzer()
        for d, (step, base) in enumerate(zip(operand.steps, operand.bases, strict=True)):
            reach = analyzer.simplify(
                base + 1 + sum(c * (self.rounded[axis] - 1) for axis, c in step.items() if c > 0)
            )
            stride = step.get(vector, 0)
            offset = base + sum(c * axis.var for axis, c in step.items() if axis is not vector)
            if stride > 1:
                length = analyzer.simplify((reach + (stride - 1)) // stride)
                phase = StageAxis(Var(f"p{d}", base.ty), tirx.IntImm("int64", stride))
                along = StageAxis(Var(f"i{d}", base.ty), length)
                axes.append(phase)
                reads.append(self._simplify(offset % stride))
                last = (along, self._simplify(vector.var + offset // stride))
                indices.append(along.var * stride + phase.var)
                reach = length * stride
            else:
                along = StageAxis(Var(f"i{d}", base.ty), reach)
                read = self._simplify(offset + stride * vector.var)
                indices.append(along.var)
                if stride == 1:
                    last = (along, read)
                else:
                    axes.append(along)
                    reads.append(read)
            if not analyzer.can_prove(reach <= source.shape[d]):
                inside.append(indices[-1] < source.shape[d])
        if last is not None:
            axes.append(last[0])
            reads.append(last[1])
        return self._copy(name, axes, self._value_at(operand, indices), inside, reads)

    def tile_pack(self, operand: Operand, name: str) -> tuple[Stage, Expr]:
        """One stream in the order of use; (stage that fills it, read in its place)."""
        tile = self._tile
        axes: list[StageAxis] = []
        values: dict[Var, Expr] = {}
        reads: list[Expr] = []
        inside: list[Expr] = []
        lane = StageAxis(Var("lane", tile.vector_axis.var.ty), tirx.IntImm("int64", tile.width))
        for axis in self._stage.axes:
            if axis not in operand.axes:
                continue
            own = StageAxis(Var(axis.var.name, axis.var.ty), self.rounded[axis])
            if axis is tile.vector_axis:
                own = replace(own, extent=self._simplify(self.rounded[axis] // tile.width))
                values[axis.var] = own.var * tile.width + lane.var
                reads.append(axis.var // tile.width)
            else:
                values[axis.var] = own.var
                reads.append(axis.var)
            if self.is_rounded(axis):
                inside.append(values[axis.var] < axis.extent)
            axes.append(own)
        axes.append(lane)
        reads.append(tile.vector_axis.var % tile.width)
        indices = [substitute(index, values) for index in operand.load.indices]
        return self._copy(name, axes, self._value_at(operand, indices), inside, reads)

    def _copy(
        self, name: str, axes: list[StageAxis], value: Expr, inside: list[Expr], reads: list[Expr]
    ) -> tuple[Stage, Expr]:
        buffer = decl_buffer([axis.extent for axis in axes], self._dtype, name)
        value = _guarded(value, inside, axes, self._dtype)
        body = tirx.BufferStore(buffer, value, [axis.var for axis in axes])
        return Stage(name, tuple(axes), body), tirx.BufferLoad(buffer, reads)

    def _simplify(self, expr: Expr) -> Expr:
        analyzer = sym.Analyzer()
        for axis in self._stage.axes:
            analyzer.bind(axis.var, tvm.ir.Range(0, self.rounded[axis]))
        return analyzer.simplify(expr)


def _guarded(value: Expr, inside: list[Expr], axes: list[StageAxis], dtype: str) -> Expr:
    """``value`` as ``dtype`` where all of ``inside`` holds, else anything harmless.

    A padding's own condition mostly implies them; with a single condition left, its edges can be
    cut. Of rows of symbolic length, which are not cut, LLVM was measured to make better code from
    two conditions, one in the other.
    """
    zero = tirx.const(0, dtype)
    if any(axis.size is None for axis in axes):
        for guard in inside:
            value = tirx.if_then_else(guard, value.astype(dtype), zero)
        return value.astype(dtype)
    condition, value, other = _condition_of(value)
    analyzer = sym.Analyzer()
    for axis in axes:
        analyzer.bind(axis.var, tvm.ir.Range(0, axis.extent))
    with analyzer.constraint_scope(condition):
        missing = [guard for guard in inside if not analyzer.can_prove(guard)]
    for guard in missing:
        condition = guard if static_value(condition) == 1 else tirx.And(condition, guard)
    value = value.astype(dtype)
    if static_value(condition) == 1:
        return value
    return tirx.if_then_else(condition, value, tirx.const(other, dtype))


def _condition_of(value: Expr) -> tuple[Expr, Expr, float]:
    """(condition, value, other value) of a padded read; always true for any other."""
    if is_conditional(value):
        condition, inner, other = value.args
        if isinstance(other, tirx.FloatImm):
            return condition, inner, float(other.value)
    return tirx.const(True, "bool"), value, 0.0
