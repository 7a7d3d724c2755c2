"""The loop nest of ``channels``, written out statement by statement.

    parallel over images, strips of rows, groups, shares of the channels:
        copy the strip's input, with a border of zeros, to scratch
        for block of input channels, tile of output channels, phase, rows, columns:
            sums[pixel][vector] = 0, or what the block before left
            for taps: for input channel:
                w[vector] = weights
                for pixel: x = broadcast of one input; sums[pixel][:] += w[:] * x
            leave the sums in scratch
            after the last block: transpose and store the tile's rows

The scratch for sums holds all tiles of a share where there are several blocks of input channels,
else one. A register has ``lanes`` neighbouring channels of one pixel, so that the store transposes
squares of ``lanes`` channels and columns, in registers.
"""

from __future__ import annotations

from itertools import product
from typing import Any

from tvm import tirx
from tvm.s_tir import SBlock, Schedule
from tvm.script.ir_builder import tirx as T

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import PAD, PHASES
from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.cpu import steps
from tvm_deconv.schedules.cpu.elements import Elements
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.writing import known, named, rewriting, simplified
from tvm_deconv.schedules.variant import Sizes

from .copy import copy_input
from .reach import reach_of
from .store import store_tile
from .strip import Strip
from .sums import add_phase
from .tile import PixelTile


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: PixelTile) -> tirx.PrimFunc:
    """The loop nest above, for a function made of ``compute`` and pointwise consumers."""
    sch = Schedule(func, enable_check=False)
    name = steps.inline_epilogue(sch, keep=(PAD, PHASES))
    store = edit.find_block(sch.mod["main"].body, name).block
    return for_llvm(_written(func, store, conv, tile))


def _written(
    func: tirx.PrimFunc, store: SBlock, conv: ConvTranspose2d, tile: PixelTile
) -> tirx.PrimFunc:
    with rewriting(func) as (builder, arguments):
        buffers = [buffer for _, buffer in arguments]
        elements = Elements(store, arguments)
        _write_strips((buffers[0], buffers[1], buffers[-1]), elements, conv, tile)
    return builder.get()


def _write_strips(
    buffers: tuple[Any, Any, Any], elements: Elements, conv: ConvTranspose2d, tile: PixelTile
) -> None:
    batch, _, height, width = buffers[0].shape
    (down, right), rows = conv.step, tile.whole_rows
    block_rows = simplified(tirx.ceildiv(conv.h.blocks(height), index(down)))
    block_columns = simplified(tirx.ceildiv(conv.w.blocks(width), index(right)))
    strips = tirx.ceildiv(block_rows, index(rows))
    parts = conv.groups * tile.splits
    pieces = simplified(batch * strips * parts)
    loop = T.parallel if tile.parallel else T.serial
    column_tiles = named(tirx.ceildiv(block_columns, index(tile.columns)))
    block_rows = named(block_rows)
    sizes = Sizes(None, known(height), known(width))
    reach = reach_of(conv, sizes, tile.lines, tile.columns)
    read = simplified(reach.copied_columns(column_tiles * tile.columns))
    copied_columns = named(_pitch(read))
    row = named(copied_columns * conv.group_inputs)
    row_of_sums = named(column_tiles * (tile.columns * conv.w.stride))
    strips = named(strips)
    tiles = -(-conv.group_outputs // tile.channels) // tile.splits
    with loop(index(0), pieces) as piece:
        part = named(piece % parts)
        which = named(piece // parts % strips)
        n = named(piece // parts // strips)
        group, split = named(part // tile.splits), named(part % tile.splits)
        top = named(which * rows)
        # Scratch is in the workspace, where its scope puts it: in the default one it may share the
        # storage of the accumulators, which LLVM then cannot keep in registers.
        copied = T.alloc_buffer((row * reach.copied_rows(rows),), "float32", scope="local")
        size = row_of_sums * (conv.h.stride * rows)
        kept = tiles if conv.group_inputs > tile.inputs else 1
        # The last square that is transposed may reach beyond the last row.
        shape = ((size * kept + tile.lanes) * tile.channels,)
        sums = T.alloc_buffer(shape, "float32", scope="local")
        shape = ((row_of_sums + tile.lanes) * tile.lanes,)
        across = T.alloc_buffer(shape, "float32", scope="local")
        strip = Strip(
            conv=conv,
            tile=tile,
            x=buffers[0],
            weights=buffers[1],
            out=buffers[2],
            batch=n,
            group=group,
            top=top,
            reach=reach,
            above=named(reach.first_row(top)),
            block_rows=block_rows,
            column_tiles=column_tiles,
            copied=copied,
            row=row,
            copied_columns=copied_columns,
            sums=sums,
            row_of_sums=row_of_sums,
            lines=across,
        )
        copy_input(strip)
        with (
            T.serial(index(0), index(strip.blocks)) as block,
            T.serial(index(0), index(tiles)) as number,
        ):
            place = named(number * size if strip.blocks > 1 else index(0))
            of_group = named(split * tiles + number)
            for phase in product(range(conv.h.stride), range(conv.w.stride)):
                add_phase(strip, block, of_group, place, phase)
            if strip.blocks > 1:
                with T.If(block == strip.blocks - 1), T.Then():
                    store_tile(strip, elements, of_group, place)
            else:
                store_tile(strip, elements, of_group, place)


def _pitch(columns: Any) -> Any:
    """Numbers from a row of a copied channel to that of the next.

    Those of narrow maps lie close: of 1024 channels of 6 columns each step then loads 4 rows from
    the level-2 cache in one line or two, not in 4. Of others it is an odd number of cache lines, so
    that neighbouring channels do not share a set of the cache.
    """
    narrow = known(columns)
    if narrow is not None and narrow < LINE:
        return columns
    return (tirx.ceildiv(columns, index(LINE)) // 2 * 2 + 1) * LINE
