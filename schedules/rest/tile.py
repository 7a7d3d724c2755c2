"""The register tile of a contraction: how many accumulators, along which axes."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.schedules.cpu.machine import CpuMachine

from .reduction import Operand
from .stage import TYPICAL_SIZE, Stage, StageAxis

# Two FMA units with a latency of four cycles need eight independent accumulators in flight
# (Skylake, Zen 4, Cortex-A76); with fewer, the units wait.
_LATENCY_TIMES_UNITS = 8


@dataclass(frozen=True, eq=False)
class RegisterTile:
    """``rows`` x ``vectors`` accumulators of ``lanes`` values.

    Lanes lie along ``vector_axis``, rows along ``row_axis`` (None where there is no second axis).
    """

    vector_axis: StageAxis
    row_axis: StageAxis | None
    lanes: int
    vectors: int
    rows: int

    @property
    def width(self) -> int:
        """Values along the vector axis."""
        return self.vectors * self.lanes

    def size_along(self, axis: StageAxis) -> int:
        """Values of the tile along any axis of the stage."""
        if axis is self.vector_axis:
            return self.width
        return self.rows if axis is self.row_axis else 1


def choose_tile(
    stage: Stage, operands: list[Operand], vector_axis: StageAxis, machine: CpuMachine
) -> RegisterTile:
    """The tile with the least estimated time per useful multiply-add.

    Rows go along an axis that the vector operand does not depend on, so that one loaded vector
    feeds a whole column of the tile; where every axis moves it (depthwise convolution, pooling),
    along the last other axis, only to have enough accumulators in flight.
    """
    lanes = machine.lanes
    while vector_axis.size is not None and lanes > 1 and lanes // 2 >= vector_axis.size:
        lanes //= 2
    moving = [operand for operand in operands if vector_axis in operand.axes]
    others = [axis for axis in stage.spatial if axis is not vector_axis]
    reused = [axis for axis in others if not any(axis in operand.axes for operand in moving)]
    candidates = reused or others
    row_axis = candidates[-1] if candidates else None

    # AVX-512 and NEON: 16 accumulators of 32 registers; LLVM spills more than about 20. AVX2: 6 x 2
    # accumulators, two vectors and one broadcast of 16 registers.
    budget = 16 if machine.vector_registers >= 32 else 12
    best: tuple[float, int, RegisterTile] | None = None
    for vectors in range(1, 5):
        for rows in range(1, budget // vectors + 1) if row_axis is not None else (1,):
            tile = RegisterTile(vector_axis, row_axis, lanes, vectors, rows)
            time = _time_per_value(tile, bool(reused))
            ranked = (time, -rows * vectors, tile)
            if best is None or ranked[:2] < best[:2]:
                best = ranked
    assert best is not None
    return best[2]


def exact_tile(vector_axis: StageAxis, machine: CpuMachine) -> RegisterTile | None:
    """The widest tile of one row that divides the vector axis; None if not even half a vector does.

    For operands that are used once: reading them must not need a copy.
    """
    if vector_axis.size is None:
        return None
    for lanes in (machine.lanes, machine.lanes // 2):
        for vectors in range(_LATENCY_TIMES_UNITS, 0, -1):
            if lanes > 1 and vector_axis.size % (lanes * vectors) == 0:
                return RegisterTile(vector_axis, None, lanes, vectors, rows=1)
    return None


def _time_per_value(tile: RegisterTile, is_reused: bool) -> float:
    accumulators = tile.rows * tile.vectors
    # Two loads per two multiply-adds and cycle; a vector that no row reuses is loaded each time.
    loads = tile.vectors + tile.rows if is_reused else accumulators + 1
    time = max(accumulators, loads, _LATENCY_TIMES_UNITS) / accumulators
    time *= _rounding(tile.vector_axis, tile.width)
    if tile.row_axis is not None:
        time *= _rounding(tile.row_axis, tile.rows)
    return time


def _rounding(axis: StageAxis, step: int) -> float:
    """Work of whole steps over useful work; half a step too much where the size is unknown."""
    if axis.size is None:
        return 1 + (step - 1) / 2 / TYPICAL_SIZE
    return -(-axis.size // step) * step / axis.size
