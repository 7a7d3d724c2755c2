"""Tile sizes of ``depthwise``, how they are chosen for a machine, and what a layer costs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import product
from statistics import fmean

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.cpu.tiling import MIN_WORK_PER_THREAD, blocks_of, lanes_of
from tvm_deconv.schedules.typical import typical
from tvm_deconv.schedules.variant import Sizes

# Multiply-adds that are written out: of a register tile; of one for each edge of a map, which takes
# as much longer to compile; of a flat map, of which more masks would be spilled.
MOST_WRITTEN_OUT = 512
_MOST_DIRECT = 128
_MOST_OF_A_MAP = 256
# Loads of a tile where neither height nor width are known: TVM takes the square of their number.
_MOST_OF_FREE = 64
# Taps of all phases, each of which is loaded and used once for a channel.
_MOST_TAPS = 256
# Output channels of a group: of more, a tile of channels uses each input in a register again.
_MOST_OUTPUTS = 8
_MOST_PLANES = 16
_MOST_VECTORS, _MOST_LINES = 4, 8

# Cycles of a vector, in those of one multiply-add of the machine's widest vectors: to load inputs
# for taps, most of them across two cache lines; for one tap of a flat map; to copy input; to store.
_LOAD, _TAP, _COPY, _STORE = 1.5, 1.5, 3.0, 2.0
# Of a vector of half the width, which less often lies across two lines, the same.
_HALF = 0.7
# Of each input between the columns of a stride, and of each phase of an output: shuffles.
_SHUFFLE = 1.0
# Of a row that is copied, a tile, a channel: tests, addresses, weights that are spread.
_ROW, _TILE, _CHANNEL = 6.0, 6.0, 30.0


@dataclass(frozen=True)
class DepthTile:
    """Sizes of the loop nests in ``write`` and, if ``flat``, in ``flat``.

    The register tile is ``lines`` x ``vectors`` of ``lanes`` block columns, for every phase in
    width. A strip has ``rows`` block rows, or ``lines`` if those are more. A piece has ``planes``
    channels. ``direct`` says that a map of float32 is read where it lies. A flat nest takes a map
    as one line; its lines, vectors and rows are 1.
    """

    lanes: int
    vectors: int
    lines: int
    rows: int
    planes: int
    flat: bool = False
    direct: bool = False
    parallel: bool = True

    @property
    def strip(self) -> int:
        """Block rows of a strip: a tile that had more would write those of another thread."""
        return max(self.rows, self.lines)


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why the layer is not computed, in words."""
    if conv.group_inputs != 1:
        return f"a group has {conv.group_inputs} input channels, not 1"
    if conv.group_outputs > _MOST_OUTPUTS:
        return f"a group has {conv.group_outputs} output channels, more than {_MOST_OUTPUTS}"
    taps = conv.h.useful_taps * conv.w.useful_taps
    if max(taps, conv.h.stride * conv.w.stride) > _MOST_TAPS:
        return f"{taps} taps would have to be written out, at most {_MOST_TAPS} are"
    return None


