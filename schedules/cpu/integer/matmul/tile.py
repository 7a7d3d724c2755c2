"""How many sums a product of matrices of bytes keeps in registers, and what a thread computes."""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import product
from typing import TYPE_CHECKING

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.tile import splits_of

if TYPE_CHECKING:
    from tvm_deconv.schedules.cpu.machine import CpuMachine


@dataclass(frozen=True)
class MatmulTile:
    """Sums of ``rows`` x ``vectors``; a thread packs and computes ``strip`` rows at a time.

    ``strip`` is a multiple of ``rows``. ``splits`` threads share the tiles of columns, of which it
    is a divisor.
    """

    rows: int
    vectors: int
    strip: int
    splits: int = 1


class Tiled:
    """Sizes of a product of ``inputs`` by ``dot`` in tiles, for whatever has these three."""

    inputs: int
    dot: Dot
    tile: MatmulTile

    @property
    def depth(self) -> int:
        """Words of a row of x."""
        return -(-self.inputs // self.dot.group)

    @property
    def wide(self) -> int:
        """Columns of a tile."""
        return self.tile.vectors * self.dot.lanes


# As in a convolution's tile: independent sums that keep two multipliers busy, cycles of a vector of
# products and of a load, of one row to all lanes or of weights.
_BUSY = 10
_FUSED, _PAIRS = 0.5, 1.3
_LOAD = 0.5
_MOST_ROWS, _MOST_VECTORS = 8, 8
# Rows of x where only the run time knows how many, and of a strip at most then: a few rows should
# not wait for one thread.
_TYPICAL, _SHORT = 256, 32


def choose_tile(
    rows: int | None, inputs: int, outputs: int, dot: Dot, machine: CpuMachine
) -> MatmulTile:
    """The tile with the fewest cycles by products and loads; those that are thrown away count.

    ``rows`` are those of x, None where not known.
    """
    best: tuple[float, MatmulTile] | None = None
    count = rows or _TYPICAL
    for own, vectors in product(range(1, _MOST_ROWS + 1), range(1, _MOST_VECTORS + 1)):
        # One register holds a word of x, one what is on the way.
        if own * vectors + vectors + 2 > dot.registers and (own, vectors) != (1, 1):
            continue
        columns = -(-outputs // (vectors * dot.lanes))
        blocks = -(-count // own)
        multiplied = _FUSED if dot.adds and dot.intrinsic else _PAIRS
        sums = own * vectors
        each = sums * multiplied * max(1, _BUSY / sums) + _LOAD * (own + vectors)
        threads = machine.threads
        strip = own * _strip(blocks, own, inputs, dot, machine, is_known=rows is not None)
        strips = -(-count // strip)
        splits = splits_of(columns, strips, threads)
        turns = -(-strips * splits // threads) * threads / (strips * splits)
        cycles = blocks * columns * each * turns * max(1, threads / (strips * splits))
        if best is None or cycles < best[0]:
            best = cycles, MatmulTile(own, vectors, strip, splits)
    assert best is not None
    return best[1]


def choose_pair_tile(
    batch: int | None,
    rows: int | None,
    inputs: int,
    columns: int | None,
    dot: Dot,
    machine: CpuMachine,
) -> MatmulTile:
    """The tile for ``batch`` products of which both operands are computed; None is not known.

    A strip is all rows where there are as many matrices as threads, since w is packed for each.
    """
    own = choose_tile(rows, inputs, columns or _TYPICAL, dot, machine)
    strips = 1 if batch is not None and batch >= machine.threads else machine.threads
    blocks = -(-(rows or _TYPICAL) // own.rows)
    strip = own.rows * -(-blocks // strips)
    return replace(own, strip=strip, splits=1)


def _strip(
    blocks: int, rows: int, inputs: int, dot: Dot, machine: CpuMachine, is_known: bool
) -> int:
    """Blocks of ``rows`` whose words take half a level-2 cache, equally many for each thread."""
    row = -(-inputs // dot.group) * dot.word_bits // 8
    most = max(1, machine.l2_bytes // 2 // (row * rows))
    if not is_known:
        return max(1, min(most, _SHORT // rows))
    threads = machine.threads
    strips = -(-blocks // min(most, -(-blocks // threads)))
    strips = -(-strips // threads) * threads
    return -(-blocks // strips)
