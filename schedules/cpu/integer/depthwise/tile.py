"""Sizes of the loops of depthwise layers of bytes, and what they cost."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.tile import blocks_of, strip_heights
from tvm_deconv.schedules.variant import Sizes

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine

# Products of vectors that are written out for a vector of blocks, and output channels of a group:
# of more a tile of channels uses each word again.
_MOST_PRODUCTS, _MOST_OUTPUTS = 512, 8
_MOST_ROWS, _MOST_PLANES = 256, 16
# Cycles of a vector: of products, each with a word that mostly lies across two lines of a cache; of
# outputs; of a row that is copied to scratch, and from there; of a channel.
_PRODUCT, _OUTPUT, _ROW, _CHANNEL = 1.0, 5.0, 15.0, 50.0


@dataclass(frozen=True)
class DepthwiseTile:
    """A strip has ``rows`` rows of blocks, a piece of work ``planes`` input channels of it."""

    rows: int
    planes: int


def refusal(op: ConvTranspose2d, dot: Dot) -> str | None:
    """Why bytes are not read as they lie, in words; None if they can be."""
    if op.group_inputs != 1:
        return f"a group has {op.group_inputs} input channels, not 1"
    if op.group_outputs > _MOST_OUTPUTS:
        return f"a group has {op.group_outputs} output channels, more than {_MOST_OUTPUTS}"
    if dot.bits != 8 or not dot.intrinsic:
        return f"{dot.name} does not multiply words of bytes"
    if dot.group % op.step[1]:
        return f"a word does not hold a whole number of steps of {op.step[1]} along the width"
    products = written_out(op, dot)
    if products > _MOST_PRODUCTS:
        return f"{products} products would be written out, more than {_MOST_PRODUCTS}"
    return None


def words_of(axis: Axis, phase: int, dot: Dot) -> list[int]:
    """Where words of a row begin that hold the taps of a phase, from the halo's first sample on."""
    offsets = [tap.offset - axis.halo[0] for tap in axis.taps(phase)]
    return list(range(offsets[0], offsets[-1] + 1, dot.group)) if offsets else []


def written_out(op: ConvTranspose2d, dot: Dot) -> int:
    """Products of vectors that stand in the code one after the other."""
    words = sum(len(words_of(op.w, phase, dot)) for phase in range(op.w.stride))
    return dot.group // op.step[1] * op.h.useful_taps * words


def choose_depthwise_tile(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine
) -> tuple[DepthwiseTile, float]:
    """The tile with the fewest cycles of the busiest thread, and these."""
    _, down, across = blocks_of(op, sizes)
    chunks = -(-op.in_channels // _MOST_PLANES)
    chunks = min(-(-chunks // machine.threads) * machine.threads, op.in_channels)
    planes = -(-op.in_channels // chunks)
    # Of what is read and written, in half of a level-1 cache.
    row = (across + op.w.halo_extent) * (op.step[0] * op.step[1] + op.h.stride * op.w.stride)
    most = min(_MOST_ROWS, max(op.h.halo_extent + 1, machine.l1_bytes // 2 // row))
    tiles = [DepthwiseTile(rows, planes) for rows in strip_heights(down, most)]
    costs = [(depthwise_cycles(op, dot, sizes, tile, machine), tile) for tile in tiles]
    cycles, tile = min(costs, key=lambda cost: cost[0])
    return tile, cycles


def depthwise_cycles(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, tile: DepthwiseTile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread."""
    batch, down, across = blocks_of(op, sizes)
    strips = -(-down // tile.rows)
    pieces = batch * strips * -(-op.in_channels // tile.planes)
    turns = -(-pieces // machine.threads)
    right = op.step[1]
    row = across + -(-op.w.halo_extent // right)
    chunks = -(-tile.rows * row * right // (dot.lanes * dot.group))
    stored = dot.group // right * op.h.stride * op.w.stride * _OUTPUT
    of_output = chunks * (written_out(op, dot) * _PRODUCT + stored) + tile.rows * op.h.stride * _ROW
    copied = (tile.rows - 1) * op.step[0] + 1 + op.h.halo_extent
    return turns * tile.planes * (op.group_outputs * of_output + copied * _ROW + _CHANNEL)
