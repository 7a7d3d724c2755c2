"""Scheduling steps of a contraction: strips in parallel, tiles in registers."""

from __future__ import annotations

from math import prod

from tvm import s_tir

from .cpu_default_contraction import Contraction, Copy
from .cpu_default_injective import is_vector_row, schedule_injective
from .cpu_default_rows import ROW
from .cpu_default_stage import Axis, static_value
from .machine import CpuMachine

# Rows of a strip that are tried: more rows share more of the halo, fewer make more strips.
_STRIPS = (16, 8, 6, 4, 3, 2, 1)

# What a symbolic size is taken for.
_TYPICAL_SIZE = 64

# Unrolling the last reducing axis up to this many multiply-adds keeps the loop in the op cache.
_UNROLLED_MULTIPLY_ADDS = 96


def schedule_contraction(
    schedule: s_tir.Schedule, contraction: Contraction, machine: CpuMachine
) -> None:
    """Before: ``copies; for spatial, reducing: compute; for spatial: store``.

    After::

        for strip in parallel(outer axes):
            copies that belong to the strip
            for other axes, tiles:
                tile = 0                            # vectors x rows, unrolled
                for reducing: tile += ...           # the same, without predicates
                store(tile)

    Copies that all strips need (packed weights) stay in front, parallel by themselves.
    """
    tile = contraction.tile
    compute = schedule.get_sblock(contraction.compute.name)
    loops = dict(zip(contraction.compute.axes, schedule.get_loops(compute), strict=True))
    plan = _Plan(contraction, machine)

    vector_outer, vectors, lanes = schedule.split(
        loops[tile.vector_axis], [None, tile.vectors, tile.lanes]
    )
    inner = [vectors, lanes]
    outer_of = {axis: loops[axis] for axis in contraction.compute.spatial}
    outer_of[tile.vector_axis] = vector_outer
    if tile.row_axis is not None:
        outer_of[tile.row_axis], tile_rows = schedule.split(loops[tile.row_axis], [None, tile.rows])
        inner = [tile_rows, *inner]
    within = []
    if plan.strip_axis is not None and plan.strip > 1:
        outer_of[plan.strip_axis], step = schedule.split(
            outer_of[plan.strip_axis], [None, plan.strip]
        )
        within = [step]
    strips = [outer_of[axis] for axis in plan.outer]
    sweeps = [outer_of[axis] for axis in plan.swept]
    moving = [outer_of[axis] for axis in plan.innermost]
    reducing = [loops[axis] for axis in contraction.compute.reducing]
    schedule.reorder(*strips, *sweeps, *within, *moving, *reducing, *inner)
    strip = schedule.fuse(*strips)
    schedule.parallel(strip)

    for copy in contraction.copies:
        if copy not in plan.strip_copies:
            schedule_injective(schedule, copy.stage, machine)
    for copy in plan.strip_copies:
        block = schedule.get_sblock(copy.stage.name)
        schedule.compute_at(block, strip)
        if is_vector_row(copy.stage, copy.stage.axes[-1]):
            schedule.annotate(schedule.get_loops(block)[-1], ROW, machine.lanes)
    tiles = [*sweeps, *within, *moving]
    store = schedule.get_sblock(contraction.store.name)
    schedule.reverse_compute_at(store, tiles[-1] if tiles else strip)
    *rows, row = schedule.get_loops(store)[1 + len(tiles) :]
    for loop in rows:
        # Registers have no addresses: every row must be named by a constant.
        if static_value(schedule.get(loop).extent) is not None:
            schedule.unroll(loop)
    schedule.annotate(row, ROW, tile.lanes)
    last = contraction.compute.reducing[-1].size
    if last is not None and last * tile.rows * tile.vectors <= _UNROLLED_MULTIPLY_ADDS:
        schedule.unroll(reducing[-1])
    _to_registers(schedule, inner)
    start = schedule.decompose_reduction(compute, reducing[0])
    _to_registers(schedule, schedule.get_loops(start)[-len(inner) :])


