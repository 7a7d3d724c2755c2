"""The search space of ``channels``: values to try, and what cannot pay."""

from __future__ import annotations

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import blocks_of, lanes_of
from tvm_deconv.schedules.cpu.tiling_space import (
    idle_threads,
    parallel_values,
    some_parts,
    split_values,
    unequal_shares,
)
from tvm_deconv.schedules.variant import Sizes

from .reach import reach_of
from .tile import PixelTile

# Multiply-adds of a phase written out.
_MOST_WRITTEN_OUT = 4096
# A strip's scratch may be as many times the level-2 cache.
_CACHES = 8
_MOST_ROWS = 64


class PixelSpace:
    """The space of ``PixelTile``."""

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: PixelTile, machine: CpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field besides those of ``own``, which the variant chooses itself."""
        tiles = {
            ceil_div(conv.group_outputs, lanes * vectors)
            for lanes in lanes_of(machine)[:2]
            for vectors in range(1, 5)
        }
        height, width = sizes.height, sizes.width
        rows = {*range(1, 17), 20, 24, 32, 48, _MOST_ROWS}
        lines = set(range(1, 9))
        if height is not None:
            blocks = blocks_of(conv.h, conv.step[0], height)
            rows = {n for n in rows | some_parts(blocks, 8) if n <= min(blocks, _MOST_ROWS)}
            lines = {n for n in lines if n <= blocks}
        columns = set(range(1, 29))
        if width is not None:
            blocks = blocks_of(conv.w, conv.step[1], width)
            columns = {n for n in columns if n <= blocks}
        return {
            "lanes": set(lanes_of(machine)[:2]),
            "vectors": {1, 2, 3, 4},
            "columns": columns,
            "lines": lines,
            "rows": rows,
            "inputs": some_parts(conv.group_inputs, 8),
            "splits": split_values(tiles, machine),
            "parallel": parallel_values(conv, sizes, machine),
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: PixelTile, machine: CpuMachine
    ) -> str | None:
        """Why the variant cannot do these sizes, in words; None if it can."""
        if tile.lanes not in lanes_of(machine):
            return f"no vectors of {tile.lanes} lanes on a machine of {machine.lanes}"
        if tile.inputs > conv.group_inputs:
            return f"{tile.inputs} inputs at a time, where a group has {conv.group_inputs}"
        tiles = ceil_div(conv.group_outputs, tile.channels)
        return unequal_shares(tiles, "tiles of channels", tile.splits)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: PixelTile, machine: CpuMachine
    ) -> list[Cost]:
        """What the sizes cost; the list is as long for every ``tile``."""
        tiles = ceil_div(conv.group_outputs, tile.channels)
        taps = conv.h.max_taps * conv.w.max_taps
        batch, height, width = sizes
        costs = [
            waste("channels", conv.group_outputs, tiles * tile.channels),
            Cost("vector registers", tile.sums + tile.vectors, machine.vector_registers),
            Cost("multiply-adds written out", tile.sums * taps, _MOST_WRITTEN_OUT),
        ]
        blocks = None if width is None else blocks_of(conv.w, conv.step[1], width)
        if blocks is not None:
            whole = ceil_div(blocks, tile.columns) * tile.columns
            reach = reach_of(conv, sizes, tile.lines, tile.columns)
            plane = reach.copied_rows(tile.whole_rows) * reach.copied_columns(whole)
            scratch = 4 * plane * conv.group_inputs
            costs += [
                waste("columns", blocks, whole),
                Cost("bytes of scratch", scratch, _CACHES * machine.l2_bytes),
            ]
        if height is not None:
            rows = blocks_of(conv.h, conv.step[0], height)
            whole = ceil_div(rows, tile.lines) * tile.lines
            costs += [
                waste("rows", rows, whole),
                Cost("rows of blocks in a strip", tile.rows, rows),
            ]
            pieces = (batch or 1) * ceil_div(rows, tile.whole_rows) * conv.groups * tile.splits
            costs.append(idle_threads(pieces, tile.parallel, machine))
        return costs
