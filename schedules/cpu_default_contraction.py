"""Convolutions, matrix products and pooling: a register tile over a domain of whole tiles.

The stage is computed over a domain rounded up to whole tiles, from operands that are copied where
they must reach further or lie differently; its result goes to a local buffer, and only the store
that follows knows the true sizes. So the reduction carries no predicate, whatever the sizes are,
also if they are symbolic: with predicates the same loops were measured 2 to 50 times slower.

Three kinds of operand:

- *direct*: broadcast, or contiguous along the vector axis, and never read out of bounds;
- *halo copy*: the operand's own dimensions, extended with zeros. A dimension that the vector axis
  strides through (``s*x + k``) is stored by phases, ``[..., s, ceil(size/s)]``, so that vectors are
  contiguous again. The padding stage of a convolution is folded in here;
- *tile pack*: ``[..., vector tile, reducing axes..., lane]``, one stream in the order of use.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import tvm
import tvm_ffi
from tvm import sym, tirx
from tvm.tirx import decl_buffer

from .cpu_default_plan import Plan
from .cpu_default_reduction import (
    Accumulation,
    Operand,
    accumulations_of,
    is_used_little,
    operands_of,
    split_groups,
    sum_type,
    widened,
)
from .cpu_default_stage import (
    TYPICAL_SIZE,
    Axis,
    Expr,
    Load,
    Stage,
    Var,
    loads_of,
    map_loads,
    static_value,
    substitute,
)
from .cpu_default_tile import RegisterTile, choose_tile, exact_tile
from .machine import CpuMachine

# Fewer uses than this of each packed value do not pay for packing it.
_USES_WORTH_PACKING = 8

# LLVM unrolls a reduction up to about this size and makes vectors along the results' rows.
_UNROLLED_REDUCTION = 36


@dataclass(frozen=True, eq=False)
class Copy:
    """An operand's copy: the operand, and the stage that fills the copy."""

    stage: Stage
    operand: Operand


@dataclass(frozen=True, eq=False)
class Contraction:
    """A contraction over whole tiles, ready to be scheduled."""

    tile: RegisterTile
    plan: Plan
    copies: list[Copy]
    compute: Stage
    store: Stage
    # The axes of `compute`, which have rounded extents, by those that tile and plan speak of.
    rounded: dict[Axis, Axis]

    @property
    def stages(self) -> list[Stage]:
        return [*(copy.stage for copy in self.copies), self.compute, self.store]


def contraction_of(
    stage: Stage, producers: dict[Var, Stage], epilogue: Stage | None, machine: CpuMachine
) -> Contraction | None:
    """``stage`` as a contraction; None if it is not one.

    ``producers`` maps buffers that only this stage reads to the injective stages that fill them:
    they are folded into the operands' copies. ``epilogue`` is the injective stage that alone reads
    the result, or None.
    """
    stage = split_groups(stage)
    accumulations = accumulations_of(stage)
    if accumulations is None or len(accumulations) != 1:
        return None
    sums = accumulations[0]
    operands = operands_of(stage, sums.term)
    vector_axis = _vector_axis(stage, sums)
    if not operands or vector_axis is None or not _is_float(sums.buffer):
        return None
    if any(c < 0 and not a.reduces for o in operands for step in o.steps for a, c in step.items()):
        # Rounding up would reach below zero. A flipped kernel (a reducing axis) is fine.
        return None
    if vector_axis.size is not None and vector_axis.size < 2:
        return None
    stage = _vector_axis_last(stage, vector_axis)
    tile = choose_tile(stage, operands, vector_axis, machine)
    if any(is_used_little(stage, o) for o in operands if vector_axis in o.axes):
        # Rows would reuse nothing; a tile that divides the axis needs no copy.
        tile = exact_tile(vector_axis, machine) or tile
    return _Builder(stage, sums, operands, producers, tile, machine).build(epilogue)