def copied_pitch(conv: ConvTranspose2d, width: int, columns: int) -> int:
    """Places from one row to the next of a flat map in scratch.

    Zeros behind a row may be those before the next one.
    """
    left, right = conv.w.halo[0], conv.step[1]
    # Place b of a row has columns b * right + left to b * right + left + right - 1.
    places = columns + conv.w.halo_extent // right
    before = max(0, -left) // right
    inside = -(-(width - left) // right)
    return max(columns, min(places, max(inside, places - before)))


def vectors_of(size: int, lanes: int) -> list[int]:
    """Where vectors begin that hold ``size`` places; the last ends with them, if it can."""
    begins = list(range(0, size, lanes))
    begins[-1] = max(0, size - lanes)
    return begins


def choose_depth(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> DepthTile:
    """Tile sizes for a layer."""
    tile = min(
        _tiles(conv, sizes, machine),
        key=lambda tile: (depth_cycles(conv, sizes, tile, machine), tile.flat, -tile.lanes),
    )
    cycles = depth_cycles(conv, sizes, tile, machine)
    worth_it = cycles >= 2 * MIN_WORK_PER_THREAD / machine.lanes
    parallel = machine.threads > 1 and worth_it
    heights, _ = typical(sizes)
    most = max(blocks_of(conv.h, conv.step[0], height) for height in heights)
    # Strips of one map lie behind each other, those of several apart.
    planes = _planes(conv, machine) if tile.flat or tile.rows == most else 1
    return replace(tile, planes=planes, parallel=parallel)


def depth_cycles(
    conv: ConvTranspose2d, sizes: Sizes, tile: DepthTile, machine: CpuMachine
) -> float:
    """Cycles of the busiest thread that the model expects; a free size counts as a typical one."""
    threads = machine.threads if tile.parallel else 1
    chunks = (sizes.batch or 1) * -(-conv.in_channels // tile.planes)
    found = []
    for height, width in product(*typical(sizes)):
        rows = blocks_of(conv.h, conv.step[0], height)
        strips = 1 if tile.flat else -(-rows // tile.strip)
        plane = (_flat_cycles if tile.flat else _plane_cycles)(conv, tile, height, width, machine)
        share = -(-chunks * strips // threads) / (chunks * strips)
        found.append(plane * (sizes.batch or 1) * conv.in_channels * share)
    return fmean(found)


def _plane_cycles(
    conv: ConvTranspose2d, tile: DepthTile, height: int, width: int, machine: CpuMachine
) -> float:
    """Cycles of all outputs of one input channel."""
    (down, right), phases = conv.step, conv.h.stride * conv.w.stride
    rows, columns = blocks_of(conv.h, down, height), blocks_of(conv.w, right, width)
    strips = -(-rows // tile.strip)
    tiles = strips * -(-min(rows, tile.strip) // tile.lines)
    tiles *= -(-columns // (tile.lanes * tile.vectors))
    products = tile.lines * tile.vectors * conv.h.useful_taps * conv.w.useful_taps
    lines = _lines_read(conv, tile.lines)
    loads = _loads(conv, tile.vectors, tile.lines)
    stored = tile.lines * tile.vectors * phases
    shuffles = _SHUFFLE * stored if conv.w.stride > 1 else 0.0
    sums = max(products, _LOAD * loads, 8 * conv.h.stride) + _STORE * stored + shuffles
    sums = _of_vector(tile, machine) * sums + _TILE
    if tile.direct:
        # Zeros that are shifted in, at two edges.
        shifted = _SHUFFLE * tiles / -(-columns // (tile.lanes * tile.vectors))
        shifted *= lines * conv.w.halo_extent
        return conv.group_outputs * (tiles * sums + shifted) + _CHANNEL
    copied = strips * ((min(rows, tile.strip) - 1) * down + 1 + conv.h.halo_extent)
    vectors = -(-width // min(tile.lanes, max(width, 1)))
    of_row = vectors * (_COPY + (_SHUFFLE if right > 1 else 0)) * _of_vector(tile, machine) + _ROW
    return copied * of_row + conv.group_outputs * tiles * sums + _CHANNEL


def _flat_cycles(
    conv: ConvTranspose2d, tile: DepthTile, height: int, width: int, machine: CpuMachine
) -> float:
    """The same for a flat map."""
    down, right = conv.step
    rows, columns = blocks_of(conv.h, down, height), blocks_of(conv.w, right, width)
    taps, stride = conv.h.useful_taps * conv.w.useful_taps, conv.w.stride
    outputs = -(-rows * columns * conv.h.stride * stride // tile.lanes)
    store = _STORE + (_SHUFFLE * (1 + stride) if conv.strides != (1, 1) else 0)
    vectors = flat_vectors(conv, width, rows, columns, tile.lanes)
    sums = vectors * taps * _TAP + outputs * store
    copied = 0.0
    if conv.step != (1, 1):
        copied = vectors * down * right * (_COPY + _SHUFFLE * (1 + down))
        sums += outputs * _SHUFFLE
    return _of_vector(tile, machine) * (copied + conv.group_outputs * sums) + _CHANNEL


def flat_vectors(conv: ConvTranspose2d, width: int, rows: int, columns: int, lanes: int) -> int:
    """Vectors over all rows of blocks of a flat map."""
    pitch = columns if conv.step == (1, 1) else copied_pitch(conv, width, columns)
    return -(-rows * pitch // lanes)


def _of_vector(tile: DepthTile, machine: CpuMachine) -> float:
    """Cycles of an operation on a vector of the tile."""
    return _HALF ** ((machine.lanes // tile.lanes).bit_length() - 1)


def _loads(conv: ConvTranspose2d, vectors: int, lines: int) -> int:
    """Vectors that a register tile loads, for all phases."""
    return _lines_read(conv, lines) * vectors * _columns_read(conv)


def _lines_read(conv: ConvTranspose2d, lines: int) -> int:
    """Rows that all phases of a register tile read, one after the other."""
    return sum(_rows_read(conv, fh, lines) for fh in range(conv.h.stride))


def _rows_read(conv: ConvTranspose2d, fh: int, lines: int) -> int:
    """Rows that a phase of a register tile reads."""
    down, offsets = conv.step[0], [tap.offset for tap in conv.h.taps(fh)]
    return len({line * down + offset for line in range(lines) for offset in offsets})


def _columns_read(conv: ConvTranspose2d) -> int:
    """Offsets at which the taps of a row read."""
    return len({tap.offset for fw in range(conv.w.stride) for tap in conv.w.taps(fw)})


def _tiles(conv: ConvTranspose2d, sizes: Sizes, machine: CpuMachine) -> Iterator[DepthTile]:
    """Tiles whose sums are in registers; planes and threads are still to be chosen."""
    taps, phases = conv.h.useful_taps * conv.w.useful_taps, conv.w.stride
    heights, _ = typical(sizes)
    most = max(blocks_of(conv.h, conv.step[0], height) for height in heights)
    for lanes in lanes_of(machine):
        if can_be_flat(conv, sizes, lanes) is None:
            yield DepthTile(lanes, 1, 1, 1, 1, flat=True, parallel=False)
        for vectors, lines in product(range(1, _MOST_VECTORS + 1), range(1, _MOST_LINES + 1)):
            sums = lines * vectors * phases
            # Beside them a vector of inputs and, where no operand is in memory, one of weights.
            spare = 1 if machine.memory_operands else 2
            fits = sums + spare <= machine.vector_registers and lines <= most
            fits &= lines * vectors * taps <= MOST_WRITTEN_OUT
            if sizes.height is None and sizes.width is None:
                fits &= _loads(conv, vectors, lines) <= _MOST_OF_FREE
            if fits or lines == vectors == 1:
                rows = _rows(conv, sizes, lanes * vectors, lines, most, machine)
                tile = DepthTile(lanes, vectors, lines, rows, 1, parallel=False)
                yield tile
                if can_be_direct(conv, sizes, tile) is None:
                    parts = -(-machine.threads // ((sizes.batch or 1) * conv.in_channels))
                    yield replace(tile, rows=_in_parts(most, parts, lines), direct=True)


def can_be_flat(conv: ConvTranspose2d, sizes: Sizes, lanes: int) -> str | None:
    """Why a map is not computed as one line, in words; None if it can be."""
    _, height, width = sizes
    if height is None or width is None:
        return "a flat map has a known size"
    if lanes == 1:
        return "a flat map is put together from vectors"
    rows = blocks_of(conv.h, conv.step[0], height)
    columns = blocks_of(conv.w, conv.step[1], width)
    vectors = flat_vectors(conv, width, rows, columns, lanes)
    taps = vectors * conv.h.useful_taps * conv.w.useful_taps
    if taps > _MOST_OF_A_MAP:
        return f"{taps} multiply-adds of a flat map would be written out"
    return None


def can_be_direct(conv: ConvTranspose2d, sizes: Sizes, tile: DepthTile) -> str | None:
    """Why vectors of a map are not read where it lies, in words; None if they can be."""
    _, height, width = sizes
    if height is None or width is None:
        return "a map that is read where it lies has a known size"
    if conv.step != (1, 1):
        return "columns that lie apart are copied together"
    span = tile.lanes * tile.vectors
    products = tile.lines * tile.vectors * conv.h.useful_taps * conv.w.useful_taps
    if products > _MOST_DIRECT:
        return f"{products} multiply-adds of a tile would be written out for every edge of a map"
    columns = blocks_of(conv.w, 1, width)
    return f"tiles of {span} columns, where a row has {columns}" if span > columns else None


def _rows(
    conv: ConvTranspose2d, sizes: Sizes, span: int, lines: int, most: int, machine: CpuMachine
) -> int:
    """Block rows of a strip, whose input fits half of level 1: all, or equal parts."""
    down = conv.step[0]
    _, widths = typical(sizes)
    pitch = max(span, round(fmean(widths))) + conv.w.halo_extent + span
    affordable = (machine.l1_bytes // 2 // (4 * pitch) - 1 - conv.h.halo_extent) // down + 1
    # A strip of fewer rows than the taps reach would copy most of them again.
    affordable = max(affordable, lines, conv.h.halo_extent // down + 1)
    pieces = (sizes.batch or 1) * conv.in_channels
    parts = max(-(-most // affordable), -(-machine.threads // pieces))
    return _in_parts(most, parts, lines)


def _in_parts(rows: int, parts: int, lines: int) -> int:
    """Rows of one of so many strips, of whole tiles."""
    return min(rows, -(-rows // (parts * lines)) * lines)


def _planes(conv: ConvTranspose2d, machine: CpuMachine) -> int:
    """Channels of a piece: as many pieces for every thread."""
    chunks = -(-conv.in_channels // _MOST_PLANES)
    chunks = min(-(-chunks // machine.threads) * machine.threads, conv.in_channels)
    return -(-conv.in_channels // chunks)
