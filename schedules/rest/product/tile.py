"""The register tile of a product of matrices, and what of it is one piece of work for a thread.

A tile of ``rows`` x ``vectors`` sums loads ``rows`` numbers of a and ``vectors`` vectors of b for
each step along the depth. The last tile of rows begins so early that it ends with them, and
computes some rows again; so does the last vector of the last panel of columns, which may be of
fewer vectors. So there are no predicates, and whatever is read and written is inside.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.rest.stage import TYPICAL_SIZE

from .read import Product

# Two FMA units with a latency of four cycles need so many sums in flight.
_LATENCY_TIMES_UNITS = 8

# Of a vector times a matrix: wider panels hide no more latency.
_MOST_VECTORS = 8

# What a step takes beyond its multiply-adds, in these: the loop, a number of a, a vector of b (from
# L2 more often than not). Fitted to tiles of 20 to 28 sums on Sapphire Rapids.
_LOOP, _NUMBER, _VECTOR = 1.0, 0.1, 0.5

# Tiles of rows in a piece where their number is free: a panel stays in L1 for them.
_TILES_PER_PIECE = 4

# Steps of a block: a panel's are 48 KiB of AVX-512 vectors. Where ten tiles of rows fit into L2 in
# their whole depth, blocks are slower (1024x1536x384: by 6 %); of 196x3072x768 seven do: 9.5 ms
# without blocks, 6.8 with, and 6.6 to 7.3 in ONNX Runtime.
_STEPS, _ABREAST, _FEW_TILES = 256, 4, 10

# Rows of the result of a page or more are stored with a page for each row of a piece. Where the
# depth is so short that stores are much of the work, so few rows keep pages and lines at hand: of
# q k^T of 2560 tokens and 64 channels 10.2 ms became 5.6, of 4096x64x1024 5.3 became 4.0 (an Intel
# Xeon, one thread). With a depth of 384 the panels cost more: 8.2 ms became 10.2.
_SHORT_DEPTH, _PAGE, _ROWS_OF_PAGES = 128, 4096, 32

# Pieces are as even as this, or as even as they get.
_EVEN = 1.05


@dataclass(frozen=True)
class Panels:
    """``full`` panels of ``vectors`` vectors, and one of ``edge`` vectors at the end, or none (0).

    The columns of panel p begin at ``p * width``, and its vectors lie side by side. The last vector
    of the last panel ends with the ``columns``, and so may overlap the one in front of it.
    """

    columns: int
    lanes: int
    vectors: int

    @property
    def width(self) -> int:
        """Columns of a full panel."""
        return self.vectors * self.lanes

    @property
    def full(self) -> int:
        return self.columns // self.width

    @property
    def edge(self) -> int:
        """Vectors of the last panel."""
        return -(-(self.columns - self.full * self.width) // self.lanes)

    @property
    def count(self) -> int:
        return self.full + (1 if self.edge else 0)

    @property
    def starts_at_the_edge(self) -> list[int]:
        """First columns of the vectors of the last panel."""
        starts = [self.full * self.width + v * self.lanes for v in range(self.edge)]
        return [min(start, self.columns - self.lanes) for start in starts]

    @property
    def packed(self) -> int:
        """Columns that all panels have, some of them twice."""
        return self.full * self.width + self.edge * self.lanes


@dataclass(frozen=True)
class Tile:
    """``rows`` x ``panels.vectors`` sums; a piece of work is ``tiles`` tiles of a panel.

    Where neither operand stays in a cache a piece has ``abreast`` panels, and goes through the
    depth by blocks of ``steps``: sums so far lie in memory between. ``steps`` is 0 where it does
    not.
    """

    rows: int
    panels: Panels
    tiles: int
    abreast: int = 1
    steps: int = 0


def choose_tile(product: Product, machine: CpuMachine) -> Tile:
    """The tile of the least estimated time, in pieces that leave in L2 what others read again."""
    columns = product.columns.size or 0
    lanes = machine.lanes
    while lanes > columns:
        lanes //= 2
    height = 1 if product.rows is None else product.rows.size or TYPICAL_SIZE
    best: tuple[float, int, int] | None = None
    for vectors in range(1, min(_MOST_VECTORS, -(-columns // lanes)) + 1):
        for rows in range(1, height + 1):
            if not _fits(rows, vectors, machine):
                break
            panels = Panels(columns, lanes, vectors)
            steps = panels.full * _time(rows, vectors)
            steps += _time(rows, panels.edge) if panels.edge else 0
            best = min(best or (float("inf"), 0, 0), (steps * -(-height // rows), -vectors, rows))
    assert best is not None
    _, vectors, rows = best
    panels = Panels(columns, lanes, -vectors)
    abreast, steps = 1, 0
    if _needs_blocks(product, rows, panels, machine):
        # Still two pieces for each thread, if there are as many.
        abreast = max(1, min(_ABREAST, panels.count // (2 * machine.threads)))
        steps = _STEPS
    tile = Tile(rows, panels, 1, abreast, steps)
    return replace(tile, tiles=_tiles_per_piece(product, tile, machine))


def _needs_blocks(product: Product, rows: int, panels: Panels, machine: CpuMachine) -> bool:
    """Whether so few rows of whole depth stay in L2 that b would pass by for each few."""
    height, depth = product.rows, product.depth.size
    if height is None or height.size is None or depth is None:
        return False
    tiles = min(_FEW_TILES, -(-height.size // rows))
    return (
        4 * depth * rows * tiles > machine.l2_bytes * 3 // 4
        and 4 * depth * panels.packed > machine.l2_bytes
    )


def tiles_of(product: Product, tile: Tile) -> int:
    """Tiles of rows that a panel is used for; of a free number of rows, of a typical one."""
    height = 1 if product.rows is None else product.rows.size or TYPICAL_SIZE
    return -(-height // tile.rows)


def _fits(rows: int, vectors: int, machine: CpuMachine) -> bool:
    """Sums, the vectors of b, and a number of a for all lanes; more of these without operands in
    memory, so that they are loaded ahead.
    """
    numbers = 1 if machine.memory_operands else 4
    return rows * vectors + vectors + numbers <= machine.vector_registers


def _time(rows: int, vectors: int) -> float:
    """Of a step along the depth, in multiply-adds; two loads start with two of these."""
    sums, loads = rows * vectors, rows + vectors
    beyond = _LOOP + _NUMBER * rows + _VECTOR * vectors
    return max(sums, loads, _LATENCY_TIMES_UNITS) + beyond


def _tiles_per_piece(product: Product, tile: Tile, machine: CpuMachine) -> int:
    rows, panels = tile.rows, tile.panels
    depth = product.depth.size or TYPICAL_SIZE
    if tile.steps:
        # A block of a, and as much of the sums.
        most = machine.l2_bytes // 4 // (4 * rows * tile.steps)
    elif 4 * depth * panels.packed <= machine.l2_bytes // 2:
        # All of b is near whatever comes between, so rows of the result can be, too: their lines
        # are parts of two panels.
        most = machine.l2_bytes // 4 // (4 * rows * (depth + panels.columns))
    else:
        # The fewer the groups, the less often b is fetched from afar.
        most = machine.l2_bytes * 3 // 4 // (4 * rows * depth)
    if depth <= _SHORT_DEPTH and 4 * panels.columns >= _PAGE:
        most = min(most, _ROWS_OF_PAGES // rows)
    most = max(1, most)
    if product.rows is None:
        return 1
    if product.rows.size is None:
        return min(most, _TILES_PER_PIECE)
    tiles = -(-product.rows.size // rows)
    others = prod(axis.size or machine.threads for axis in product.outer)
    others *= -(-panels.count // tile.abreast)

    def unevenness(count: int) -> float:
        pieces = others * count
        return -(-pieces // machine.threads) * machine.threads / pieces

    fewest = -(-tiles // most)
    counts = range(fewest, min(tiles, fewest + 4 * machine.threads) + 1)
    even = [count for count in counts if unevenness(count) <= _EVEN]
    count = even[0] if even else min(counts, key=unevenness)
    return -(-tiles // count)
