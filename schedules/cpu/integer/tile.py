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

    Sizes are those of the input, None where not known. ``step`` is that of ``Integer``.
    """
    best: tuple[float, int, int, bool] | None = None
    blocks = -(-op.w.blocks(_TYPICAL if width is None else width) // step[1])
    most = min(_MOST_CHANNELS, op.group_outputs)
    for vectors, channels, joined in product(range(1, 5), range(1, most + 1), (0, 1)):
        lines = channels * op.w.stride * (op.h.stride if joined else 1)
        sums = lines * vectors
        taps = op.w.useful_taps * (op.h.useful_taps if joined else 1)
        if sums > dot.registers - _SPARE - vectors or (joined and op.h.stride == 1):
            continue
        if taps * channels * vectors > _MOST_PRODUCTS and (channels, vectors, joined) != (1, 1, 0):
            continue
        columns = vectors * dot.lanes
        computed = -(-op.group_outputs // channels) * channels * -(-blocks // columns) * columns
        steps = computed * (1 + (lines + vectors) / sums) * max(1, _BUSY / sums)
        if best is None or steps < best[0]:
            best = steps, channels, vectors, bool(joined)
    assert best is not None
    _, channels, vectors, is_joined = best
    rows = _rows(op, dot, height, blocks, batch, machine, step)
    return Tile(channels, vectors, rows, is_joined)


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