def _is_unrolled(stage: Stage) -> bool:
    sizes = [axis.size or TYPICAL_SIZE for axis in stage.reducing]
    return prod(sizes) <= _UNROLLED_REDUCTION


def _is_float(buffer: Var) -> bool:
    return str(buffer.dtype).startswith("float")


def _vector_axis(stage: Stage, sums: Accumulation) -> Axis | None:
    """The axis along which results are neighbours in memory."""
    shape = sums.buffer.shape
    wide = [d for d in range(len(shape)) if static_value(shape[d]) != 1]
    if not wide:
        return None
    linear = sym.detect_linear_equation(sums.indices[wide[-1]], [axis.var for axis in stage.axes])
    if not linear:
        return None
    for axis, coefficient in zip(stage.axes, linear[:-1], strict=True):
        if static_value(coefficient) == 1 and not axis.reduces:
            return axis
    return None


def _vector_axis_last(stage: Stage, vector_axis: Axis) -> Stage:
    others = [axis for axis in stage.spatial if axis is not vector_axis]
    return replace(stage, axes=(*others, vector_axis, *stage.reducing))


class _Builder:
    """Builds the stages of one contraction."""

    def __init__(
        self,
        stage: Stage,
        sums: Accumulation,
        operands: list[Operand],
        producers: dict[Var, Stage],
        tile: RegisterTile,
        machine: CpuMachine,
    ) -> None:
        self._stage = stage
        self._sums = sums
        self._operands = operands
        self._producers = producers
        self._tile = tile
        self._dtype = sum_type(sums.buffer)
        windowed = [operand for operand in operands if operand.has_window]
        self._plan = Plan(stage, tile, windowed, machine)
        self._rounded = {axis: self._round_up(axis) for axis in stage.axes}

    def build(self, epilogue: Stage | None) -> Contraction | None:
        copies: list[Copy] = []
        replaced: list[tuple[Load, Expr]] = []
        for number, operand in enumerate(self._operands):
            kind = self._kind(operand)
            if kind == "direct":
                replaced.append((operand.load, operand.load))
                continue
            if _is_unrolled(self._stage) and is_used_little(self._stage, operand):
                return None
            make = self._tile_pack if kind == "pack" else self._halo_copy
            stage, read = make(operand, f"{self._stage.name}_{kind}{number}")
            copies.append(Copy(stage, operand))
            replaced.append((operand.load, read))
        store = self._store(epilogue)
        if store is None:
            return None

        def read(load: Load) -> Expr:
            return next(new for old, new in replaced if tvm_ffi.structural_equal(load, old))

        term = widened(self._sums.term, self._dtype, read)
        compute, result = self._compute(term)
        finished = store(result)
        loops = dict(zip(self._stage.axes, compute.axes, strict=True))
        return Contraction(self._tile, self._plan, copies, compute, finished, loops)

    def _round_up(self, axis: Axis) -> Expr:
        step = self._plan.step(axis)
        if step == 1 or (axis.size is not None and axis.size % step == 0):
            return axis.extent
        if axis.size is not None:
            return tirx.IntImm("int64", -(-axis.size // step) * step)
        return (axis.extent + (step - 1)) // step * step

    def _is_rounded(self, axis: Axis) -> bool:
        return not self._rounded[axis].same_as(axis.extent)

    def _kind(self, operand: Operand) -> str:
        is_produced = operand.load.source in self._producers
        is_moving = self._tile.vector_axis in operand.axes
        stays_inside = not any(self._is_rounded(axis) for axis in operand.axes)
        if is_moving and not operand.has_window and self._uses(operand) >= _USES_WORTH_PACKING:
            return "pack"
        if is_produced or not stays_inside:
            return "halo"
        if is_moving and not operand.is_contiguous_along(self._tile.vector_axis):
            return "halo"
        return "direct"

    def _uses(self, operand: Operand) -> int:
        """How often each value is loaded: once per tile along the axes it does not depend on."""
        sizes = [
            -(-(axis.size or TYPICAL_SIZE) // self._tile.size_along(axis))
            for axis in self._stage.spatial
            if axis not in operand.axes
        ]
        return prod(sizes) if sizes else 0

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

    def _halo_copy(self, operand: Operand, name: str) -> tuple[Stage, Expr]:
        source = operand.load.source
        vector = self._tile.vector_axis
        axes: list[Axis] = []
        indices: list[Expr] = []
        reads: list[Expr] = []
        last: tuple[Axis, Expr] | None = None
        inside: list[Expr] = []
        analyzer = sym.Analyzer()
        for d, (step, base) in enumerate(zip(operand.steps, operand.bases, strict=True)):
            reach = analyzer.simplify(
                base + 1 + sum(c * (self._rounded[axis] - 1) for axis, c in step.items() if c > 0)
            )
            stride = step.get(vector, 0)
            offset = base + sum(c * axis.var for axis, c in step.items() if axis is not vector)
            if stride > 1:
                length = analyzer.simplify((reach + (stride - 1)) // stride)
                phase = Axis(Var(f"p{d}", base.ty), tirx.IntImm("int64", stride))
                along = Axis(Var(f"i{d}", base.ty), length)
                axes.append(phase)
                reads.append(self._simplify(offset % stride))
                last = (along, self._simplify(vector.var + offset // stride))
                indices.append(along.var * stride + phase.var)
                reach = length * stride
            else:
                along = Axis(Var(f"i{d}", base.ty), reach)
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

    def _tile_pack(self, operand: Operand, name: str) -> tuple[Stage, Expr]:
        tile = self._tile
        axes: list[Axis] = []
        values: dict[Var, Expr] = {}
        reads: list[Expr] = []
        inside: list[Expr] = []
        lane = Axis(Var("lane", tile.vector_axis.var.ty), tirx.IntImm("int64", tile.width))
        for axis in self._stage.axes:
            if axis not in operand.axes:
                continue
            own = Axis(Var(axis.var.name, axis.var.ty), self._rounded[axis])
            if axis is tile.vector_axis:
                own = replace(own, extent=self._simplify(self._rounded[axis] // tile.width))
                values[axis.var] = own.var * tile.width + lane.var
                reads.append(axis.var // tile.width)
            else:
                values[axis.var] = own.var
                reads.append(axis.var)
            if self._is_rounded(axis):
                inside.append(values[axis.var] < axis.extent)
            axes.append(own)
        axes.append(lane)
        reads.append(tile.vector_axis.var % tile.width)
        indices = [substitute(index, values) for index in operand.load.indices]
        return self._copy(name, axes, self._value_at(operand, indices), inside, reads)

    def _copy(
        self, name: str, axes: list[Axis], value: Expr, inside: list[Expr], reads: list[Expr]
    ) -> tuple[Stage, Expr]:
        buffer = decl_buffer([axis.extent for axis in axes], self._dtype, name)
        value = _guarded(value, inside, axes).astype(self._dtype)
        body = tirx.BufferStore(buffer, value, [axis.var for axis in axes])
        return Stage(name, tuple(axes), body), tirx.BufferLoad(buffer, reads)

    def _compute(self, term: Expr) -> tuple[Stage, Var]:
        axes = []
        values: dict[Var, Expr] = {}
        for axis in self._stage.axes:
            new = Axis(Var(axis.var.name, axis.var.ty), self._rounded[axis], axis.reduces)
            values[axis.var] = new.var
            axes.append(new)
        spatial = [axis for axis in axes if not axis.reduces]
        result = decl_buffer(
            [axis.extent for axis in spatial],
            self._dtype,
            f"{self._stage.name}_tile",
            scope="local",
        )
        at = [axis.var for axis in spatial]
        sums = self._sums
        update = sums.combine(tirx.BufferLoad(result, at), substitute(term, values))
        start = sums.identity.astype(self._dtype)
        compute = Stage(
            f"{self._stage.name}_compute",
            tuple(axes),
            tirx.BufferStore(result, update, at),
            tirx.BufferStore(result, start, at),
        )
        return compute, result

    def _store(self, epilogue: Stage | None):
        """A function from the result's buffer to the stage that stores it; None if impossible."""
        sums = self._sums
        spatial = self._stage.spatial
        at = [axis.var for axis in spatial]

        def load(result: Var) -> Expr:
            return tirx.BufferLoad(result, at).astype(str(sums.buffer.dtype))

        name = f"{self._stage.name}_store"
        if epilogue is None:
            return lambda result: Stage(
                name, spatial, tirx.BufferStore(sums.buffer, load(result), list(sums.indices))
            )
        positions = epilogue_positions(epilogue, sums.buffer)
        if positions is None:
            return None
        values = dict(zip(positions, sums.indices, strict=True))
        values = {var: index for var, index in values.items() if isinstance(var, Var)}
        final = epilogue.stores()[0]
        indices = [substitute(index, values) for index in final.indices]

        def finish(result: Var) -> Stage:
            value = map_loads(
                final.value,
                lambda node: (
                    load(result)
                    if node.source.same_as(sums.buffer)
                    else tirx.BufferLoad(node.source, [substitute(i, values) for i in node.indices])
                ),
            )
            body = tirx.BufferStore(final.buffer, substitute(value, values), indices)
            return Stage(name, spatial, body)

        return finish

    def _simplify(self, expr: Expr) -> Expr:
        analyzer = sym.Analyzer()
        for axis in self._stage.axes:
            analyzer.bind(axis.var, tvm.ir.Range(0, self._rounded[axis]))
        return analyzer.simplify(expr)


def _guarded(value: Expr, inside: list[Expr], axes: list[Axis]) -> Expr:
    """``value`` where all of ``inside`` holds, else anything harmless.

    A padding's own condition mostly implies them. One condition instead of two, one in the other,
    is what LLVM needs to make masked vectors of the copy.
    """
    condition, value, other = _condition_of(value)
    analyzer = sym.Analyzer()
    for axis in axes:
        analyzer.bind(axis.var, tvm.ir.Range(0, axis.extent))
    with analyzer.constraint_scope(condition):
        missing = [guard for guard in inside if not analyzer.can_prove(guard)]
    for guard in missing:
        condition = guard if static_value(condition) == 1 else tirx.And(condition, guard)
    return value if static_value(condition) == 1 else tirx.if_then_else(condition, value, other)


def _condition_of(value: Expr) -> tuple[Expr, Expr, Expr]:
    """(condition, value, other value) of a padded read; always true for any other."""
    if isinstance(value, tvm.ir.Call) and getattr(value.op, "name", "") == "tirx.if_then_else":
        condition, inner, other = value.args
        if isinstance(other, tirx.FloatImm):
            return condition, inner, other
    return tirx.const(True, "bool"), value, tirx.const(0, str(value.ty.dtype))


def epilogue_positions(epilogue: Stage, buffer: Var) -> list[Expr] | None:
    """The axes (or constants) at which an epilogue reads ``buffer``, one per dimension.

    None if it reads it in several ways, or if its axes are not exactly those that it reads at:
    then it is not elementwise and cannot follow tile by tile.
    """
    loads = [load for load in loads_of(epilogue.body) if load.source.same_as(buffer)]
    if not loads or len(epilogue.stores()) != 1:
        return None
    first = loads[0]
    if any(not tvm_ffi.structural_equal(load, first) for load in loads[1:]):
        return None
    positions = list(first.indices)
    used = [p for p in positions if isinstance(p, Var)]
    if any(not isinstance(p, Var) and static_value(p) != 0 for p in positions):
        return None
    own = [axis.var for axis in epilogue.axes]
    if len(used) != len(own) or any(not any(v.same_as(u) for u in used) for v in own):
        return None
    return positions
