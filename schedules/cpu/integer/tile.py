"""How many sums an integer convolution keeps in registers, and how many rows it packs at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.machine import CpuMachine

from .dot import Dot


@dataclass(frozen=True)
class Tile:
    """``channels`` x ``vectors`` of each phase along the width, and all along the height if joined.

    ``rows`` are the rows of blocks of a strip, which one thread packs and computes at a time.
    """

    channels: int
    vectors: int
    rows: int
    joined: bool = False


# Independent sums that keep two multipliers of a latency of 5 cycles busy.
_BUSY = 10
# Registers that hold neither sums nor x: a weight, the next ones, and what LLVM wants for itself.
# 27 sums with 3 of x were spilled: a third of the speed.
_SPARE = 4
# Rows of a strip at most: a tile of columns is written row by row, and what it writes should still
# be near when the next tile goes on there. 224 rows took twice the time of 28.
_MOST_ROWS = 32
# Products of vectors that stand in the code one after the other.
_MOST_PRODUCTS = 4096
_MOST_TAPS = 1024
# A load of x costs one more than a weight for so many lanes: the more it has, the more often it
# lies across two lines of a cache.
_LANES_OF_SPLIT = 4
# For a size that is only known when the network is run.
_TYPICAL = 256
# Channels that a tile has at most, whatever there are.
_MOST_CHANNELS = 16


def refusal(op: ConvTranspose2d, dot: Dot) -> str | None:
    """Why there is no tile, or None."""
    if op.w.stride > dot.registers - _SPARE - 1:
        return f"stride {op.w.stride} along the width has more phases than there are registers"
    if op.w.useful_taps > _MOST_TAPS:
        return f"{op.w.useful_taps} taps along the width are too many to be written out"
    return None


def choose_tile(
    op: ConvTranspose2d,
    dot: Dot,
    height: int | None,
    width: int | None,
    batch: int | None,
    machine: CpuMachine,
    step: tuple[int, int] = (1, 1),
) -> Tile:
    """The tile with the fewest steps: products that are thrown away count, and so do loads.

    Measured on Sapphire Rapids, one thread, 64 channels to 64, as a share of what is multiplied in
    registers (channels x vectors), while others used the processor: sub-pixel of factor 2, 3x4
    69 %, 3x2 joined 78 %; a plain 3x3, 6x4 69 %, 8x3 66 %, 16x1 66 %, 13x2 77 %; a nearest resize
    by 2, 3x4 53 %, 3x2 joined 53 to 59 %, 6x2 62 to 65 %. So a vector of x costs several times what
    a weight does: it lies across two lines of a cache, and comes from level 2.

    Sizes are those of the input, None where not known. ``step`` is that of ``Integer``.
    """
    best: tuple[float, int, int, bool] | None = None
    blocks = -(-op.w.blocks(_TYPICAL if width is None else width) // step[1])
    most = min(_MOST_CHANNELS, op.group_outputs)
    reads = {joined: _reads(op, joined) for joined in (False, True)}
    for vectors, channels, joined in product(range(1, 5), range(1, most + 1), (False, True)):
        lines = channels * op.w.stride * (op.h.stride if joined else 1)
        sums = lines * vectors
        taps = op.w.useful_taps * (op.h.useful_taps if joined else 1)
        if sums > dot.registers - _SPARE - vectors or (joined and op.h.stride == 1):
            continue
        is_least = (channels, vectors, joined) == (1, 1, False)
        if taps * channels * vectors > _MOST_PRODUCTS and not is_least:
            continue
        columns = vectors * dot.lanes
        computed = -(-op.group_outputs // channels) * channels * -(-blocks // columns) * columns
        loads = 1 / vectors + (1 + dot.lanes / _LANES_OF_SPLIT) * reads[joined] / channels
        steps = computed * (1 + loads) * max(1, _BUSY / sums)
        if best is None or steps < best[0]:
            best = steps, channels, vectors, joined
    assert best is not None
    _, channels, vectors, is_joined = best
    rows = _rows(op, dot, height, blocks, batch, machine, step)
    return Tile(channels, vectors, rows, is_joined)


def _reads(op: ConvTranspose2d, joined: bool) -> float:
    """Vectors of x that are read for each tap of a phase: 1 where no two phases share them."""
    rows = [{tap.offset for tap in op.h.taps(f)} for f in range(op.h.stride)]
    columns = [{tap.offset for tap in op.w.taps(f)} for f in range(op.w.stride)]
    read = len(set().union(*rows)) if joined else sum(map(len, rows))
    taps = sum(map(len, rows)) * sum(map(len, columns))
    return read * len(set().union(*columns)) / max(1, taps)


def _rows(
    op: ConvTranspose2d,
    dot: Dot,
    height: int | None,
    columns: int,
    batch: int | None,
    machine: CpuMachine,
    step: tuple[int, int],
) -> int:
    """Rows whose packed input takes half of a level-2 cache, and equally many for each thread."""
    words = op.groups * -(-op.group_inputs // dot.group)
    held = machine.l2_bytes // 2 // (4 * words * (columns * step[1] + op.w.halo_extent))
    most = min(_MOST_ROWS, max(1, (held - op.h.halo_extent) // step[0]))
    rows = -(-op.h.blocks(_TYPICAL if height is None else height) // step[0])
    threads = 1 if batch is not None and batch >= machine.threads else machine.threads
    strips = -(-rows // min(most, -(-rows // threads)))
    strips = -(-strips // threads) * threads
    return -(-rows // strips)
