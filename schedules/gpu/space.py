"""The search space of the GPU variants: values to try, what cannot run, and what cannot pay.

Device limits are checked here, before anything is built: threads and shared memory of a block,
blocks of a grid. Only OpenCL has vectors of columns, and a GPU whose local memory is ordinary
memory (Mali) never gets anything staged there: its space is not that of CUDA.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.costs import Cost, waste
from tvm_deconv.schedules.variant import Sizes

from .form import GpuForm
from .machine import GpuMachine
from .model import round_to_power
from .tile import COPY, READ, SHARED, GpuTile

# Vectors of columns that OpenCL C has types for.
_VECTORS = (1, 2, 4, 8, 16)
_CHANNELS = (1, 2, 3, 4, 5, 6, 8, 12, 16)
_ROWS = (1, 2, 3, 4, 8)
_FEWEST_COLUMN_THREADS = 8
_MOST_REDUCTION = 16
# Threads along an axis: a block has some along the others, too.
_THREADS_PER_AXIS = 32
# Registers of a thread beside its sums, at the least: operands and addresses.
_OTHER_REGISTERS = 16
# Statements written out: beyond as many, `steps.accumulate` leaves the taps a loop. Where the input
# is read where it lies, each has its own test for the border and its own address, so that compilers
# take as long for fewer.
_MOST_STATEMENTS, _MOST_READING = 4096, 1024


@dataclass(frozen=True)
class TileSpace:
    """The space of a variant whose threads have a ``GpuTile``.

    ``form`` says how it uses one for a layer (cache it: it is asked for every point).
    """

    form: Callable[[ConvTranspose2d, Sizes], GpuForm]

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: GpuTile | None, machine: GpuMachine
    ) -> dict[str, set[int]]:
        """Values of each field; every one of them may be part of a feasible tile."""
        form = self.form(conv, sizes)
        rows, columns = form.blocks
        outputs = conv.group_outputs
        sums = max((machine.registers - _OTHER_REGISTERS) // form.phases, 1)
        axis = max(machine.max_threads // _THREADS_PER_AXIS, 1)
        staged = {n for n in range(1, _MOST_REDUCTION + 1) if conv.group_inputs % n == 0}
        channels = {n for n in (*_CHANNELS, outputs) if n <= min(round_to_power(outputs), sums)}
        if conv.groups > 1:
            channels = {n for n in channels if outputs % n == 0}
        return {
            "channels": {n for n in channels if n <= max(_CHANNELS)},
            "rows": {n for n in _ROWS if n <= min(rows, sums)},
            "lanes": {
                n for n in _VECTORS if n <= min(round_to_power(columns), sums, machine.lanes)
            },
            "channel_threads": _powers(min(round_to_power(outputs), axis)),
            "row_threads": _powers(min(round_to_power(rows), axis)),
            "column_threads": {
                n
                for n in _powers(min(round_to_power(columns), 4 * axis))
                if n >= min(round_to_power(columns), _FEWEST_COLUMN_THREADS)
            },
            "reduction": staged if machine.shared_is_real or form.loops_taps else {1},
            "stage_input": {READ, SHARED, COPY} if machine.shared_is_real else {READ, COPY},
            "stage_weights": {0, 1} if machine.shared_is_real else {0},
        }

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine
    ) -> str | None:
        """Why the device or the schedule cannot do a tile, in words; None if they can."""
        if tile.lanes > 1 and machine.lanes == 1:
            return f"vectors of {tile.lanes} columns on a machine that loads none"
        if tile.lanes not in _VECTORS:
            return f"no vectors of {tile.lanes} columns: there are {', '.join(map(str, _VECTORS))}"
        if tile.stage_input not in (READ, SHARED, COPY) or tile.stage_weights not in (0, 1):
            return f"unknown staging {tile.stage_input}, {tile.stage_weights}"
        staged = tile.stage_input == SHARED or tile.stage_weights
        if staged and not machine.shared_is_real:
            return f"shared memory of {machine.name} is ordinary memory: nothing is staged there"
        if conv.group_inputs % tile.reduction:
            return (
                f"{conv.group_inputs} input channels are not divisible by reduction "
                f"{tile.reduction}"
            )
        if conv.groups > 1 and conv.group_outputs % tile.block_channels:
            return (
                f"{conv.group_outputs} output channels of a group are not divisible by the "
                f"{tile.block_channels} of a block"
            )
        return self.form(conv, sizes).refusal(tile, machine)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine
    ) -> list[Cost]:
        """What a tile costs; the list is as long for every tile of a layer."""
        form = self.form(conv, sizes)
        sums, taps = form.sums(tile), form.conv.h.max_taps * form.conv.w.max_taps
        terms = sums * taps
        unrolled = terms <= _MOST_STATEMENTS and not form.loops_taps
        statements = (terms if unrolled else sums) // tile.lanes
        reads = tile.stage_input == READ and taps > 1
        registers = sums + _OTHER_REGISTERS
        in_parts = form.loops_taps or tile.stage_input == SHARED or bool(tile.stage_weights)
        rows, columns = form.blocks
        computed = (
            ceil_div(conv.group_outputs, tile.block_channels)
            * tile.block_channels
            * (ceil_div(rows, tile.block_rows) * tile.block_rows)
            * (ceil_div(columns, tile.block_columns) * tile.block_columns)
        )
        return [
            Cost("registers of a thread", registers, machine.registers),
            Cost("registers of a block", registers * tile.threads, machine.unit_registers),
            Cost("statements", statements, _MOST_READING if reads else _MOST_STATEMENTS),
            Cost("idle lanes of a block's last warp", -tile.threads % machine.warp, 0),
            Cost(
                "channels at a time where nothing is staged", 0 if in_parts else tile.reduction, 1
            ),
            waste("outputs", conv.group_outputs * rows * columns, computed),
        ]


def _powers(most: int) -> set[int]:
    """The powers of two from 1 to ``most``."""
    return {1 << n for n in range(most.bit_length())}
