"""The search space of ``depthwise``: values to try, and what cannot pay."""

from __future__ import annotations

from dataclasses import replace

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import blocks_of, lanes_of
from tvm_deconv.schedules.cpu.tiling_space import idle_threads, parallel_values, some_parts
from tvm_deconv.schedules.variant import Sizes

from .tile import MOST_WRITTEN_OUT, DepthTile, can_be_direct, can_be_flat

_MOST_ROWS = 128


class DepthSpace:
    """The space of ``DepthTile``."""

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: DepthTile, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those of ``own``, which the variant chooses itself."""
        rows = {1, 2, 4, 7, 8, 14, 16, 28, 32, 56, 64, _MOST_ROWS}
        lines = set(range(1, 9))
        if sizes.height is not None:
            blocks = blocks_of(conv.h, conv.step[0], sizes.height)
            rows = {n for n in rows | some_parts(blocks, 8) if n <= min(blocks, _MOST_ROWS)}
            lines = {n for n in lines if n <= blocks}
        flat = any(can_be_flat(conv, sizes, lanes) is None for lanes in lanes_of(machine)[:2])
        least = replace(own, lanes=lanes_of(machine)[-1], vectors=1, lines=1)
        direct = can_be_direct(conv, sizes, least) is None
        return {
            "lanes": set(lanes_of(machine)[:2]),
            "vectors": {1, 2, 3, 4},
            "lines": lines,
            "rows": rows,
            "planes": {n for n in (1, 2, 4, 8, 16, 32, 64) if n <= conv.in_channels},
            "flat": {0, 1} if flat else {0},
            "direct": {0, 1} if direct else {0},
            "parallel": parallel_values(conv, sizes, machine),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: DepthTile, machine: CpuMachine
    ) -> str | None:
        """Why the variant cannot do these sizes, in words; None if it can."""
        if tile.lanes not in lanes_of(machine):
            return f"no vectors of {tile.lanes} lanes on a machine of {machine.lanes}"
        if tile.flat:
            if (tile.vectors, tile.lines, tile.rows, tile.direct) != (1, 1, 1, False):
                return "a flat map is one line, of vectors, lines and rows 1"
            return can_be_flat(conv, sizes, tile.lanes)
        if tile.direct:
            return can_be_direct(conv, sizes, tile)
        return None

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: DepthTile, machine: CpuMachine
    ) -> list[Cost]:
        """What the sizes cost; the list is as long for every ``tile``."""
        sums = tile.vectors * tile.lines
        taps = conv.h.useful_taps * conv.w.useful_taps
        costs = [
            Cost("vector registers", sums * conv.w.stride + 1, machine.vector_registers),
            Cost("multiply-adds written out", sums * taps, MOST_WRITTEN_OUT),
        ]
        batch, height, width = sizes
        if width is not None:
            columns = blocks_of(conv.w, conv.step[1], width)
            span = tile.vectors * tile.lanes
            whole = columns if tile.flat else -(-columns // span) * span
            costs.append(waste("columns", columns, whole))
        if height is not None:
            rows = blocks_of(conv.h, conv.step[0], height)
            whole = rows if tile.flat else -(-rows // tile.lines) * tile.lines
            in_strip = Cost("rows of blocks in a strip", tile.strip, rows)
            costs += [waste("rows", rows, whole), in_strip]
            strips = 1 if tile.flat else -(-rows // tile.strip)
            pieces = (batch or 1) * -(-conv.in_channels // tile.planes) * strips
            costs.append(idle_threads(pieces, tile.parallel, machine))
        return costs
