"""How many sums an integer convolution keeps in registers, and how many rows it packs at a time."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.typical import means
from tvm_deconv.schedules.variant import Sizes

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine


@dataclass(frozen=True)
class Tile:
    """``channels`` x ``vectors`` of each phase along the width, and all along the height if joined.

    ``rows`` are the rows of blocks of a strip, which one thread packs and computes at a time; or
    ``splits`` threads do, each for its share of the tiles of channels, of which it is a divisor.
    Vectors are of blocks of one row, or if ``flat`` of all blocks of a strip (``layout``).
    """

    channels: int
    vectors: int
    rows: int
    joined: bool = False
    splits: int = 1
    flat: bool = False


# Independent sums that keep two multipliers of a latency of 5 cycles busy.
_BUSY = 10
# Registers that hold neither sums nor x: a weight, the next ones, and what LLVM wants for itself.
# 27 sums with 3 of x were spilled: a third of the speed. Where weights come from memory, 28 sums
# with 2 are not: a 3x3 of 28 channels took 1.06 ms, not 1.14 with tiles of 10 channels.
_SPARE, _SPARE_OF_MEMORY = 4, 2
# Rows of a strip at most: a tile of columns is written row by row, and what it writes should still
# be near when the next tile goes on there. 224 rows took twice the time of 28.
_MOST_ROWS = 32
# Products of vectors that stand in the code one after the other.
_MOST_PRODUCTS = 4096
_MOST_TAPS = 1024
# A load of x costs one more than a weight for so many lanes: the more it has, the more often it
# lies across two lines of a cache.
_LANES_OF_SPLIT = 4
# Channels that a tile has at most, whatever there are.
_MOST_CHANNELS = 16
# Cycles of a vector of products, where float32's takes half a one: ``vpdpbusd``, ``vpdpwssd`` and
# ``sdot``; two operations on two or three ports (AVX2, AVX-512) or the two halves of a register
# (``smlal``). The latter are such that AVX2's times come out (``transform.lower.integer_choice``).
_FUSED, _PAIRS = 0.5, 1.3
# Cycles of a load of weights.
_LOAD = 0.5
# Loads go on beside products. The shares of the peak that ``choose_tile`` says are 1.29 to 1.53
# times what all of its steps one after the other would give.
_OVERLAP = 1.4
# Cycles of a vector: of sums that are scaled, rounded, stored; of one channel that is packed; of
# words that are copied to where flat vectors are read, with which 3x3, 16->16 of 256x256, takes
# 1.15 times as long as by rows, and 32->32 of 96x96 1.05 times (Zen 5).
_STORE, _PACK, _COPY = 6, 1.5, 6
# The same of Zen 5, where loads cost nothing beside products as long as two start in a cycle: eight
# layers, 32 to 128 channels of 48x48 to 128x128, take 0.93 to 1 of what comes of it.
_STORE_OF_ZEN5, _PACK_OF_ZEN5, _COPY_OF_ZEN5 = 4, 1, 5


def refusal(op: ConvTranspose2d, dot: Dot) -> str | None:
    """Why there is no tile, or None."""
    if op.w.stride > dot.registers - _SPARE - 1:
        return f"stride {op.w.stride} along the width has more phases than there are registers"
    if op.w.useful_taps > _MOST_TAPS:
        return f"{op.w.useful_taps} taps along the width are too many to be written out"
    return None


def sums_of(op: ConvTranspose2d, tile: Tile) -> int:
    """Vectors of sums that are in registers at once."""
    return tile.channels * tile.vectors * op.w.stride * (op.h.stride if tile.joined else 1)


def written_out(op: ConvTranspose2d, tile: Tile) -> int:
    """Products of vectors that stand in the code for one word of channels."""
    taps = op.w.useful_taps * (op.h.useful_taps if tile.joined else 1)
    return taps * tile.channels * tile.vectors


def free_sums(dot: Dot, vectors: int) -> int:
    """How many sums there are registers for, beside ``vectors`` of x."""
    return dot.registers - (_SPARE_OF_MEMORY if dot.broadcasts else _SPARE) - vectors


def depth_of(op: ConvTranspose2d, dot: Dot) -> int:
    """Words of channels that a group has."""
    return -(-op.group_inputs // dot.group)


def folded_taps(op: ConvTranspose2d, dot: Dot) -> int:
    """Neighbouring taps along the width that a word holds, where a group has few channels."""
    is_dense = op.w.max_taps > 1 and op.w.tap_step == 1
    return max(1, dot.group // op.group_inputs) if is_dense else 1


def may_be_flat(op: ConvTranspose2d, dot: Dot, sizes: Sizes) -> bool:
    """Whether vectors may be of all blocks of a strip."""
    return sizes.width is not None and folded_taps(op, dot) == 1


def blocks_of(op: ConvTranspose2d, sizes: Sizes) -> tuple[int, int, int]:
    """Batch, and rows and columns of blocks that are computed; typical ones of free sizes."""
    height, width = means(sizes)
    down, right = op.step
    rows, columns = op.h.blocks(height), op.w.blocks(width)
    return sizes.batch or 1, -(-rows // down), -(-columns // right)


def packed_bytes(op: ConvTranspose2d, dot: Dot, sizes: Sizes, tile: Tile) -> int:
    """Of the words of x of a strip."""
    _, _, columns = blocks_of(op, sizes)
    down, right = op.step
    across = _vectors(dot, columns, tile) * dot.lanes
    if tile.flat:
        lines = down * len(_columns_read(op))
        words = lines * (across + op.h.halo_extent // down * columns)
    else:
        lines = (tile.rows - 1) * down + 1 + op.h.halo_extent
        words = lines * (across * right + op.w.halo_extent)
    return dot.word_bits // 8 * op.groups * depth_of(op, dot) * words


def splits_of(parts: int, strips: int, threads: int) -> int:
    """How many threads share the ``parts`` of a strip equally, where strips are too few for all."""
    return max(n for n in range(1, max(1, threads // strips) + 1) if parts % n == 0)


def strip_heights(rows: int, most: int) -> list[int]:
    """Rows of strips that cover ``rows`` evenly: up to so many, ascending."""
    return sorted({-(-rows // strips) for strips in range(1, rows + 1)} & set(range(most + 1)))


def choose_tile(op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine) -> Tile:
    """The tile with the fewest steps: products that are thrown away count, and so do loads.

    Measured on Sapphire Rapids, one thread, 64 channels to 64, as a share of what is multiplied in
    registers (channels x vectors), while others used the processor: sub-pixel of factor 2, 3x4
    69 %, 3x2 joined 78 %; a plain 3x3, 6x4 69 %, 8x3 66 %, 16x1 66 %, 13x2 77 %; a nearest resize
    by 2, 3x4 53 %, 3x2 joined 53 to 59 %, 6x2 62 to 65 %. So a vector of x costs several times what
    a weight does: it lies across two lines of a cache, and comes from level 2.

    Flat ones are taken where the cycles say so. On Zen 5, one thread, 550 products of a lane in a
    nanosecond being the peak, by rows and flat: kernel 4, stride 2, 1024->512 of 4x4 113 and 462,
    512->256 of 8x8 235 and 535, 256->128 of 16x16 453 and 506, 128->3 of 32x32 466 and 375; 3x3,
    256->256 of 14x14 243 and 481, 64->64 of 56x56 447 and 493, of 128x128 511 and 459. They are
    taken of all of these but the fourth and the last.

    Sizes are those of the input, None where not known.
    """
    kinds = (False, True) if may_be_flat(op, dot, sizes) else (False,)
    best = (_choose(op, dot, sizes, machine, flat) for flat in kinds)
    return min(best, key=lambda tile: tile_cycles(op, dot, sizes, tile, machine))


def _choose(op: ConvTranspose2d, dot: Dot, sizes: Sizes, machine: CpuMachine, flat: bool) -> Tile:
    """That of ``choose_tile`` among those with vectors of rows, or ``flat`` ones."""
    best: tuple[float, Tile] | None = None
    batch, height, columns = blocks_of(op, sizes)
    rows = {_rows(op, dot, height, columns, sizes.batch, machine, flat)}
    if flat:
        # All of a small map, of which threads share the channels.
        rows.add(_rows(op, dot, height, columns, sizes.batch, replace(machine, threads=1), flat))
    most = min(_MOST_CHANNELS, op.group_outputs)
    reads = {joined: _reads(op, joined) for joined in (False, True)}
    shapes = product(rows, range(1, 5), range(1, most + 1), (False, True))
    for strip, vectors, channels, joined in shapes:
        tiles = op.groups * -(-op.group_outputs // channels)
        strips = batch * -(-height // strip)
        splits = splits_of(tiles, strips, machine.threads)
        tile = Tile(channels, vectors, strip, joined, splits, flat)
        if sums_of(op, tile) > free_sums(dot, vectors) or (joined and op.h.stride == 1):
            continue
        is_least = (channels, vectors, joined) == (1, 1, False)
        if written_out(op, tile) > _MOST_PRODUCTS and not is_least:
            continue
        turns = -(-strips * splits // machine.threads)
        loads = _loads(dot, tile, reads[joined])
        each = product_cycles(dot, loads, machine) if machine.is_zen5 else 1 + loads
        steps = _computed(op, dot, columns, tile) * each * turns / splits
        if best is None or steps < best[0]:
            best = steps, tile
    assert best is not None
    return best[1]


def tile_cycles(
    op: ConvTranspose2d, dot: Dot, sizes: Sizes, tile: Tile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread; a vector of products takes half a one, or more."""
    batch, rows, columns = blocks_of(op, sizes)
    tiles = op.groups * -(-op.group_outputs // tile.channels)
    strips = batch * -(-rows // tile.rows)
    turns = -(-strips * tile.splits // machine.threads)
    taps = op.h.useful_taps * op.w.useful_taps / folded_taps(op, dot)
    product = product_cycles(dot, _loads(dot, tile, _reads(op, tile.joined)), machine)
    computed = op.groups * _computed(op, dot, columns, tile)
    products = computed * taps * depth_of(op, dot) * product
    lines = 1 if tile.flat else tile.rows
    stored = lines * _vectors(dot, columns, tile) * op.h.stride * op.w.stride
    stored *= tiles * tile.channels
    packed = packed_bytes(op, dot, sizes, tile) * 8 / dot.word_bits / dot.lanes
    store, pack, copy = _STORE, _PACK, _COPY
    if machine.is_zen5:
        store, pack, copy = _STORE_OF_ZEN5, _PACK_OF_ZEN5, _COPY_OF_ZEN5
    each = dot.group * pack
    if tile.flat:
        each = each / len(_columns_read(op)) + copy
    return turns * ((products + stored * store) / tile.splits + packed * each)


def product_cycles(dot: Dot, loads: float, machine: CpuMachine) -> float:
    """Of a vector of products, for each of which so many vectors are loaded."""
    product = _FUSED if dot.adds and dot.intrinsic else _PAIRS
    if machine.is_zen5:
        return max(product, _LOAD * loads)
    return (product + _LOAD * loads) / _OVERLAP


def waiting(sums: int) -> float:
    """How many times as long products take where so few sums keep the multipliers waiting."""
    return max(1, _BUSY / sums)


def _vectors(dot: Dot, columns: int, tile: Tile) -> int:
    """Of sums, of a row of so many blocks; of all of a strip, if they are ``flat``."""
    line = columns * tile.rows if tile.flat else columns
    return -(-line // (dot.lanes * tile.vectors)) * tile.vectors


def _columns_read(op: ConvTranspose2d) -> set[int]:
    """Columns of x that taps read for a block, counted from its own."""
    return {tap.offset for f in range(op.w.stride) for tap in op.w.taps(f)}


def _computed(op: ConvTranspose2d, dot: Dot, columns: int, tile: Tile) -> float:
    """Vectors of products of a strip, tap and word of a group's channels; more, if some wait."""
    channels = -(-op.group_outputs // tile.channels) * tile.channels
    lines = 1 if tile.flat else tile.rows
    return lines * channels * _vectors(dot, columns, tile) * waiting(sums_of(op, tile))


def _loads(dot: Dot, tile: Tile, reads: float) -> float:
    """For each of those, of weights and of x, which cost as many of the former."""
    return 1 / tile.vectors + (1 + dot.lanes / _LANES_OF_SPLIT) * reads / tile.channels


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
    rows: int,
    columns: int,
    batch: int | None,
    machine: CpuMachine,
    flat: bool,
) -> int:
    """Rows whose packed input takes half of a level-2 cache, and equally many for each thread."""
    down, right = op.step
    words = op.groups * depth_of(op, dot)
    across = columns * right + op.w.halo_extent
    if flat:
        across = columns * len(_columns_read(op))
    held = machine.l2_bytes // 2 // (4 * words * across)
    most = min(_MOST_ROWS, max(1, (held - op.h.halo_extent) // down))
    threads = 1 if batch is not None and batch >= machine.threads else machine.threads
    strips = -(-rows // min(most, -(-rows // threads)))
    strips = -(-strips // threads) * threads
    return -(-rows // strips)
