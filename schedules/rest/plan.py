"""Which axes of a contraction run in parallel, in strips of which height, and what they share."""

from __future__ import annotations

from math import prod

from tvm_deconv.schedules.cpu.machine import CpuMachine

from .reduction import Operand, multiply_adds_per_value
from .stage import TYPICAL_SIZE, Stage, StageAxis
from .tile import RegisterTile

# Tiles in a strip that are tried: more of them share more of the halo, fewer make more strips.
_STRIPS = (16, 12, 8, 6, 5, 4, 3, 2, 1)

# A copied value costs about as much as this many multiply-adds of the register tile.
_MULTIPLY_ADDS_PER_COPY = 4


class ContractionPlan:
    """The order of a contraction's outer loops: ``outer`` (parallel), ``swept``, ``innermost``.

    A strip is ``strip`` tiles along ``strip_axis``, the last outer axis: the part of the operand
    with a window (a convolution's input) that the strip reads is copied once, and every axis that
    does not move the window sweeps over that copy.
    """

    def __init__(
        self, stage: Stage, tile: RegisterTile, windowed: list[Operand], machine: CpuMachine
    ) -> None:
        self._stage = stage
        self._tile = tile
        self._machine = machine
        self.strip = 1
        self.strip_axis: StageAxis | None = None
        moving = [axis for axis in stage.spatial if windowed and axis in windowed[0].axes]
        outer = [axis for axis in moving if axis is not tile.vector_axis]
        if tile.vector_axis not in moving:
            # Rows move the window along what lanes do elsewhere: they stay inside.
            outer = [axis for axis in outer if axis is not tile.row_axis]
        if outer:
            self.strip_axis = outer[-1]
            self.strip = self._best_strip(windowed[0], outer)
        if self._count(outer) >= 2 * machine.threads:
            self.outer = outer
        else:
            # Too few strips for the threads: tiles in parallel, copies in front of them all.
            self.outer, self.strip_axis, self.strip = list(stage.spatial), None, 1
        rest = [axis for axis in stage.spatial if axis not in self.outer]
        self.innermost = [axis for axis in rest if axis in moving]
        self.swept = [axis for axis in rest if axis not in moving]

    def is_copied_by_strip(self, operand: Operand) -> bool:
        """Whether a strip copies its own part of the operand, instead of one copy for all."""
        return (
            self.strip_axis is not None
            and operand.has_window
            and all(axis in operand.axes for axis in self.outer)
        )

    def step(self, axis: StageAxis) -> int:
        """What the axis is rounded up to a multiple of."""
        if axis.reduces:
            return 1
        return self._tile.size_along(axis) * (self.strip if axis is self.strip_axis else 1)

    def _tiles(self, axis: StageAxis) -> int:
        size = axis.size or TYPICAL_SIZE
        return -(-size // self._tile.size_along(axis))

    def _count(self, outer: list[StageAxis], strip: int | None = None) -> int:
        strip = self.strip if strip is None else strip
        counts = [
            -(-self._tiles(axis) // (strip if axis is self.strip_axis else 1)) for axis in outer
        ]
        return prod(counts) if counts else 0

    def _best_strip(self, operand: Operand, outer: list[StageAxis]) -> int:
        """The strip with the least work, rounding and halo counted; it fits half of L2."""
        axis = self.strip_axis
        assert axis is not None
        tiles = self._tiles(axis)
        share = _MULTIPLY_ADDS_PER_COPY / multiply_adds_per_value(self._stage, operand)
        best = (float("inf"), 1)
        for strip in _STRIPS:
            values = self._values(operand, outer, strip)
            too_few = self._count(outer, strip) < 4 * self._machine.threads
            if strip > 1 and (4 * values > self._machine.l2_bytes // 2 or too_few):
                continue
            rounding = -(-tiles // strip) * strip / tiles
            if axis.size is None:
                rounding = 1 + (strip - 1) / 2 / tiles
            without_halo = self._values(operand, outer, 1024) / 1024 * strip
            halo = values / without_halo - 1
            best = min(best, (rounding * (1 + share * (1 + halo)), strip))
        return best[1]

    def _values(self, operand: Operand, outer: list[StageAxis], strip: int) -> int:
        """Values of the operand that one strip reads."""
        values = 1
        for step in operand.steps:
            extent = 1
            for axis, coefficient in step.items():
                size = axis.size or TYPICAL_SIZE
                if axis in outer:
                    size = self._tile.size_along(axis) * (strip if axis is self.strip_axis else 1)
                extent += abs(coefficient) * (size - 1)
            values *= extent
        return values
