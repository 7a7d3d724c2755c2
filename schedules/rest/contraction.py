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

import tvm_ffi
from tvm import sym, tirx
from tvm.tirx import decl_buffer

from tvm_deconv.schedules.cpu.machine import CpuMachine

from .copies import Copier
from .plan import ContractionPlan
from .reduction import (
    Accumulation,
    Operand,
    accumulations_of,
    is_used_little,
    operands_of,
    split_groups,
    sum_type,
    widened,
)
from .stage import (
    TYPICAL_SIZE,
    Expr,
    Load,
    Stage,
    StageAxis,
    Var,
    loads_of,
    map_loads,
    static_value,
    substitute,
)
from .tile import RegisterTile, choose_tile, exact_tile

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
    plan: ContractionPlan
    copies: list[Copy]
    compute: Stage
    store: Stage
    # The axes of `compute`, which have rounded extents, by those that tile and plan speak of.
    rounded: dict[StageAxis, StageAxis]

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


def _vector_axis(stage: Stage, sums: Accumulation) -> StageAxis | None:
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


def _vector_axis_last(stage: Stage, vector_axis: StageAxis) -> Stage:
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
        self._plan = ContractionPlan(stage, tile, windowed, machine)
        self._copier = Copier(stage, tile, self._plan, producers, self._dtype)

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
            make = self._copier.tile_pack if kind == "pack" else self._copier.halo_copy
            stage, copied = make(operand, f"{self._stage.name}_{kind}{number}")
            copies.append(Copy(stage, operand))
            replaced.append((operand.load, copied))
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

    def _kind(self, operand: Operand) -> str:
        is_produced = operand.load.source in self._producers
        is_moving = self._tile.vector_axis in operand.axes
        stays_inside = not any(self._copier.is_rounded(axis) for axis in operand.axes)
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

    def _compute(self, term: Expr) -> tuple[Stage, Var]:
        axes = []
        values: dict[Var, Expr] = {}
        for axis in self._stage.axes:
            new = StageAxis(
                Var(axis.var.name, axis.var.ty), self._copier.rounded[axis], axis.reduces
            )
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


def epilogue_positions(epilogue: Stage, buffer: Var) -> list[Expr] | None:
    """The axes (or constants) at which an epilogue reads ``buffer``, one per dimension.

    None if it reads it in several ways, or if its axes are not exactly those that it reads at:
    then it is not elementwise and cannot follow tile by tile. Nor can a padding, a concatenation
    or a crop, which reads at its own axes but has more or fewer places than the buffer.
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
    extents = {axis.var: axis.extent for axis in epilogue.axes}
    if len(used) != len(extents) or set(used) != set(extents):
        return None
    analyzer = sym.Analyzer()
    sizes = [extents[p] if isinstance(p, Var) else 1 for p in positions]
    if any(not analyzer.can_prove_equal(a, b) for a, b in zip(sizes, buffer.shape, strict=True)):
        return None
    return positions
