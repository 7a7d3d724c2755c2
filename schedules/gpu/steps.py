"""Named scheduling steps that the GPU variants share; each docstring shows the nest after it.

The order of the loops is that of the threads: a block of threads is a tile of outputs, a thread a
smaller one in registers, and the reduction runs inside the thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import gcd
from typing import Any

from tvm import tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.tir.inlining import inline_epilogue as inline_epilogue

from .rebase import rebased
from .tile import COPY, READ, SHARED, GpuTile

# Threads of a kernel that only moves or transforms elements, where the device can have as many.
_COPY_THREADS = 128
# Blocks of a grid along y and z: CUDA C++ Programming Guide, "Technical Specifications per Compute
# Capability". OpenCL 1.2 has no such limit. Along x there are 2**31 - 1.
MOST_BLOCKS = 65535
# A body of more statements than this is a loop: the compilers take minutes for what is unrolled.
_UNROLLED = 4096
# What the sums read: the padded input, then the weights.
_INPUT, _WEIGHTS = 0, 1


@dataclass(frozen=True)
class Tiles:
    """What ``rebased`` needs of a stage: its name, the loop that it is computed at, its extents."""

    stage: str
    loop: Any
    extents: list[int]
    order: list[int]


def bind_tiles(
    sch: Schedule, outer: list[Any], rows: Any, columns: Any, threads: list[Any], inner: list[Any]
) -> tuple[Any, Any]:
    """Distribute tiles over the grid and the threads of a block.

    for all => blockIdx.z = outer, .y = rows, .x = columns: threadIdx.x = threads: for inner

    Returns the innermost loop over blocks, and that over threads.
    """
    sch.reorder(*outer, rows, columns, *threads, *inner)
    innermost = bind_blocks(sch, outer, rows, columns)
    thread = sch.fuse(*threads)
    sch.bind(thread, "threadIdx.x")
    return innermost, thread


def bind_blocks(sch: Schedule, outer: list[Any], rows: Any | None, columns: Any) -> Any:
    """Distribute loops over the grid, and return the innermost of them.

    for outer, rows, columns  =>  blockIdx.z = outer, .y = rows, .x = columns

    CUDA's grid has 65,535 blocks along z, but 2**31 along x: more of ``outer`` go there, too. A
    batch of free size counts as one that fits.
    """
    plane = sch.fuse(*outer)
    count = sch.get(plane).extent
    if isinstance(count, tirx.IntImm) and int(count) > MOST_BLOCKS:
        if rows is not None:
            sch.reorder(rows, plane, columns)
        columns = sch.fuse(plane, columns)
    else:
        sch.bind(plane, "blockIdx.z")
    if rows is not None:
        sch.bind(rows, "blockIdx.y")
    sch.bind(columns, "blockIdx.x")
    return columns


def bind_outputs(
    sch: Schedule, store: str, conv: ConvTranspose2d, tile: GpuTile
) -> tuple[Any, Any]:
    """``bind_tiles`` for the output.

    for n, c, oh, ow: store
    => blockIdx: threadIdx.x = channel, row, column: for o, rows and columns of the thread: store
    """
    n, c, oh, ow = sch.get_loops(sch.get_sblock(store))
    (rh, rw), blocks = conv.strides, ceil_div(conv.group_outputs, tile.block_channels)
    group, block, channel, o = sch.split(
        c, [conv.groups, blocks, tile.channel_threads, tile.channels]
    )
    rows, row, y = sch.split(oh, [None, tile.row_threads, tile.rows * rh])
    columns, column, x = sch.split(ow, [None, tile.column_threads, tile.lanes * rw])
    outer, threads = [n, group, block], [channel, row, column]
    return bind_tiles(sch, outer, rows, columns, threads, [o, y, x])


def accumulate(
    sch: Schedule, sums: str, thread: Any, conv: ConvTranspose2d, tile: GpuTile
) -> tuple[Any, list[int]]:
    """Compute a thread's sums in its registers: the loop of the staged channels, and the extents.

    thread: sums whole => thread: for ic / reduction: for ic, th, tw: unrolled o, f, y, x: sums
    """
    block = sch.get_sblock(sums)
    sch.set_scope(block, 0, "local")
    sch.compute_at(block, thread, preserve_unit_loops=True)
    *_, n, g, o, fh, fw, y, x, ic, th, tw = sch.get_loops(block)
    staged, ic = sch.split(ic, [None, tile.reduction])
    spatial = [n, g, o, fh, fw, y, x]
    sch.reorder(staged, ic, th, tw, *spatial)
    extents = [int(sch.get(loop).extent) for loop in spatial]
    terms = conv.h.max_taps * conv.w.max_taps
    for extent in extents:
        terms *= extent
    unrolled = [o, fh, fw, y] if tile.lanes > 1 else [o, fh, fw, y, x]
    for loop in unrolled if terms > _UNROLLED else [th, tw, *unrolled]:
        sch.unroll(loop)
    if tile.lanes > 1:
        sch.vectorize(x)
    return staged, extents


def finish_sums(sch: Schedule, sums: str, staged: Any, tile: GpuTile) -> None:
    """Set the sums to zero before the reduction; to be called after everything is staged."""
    init = sch.decompose_reduction(sch.get_sblock(sums), staged)
    *spatial, x = sch.get_loops(init)[-5:]
    for loop in spatial:
        sch.unroll(loop)
    if tile.lanes > 1:
        sch.vectorize(x)
    else:
        sch.unroll(x)


def stage_input(sch: Schedule, stage: str, staged: Any, tile: GpuTile) -> Tiles | None:
    """Bring the input, which is ``stage``, to where ``tile.stage_input`` says.

    pad whole => inlined; or for ic / reduction: threads: pad part; or a kernel of its own

    The part in shared memory is copied plane by plane (threads: an element: for ic), unless a plane
    would keep less than half of the threads busy.
    """
    pad = sch.get_sblock(stage)
    if tile.stage_input == READ:
        sch.compute_inline(pad)
        return None
    if tile.stage_input == COPY:
        by_element(sch, stage, tile)
        return None
    sch.set_scope(pad, 0, "shared")
    sch.compute_at(pad, staged, preserve_unit_loops=True)
    *_, n, c, i, j = sch.get_loops(pad)
    extents = [int(sch.get(loop).extent) for loop in (n, c, i, j)]
    if extents[2] * extents[3] < tile.threads // 2:
        return cooperate(sch, stage, staged, tile, dimensions=4, vector=1)
    # Where an element of the map comes from is the same for all channels: computed once for them.
    _, thread = sch.split(sch.fuse(i, j), [None, tile.threads])
    sch.reorder(thread, n, c)
    sch.bind(thread, "threadIdx.x")
    sch.unroll(c)
    return Tiles(stage, sch.get(staged).loop_var, extents, list(range(4)))


def stage_weights(sch: Schedule, sums: str, staged: Any, tile: GpuTile, rank: int) -> Tiles | None:
    """Copy the weights of the staged channels to shared memory, if ``tile.stage_weights``.

    To be called before ``stage_input``, which may change what the sums read.

    ... for ic / reduction: threads: packed part; for ic: sums
    """
    if not tile.stage_weights:
        return None
    return _stage_read(sch, sums, _WEIGHTS, staged, tile, rank)


def stage_read(sch: Schedule, sums: str, staged: Any, tile: GpuTile, rank: int) -> Tiles | None:
    """``stage_weights`` for the other factor: an input that another kernel left in memory."""
    if tile.stage_input != SHARED:
        return None
    return _stage_read(sch, sums, _INPUT, staged, tile, rank)


def _stage_read(
    sch: Schedule, sums: str, read: int, staged: Any, tile: GpuTile, rank: int
) -> Tiles:
    copy = sch.cache_read(sch.get_sblock(sums), read, "shared")
    sch.compute_at(copy, staged, preserve_unit_loops=True)
    return cooperate(sch, str(sch.get(copy).name_hint), staged, tile, dimensions=rank, vector=4)


def cooperate(
    sch: Schedule, stage: str, at: Any, tile: GpuTile, dimensions: int, vector: int
) -> Tiles:
    """Have all threads of a block write a stage, one element or vector each at a time."""
    block = sch.get_sblock(stage)
    loops = sch.get_loops(block)[-dimensions:]
    extents = [int(sch.get(loop).extent) for loop in loops]
    # A vector across rows is more than TVM's analyser of accesses can take.
    vector = gcd(vector, extents[-1])
    _, thread, lane = sch.split(sch.fuse(*loops), [None, tile.threads, vector])
    sch.bind(thread, "threadIdx.x")
    if vector > 1:
        sch.vectorize(lane)
    return Tiles(stage, sch.get(at).loop_var, extents, list(range(dimensions)))


def copy_threads(tile: GpuTile) -> int:
    """Threads of a block in a kernel beside the one that is tiled: the device has its number."""
    return min(_COPY_THREADS, tile.threads)


def by_element(sch: Schedule, stage: str, tile: GpuTile) -> None:
    """Compute a stage in a kernel of its own, one element a thread.

    for ..., i, j: stage => blockIdx.z = ..., .y = i, .x = j / threads: threadIdx.x: stage
    """
    *outer, i, j = sch.get_loops(sch.get_sblock(stage))
    column, thread = sch.split(j, [None, copy_threads(tile)])
    bind_blocks(sch, outer, i, column)
    sch.bind(thread, "threadIdx.x")


def store_in_vectors(sch: Schedule, store: str, width: Any, most: int) -> None:
    """Write out a thread's stores, in vectors of up to ``most`` where rows are made of them.

    for o, y, x: store  =>  unrolled o, y, x / vector: vectorised x % vector: store
    """
    *spatial, x = sch.get_loops(sch.get_sblock(store))[-3:]
    for loop in spatial:
        sch.unroll(loop)
    count = int(sch.get(x).extent)
    fitting = (v for v in (4, 2) if v <= most and count % v == 0)
    vector = next((v for v in fitting if isinstance(width, int) and width % v == 0), 1)
    if vector > 1:
        x, lane = sch.split(x, [None, vector])
        sch.vectorize(lane)
    sch.unroll(x)


def finished(func: tirx.PrimFunc, tiles: list[Tiles | None]) -> tirx.PrimFunc:
    """The function with exact scratch, marked as scheduled."""
    for one in tiles:
        if one is not None:
            func = rebased(func, one.stage, one.loop, one.extents, one.order)
    return func.with_attr("tirx.is_scheduled", True)