def _to_registers(schedule: s_tir.Schedule, loops: list[s_tir.schedule.LoopRV]) -> None:
    *unrolled, lane = loops
    for loop in unrolled:
        schedule.unroll(loop)
    schedule.vectorize(lane)


class _Plan:
    """Which axes run in parallel, and which copies are made inside."""

    def __init__(self, contraction: Contraction, machine: CpuMachine) -> None:
        self._contraction = contraction
        self._machine = machine
        tile = contraction.tile
        spatial = contraction.compute.spatial
        windowed = [copy for copy in contraction.copies if copy.operand.has_window]
        shared = self._axes_of(windowed[0]) if windowed else []
        inner = {tile.vector_axis, tile.row_axis}
        outer = [axis for axis in shared if axis is not tile.vector_axis]
        # The row axis stays inside unless the window itself moves with it (depthwise, pooling).
        outer = [a for a in outer if a is not tile.row_axis or self._is_row_moving(windowed[0])]
        self.strip_axis: Axis | None = outer[-1] if outer else None
        self.strip = 1
        if self.strip_axis is not None:
            self.strip = self._strip(windowed[0], outer)
        if self._count(outer) >= 2 * machine.threads:
            self.outer = outer
            self.strip_copies = [
                copy for copy in windowed if set(outer) == set(self._axes_of(copy)) & set(outer)
            ]
            rest = [axis for axis in spatial if axis not in outer]
        else:
            # Too few strips for the threads: tiles in parallel, copies in front of them all.
            self.outer = list(spatial)
            self.strip_axis, self.strip_copies, rest = None, [], []
        self.innermost = [a for a in rest if a in inner and a in shared]
        self.swept = [axis for axis in rest if axis not in self.innermost]

    def _axes_of(self, copy: Copy) -> list[Axis]:
        """The contraction's spatial axes that a copy depends on, in order."""
        original = self._contraction.original
        return [
            axis
            for axis in self._contraction.compute.spatial
            if original[axis] in copy.operand.axes
        ]

    def _is_row_moving(self, copy: Copy) -> bool:
        """Whether row and vector axis both move the window: then rows share nothing to sweep."""
        return self._contraction.tile.vector_axis in self._axes_of(copy)

    def _tiles(self, axis: Axis) -> int:
        size = axis.size or _TYPICAL_SIZE
        return -(-size // self._contraction.tile.size_along(axis))

    def _count(self, outer: list[Axis]) -> int:
        counts = [
            -(-self._tiles(axis) // (self.strip if axis is self.strip_axis else 1))
            for axis in outer
        ]
        return prod(counts) if counts else 0

    def _strip(self, copy: Copy, outer: list[Axis]) -> int:
        """Rows of a strip: the copy fits half of L2, and every thread gets some strips."""
        axis = self.strip_axis
        assert axis is not None
        tiles = self._tiles(axis)
        best = (float("inf"), 0, 1)
        for strip in _STRIPS:
            others = prod(self._tiles(other) for other in outer if other is not axis)
            enough = -(-tiles // strip) * others >= 4 * self._machine.threads
            if self._bytes(copy, outer, strip) > self._machine.l2_bytes // 2 or not enough:
                continue
            waste = -(-tiles // strip) * strip / tiles
            best = min(best, (waste, -strip, strip))
        return best[2]

    def _bytes(self, copy: Copy, outer: list[Axis], strip: int) -> int:
        """Bytes of the copy for one strip."""
        original = self._contraction.original
        back = {original[axis]: axis for axis in self._contraction.compute.axes}
        values = 1
        for step in copy.operand.steps:
            extent = 1
            for old, coefficient in step.items():
                axis = back[old]
                size = axis.size or _TYPICAL_SIZE
                if axis in outer:
                    size = self._contraction.tile.size_along(axis)
                    size *= strip if axis is self.strip_axis else 1
                extent += abs(coefficient) * (size - 1)
            values *= extent
        return 4 * values
