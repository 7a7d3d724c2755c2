"""Winograd's form of TDC on a GPU: three kernels, with transformed tiles in global memory.

    kernel 1, a thread for each input channel and tile:
        registers: the tile's inputs d, read with a test for the border
        transform[n, c, u, v, tile] = B^T d B
    kernel 2, blockIdx.z = n, group, row block, point (u, v); .x = block of tiles:
        threadIdx.x = row, tile of the block:
            acc[row, tile] = 0
            for ic / reduction:
                all threads: copy the block's transform and weights to shared memory
                for ic % reduction: unrolled rows, tiles: acc += transform * weight
            products[n, g, row, u, v, tile] = acc
    kernel 3, blockIdx.z = n, output channel, phase in height; .y = row of tiles:
        threadIdx.x = tile: for each phase in width: registers: A^T products A
        y = interleaved, and what follows the convolution

A row is a phase of an output channel: all phases multiply the same transformed inputs, as in the
CPU's form, whose transforms and weights these are; see there. Between the kernels a tile has
(m + k - 1)^2 values for each m x m samples. All of that is float32, also for float16 layers, and so
are the weights: the transforms subtract numbers that are much larger than the outputs. Weights are
packed as [g][row/block][u][v][ic][row%block].
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing, Winograd
from tvm_deconv.algebra.winograd import MAX_PLANE_POINTS
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import (
    OUTPUT_ROWS,
    OUTPUTS,
    PAD,
    PHASES,
    PRODUCTS,
    STORE,
    TRANSFORM,
    TRANSFORM_ROWS,
)
from tvm_deconv.schedules.cpu.winograd import variant as cpu
from tvm_deconv.schedules.cpu.winograd.axis import WinogradAxis
from tvm_deconv.schedules.gpu import revd2, steps, tdc
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.gpu.model import choose_tile, kernel_cycles
from tvm_deconv.schedules.gpu.tile import READ, SHARED
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes, Variant

from .space import GpuWinogradSpace
from .store import by_tiles
from .tile import GpuLayout, GpuWinogradTile, begin_earlier, is_a_run, multiply_adds

# Points on an axis that a thread holds all of in registers, inputs and sums.
_POINTS = 6
# Outputs of a tile on an axis: more lose digits, see ``cook_toom``.
_MOST_OUTPUTS = 4
# Rows of a thread: with 16, ptxas 12 keeps to 40 registers on sm_53 and sm_62, and spills.
_MOST_ROWS = 8
# Instructions to move an element through global memory, as ``model`` counts them.
_ELEMENT_INSTRUCTIONS = 40


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why there is nothing to gain, or nothing known, for this geometry; None if there is."""
    reason = cpu.refusal(conv, accumulate)
    if reason is not None:
        return reason
    for name, axis in (("height", conv.h), ("width", conv.w)):
        if axis.max_taps < 2:
            return f"phases have {axis.max_taps} tap in {name}, where no product can be saved"
        if axis.tap_step != 1:
            return f"taps lie {axis.tap_step} samples apart in {name}, not side by side"
        if axis.max_taps > MAX_PLANE_POINTS - 1:
            most = MAX_PLANE_POINTS - 1
            return f"phases have {axis.max_taps} taps in {name}, at most {most} are known"
        if not is_a_run(axis):
            return f"phases in {name} begin at offsets that do not rise by one, once"
    return None


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuWinogradTile:
    """Tiles of up to six points on an axis, and the products' tile of fewest estimated cycles."""
    outputs = _outputs(conv.h.max_taps), _outputs(conv.w.max_taps)
    layout = GpuLayout(conv, GpuWinogradTile(outputs, 1, 1, 1, 1, 1))
    products = choose_tile(revd2.SPACE.form(layout.matrix, layout.matrix_sizes(sizes)), machine)
    return GpuWinogradTile(
        outputs=outputs,
        channels=min(products.channels, _MOST_ROWS),
        lanes=products.lanes,
        channel_threads=products.channel_threads,
        column_threads=products.column_threads,
        reduction=products.reduction,
        stage_input=SHARED if products.stage_input == SHARED else READ,
        stage_weights=products.stage_weights,
    )


def _outputs(taps: int) -> int:
    fitting = max(_POINTS + 1 - taps, 2)
    return min(fitting, MAX_PLANE_POINTS + 1 - taps, _MOST_OUTPUTS)


def cycles(
    conv: ConvTranspose2d, sizes: Sizes, tile: GpuWinogradTile, machine: GpuMachine
) -> float:
    """Estimated clock cycles of the three kernels: never less than those of ``tdc``.

    Nothing was measured on a GPU, and the CPU's gain comes from caches that hold what lies between
    the kernels here in global memory. So the estimate gives no credit for the multiplications that
    are saved, and adds the passes through memory: only a measurement may choose this form.
    """
    layout = GpuLayout(conv, tile)
    matrix = layout.matrix_sizes(sizes)
    passed = layout.matrix.in_channels + layout.matrix.out_channels
    passed *= (matrix.batch or 1) * (matrix.width or 1)
    passes = passed * _ELEMENT_INSTRUCTIONS / (machine.units * machine.fma_lanes)
    products = kernel_cycles(layout.matrix, matrix, tile.products, machine, phases=1)
    direct = tdc.cycles(conv, sizes, tdc.choose(conv, sizes, machine), machine)
    return max(products, direct) + passes


def packing(conv: ConvTranspose2d, tile: GpuWinogradTile) -> Packing:
    """All output channels are one block; rows in blocks of threads."""
    order, n = "g row/n u v ic row%n", tile.products.block_channels
    return Winograd(conv, order, n, tile.outputs, conv.group_outputs)


def compute(
    conv: ConvTranspose2d, tile: GpuWinogradTile, x: te.Tensor, packed: te.Tensor
) -> te.Tensor:
    """The algorithm: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    batch, _, height, width = stages.shape_of(x)
    layout = GpuLayout(conv, tile)
    h, w, (rh, rw) = layout.h, layout.w, conv.strides
    products = _products(layout, _transformed(layout, x), packed)

    grid = layout.tiles(h, height), layout.tiles(w, width)
    top, left = begin_earlier(conv.h), begin_earlier(conv.w)
    u, v = te.reduce_axis((0, h.points), "u"), te.reduce_axis((0, w.points), "v")

    def output_row(n, g, o, fh, fw, i, v, ty, tx):
        row = (o * rh + _phase(fh, top, rh)) * rw + _phase(fw, left, rw)
        value = products[n, g, row, u, v, 0, ty * grid[1] + tx]
        return te.sum(_entry(h.matrices.inverse, i, u) * value, axis=[u])

    def output(n, g, o, fh, fw, i, j, ty, tx):
        value = output_rows[n, g, o, fh, fw, i, v, ty, tx]
        return te.sum(_entry(w.matrices.inverse, j, v) * value, axis=[v])

    places = (batch, conv.groups, conv.group_outputs, rh, rw, h.outputs)
    output_rows = te.compute((*places, w.points, *grid), output_row, name=OUTPUT_ROWS)
    outputs = te.compute((*places, w.outputs, *grid), output, name=OUTPUTS)

    def stored(n, c, oh, ow):
        g, o = (0, c) if conv.groups == 1 else (c // conv.group_outputs, c % conv.group_outputs)
        y, fh = (oh + top) // rh, (oh + top) % rh
        column, fw = (ow + left) // rw, (ow + left) % rw
        ty, tx = y // h.outputs, column // w.outputs
        value = outputs[n, g, o, fh, fw, y % h.outputs, column % w.outputs, ty, tx]
        return value.astype(x.dtype)

    return te.compute(conv.output_shape(batch, height, width), stored, name=STORE)


def _transformed(layout: GpuLayout, x: te.Tensor) -> te.Tensor:
    """B^T d B of every tile, for every input channel: [n][c][u][v][tile]."""
    batch, channels, height, width = stages.shape_of(x)
    h, w = layout.h, layout.w
    tile_columns, columns = layout.tiles(w, width), layout.columns(height, width)

    def sample(n, c, a, b, t):
        row = _sample(h, t // tile_columns, a)
        column = _sample(w, t % tile_columns, b)
        inside = tirx.all(row >= 0, row < height, column >= 0, column < width)
        value = x[n, c, row, column].astype(ACCUMULATE_DTYPE)
        return tirx.if_then_else(inside, value, stages.zero())

    a, b = te.reduce_axis((0, h.points), "a"), te.reduce_axis((0, w.points), "b")

    def row(n, c, u, b, t):
        return te.sum(_entry(h.matrices.data, u, a) * pad[n, c, a, b, t], axis=[a])

    def element(n, c, u, v, t):
        return te.sum(_entry(w.matrices.data, v, b) * rows[n, c, u, b, t], axis=[b])

    shape = (batch, channels, h.points, w.points, columns)
    pad = te.compute(shape, sample, name=PAD)
    rows = te.compute(shape, row, name=TRANSFORM_ROWS)
    return te.compute(shape, element, name=TRANSFORM)


def _entry(matrix: np.ndarray, row: Any, column: Any) -> Any:
    """An expression for ``matrix[row, column]``."""
    total = tirx.const(0, ACCUMULATE_DTYPE)
    for (i, j), value in np.ndenumerate(matrix):
        if value:
            entry = tirx.const(float(value), ACCUMULATE_DTYPE)
            total = tirx.Select(tirx.all(row == i, column == j), entry, total)
    return total


def _sample(axis: WinogradAxis, tile: Any, index: Any) -> Any:
    """Row or column of the input that is number ``index`` of a tile."""
    return tile * axis.outputs + axis.first + index


def _products(layout: GpuLayout, transform: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """Sums over the input channels, a matrix product for each point: [n][g][row][u][v][0][tile]."""
    conv, block = layout.conv, layout.tile.products.block_channels
    batch, _, points_h, points_w, columns = stages.shape_of(transform)
    # Loops over taps and rows are for ``steps.accumulate``; there is one of each.
    ic = te.reduce_axis((0, conv.group_inputs), "ic")
    th, tw = te.reduce_axis((0, 1), "th"), te.reduce_axis((0, 1), "tw")

    def product(n, g, row, u, v, y, t):
        weight = packed[g, row // block, u, v, ic, row % block]
        value = transform[n, g * conv.group_inputs + ic, u, v, t]
        return te.sum(value * weight, axis=[ic, th, tw])

    rows = layout.row_blocks * block
    shape = (batch, conv.groups, rows, points_h, points_w, 1, columns)
    acc = te.compute(shape, product, name=PHASES)
    return te.compute(shape, acc, name=PRODUCTS)


def _phase(number: Any, more: int, stride: int) -> Any:
    """The phase of output ``number`` of a run that begins ``more`` outputs before a block."""
    return (number + (stride - more)) % stride if more else number


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuWinogradTile) -> tirx.PrimFunc:
    """The three kernels, for a function made of ``compute`` and pointwise consumers."""
    layout = GpuLayout(conv, tile)
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    kept = (PAD, TRANSFORM_ROWS, TRANSFORM, PHASES, PRODUCTS, OUTPUT_ROWS, OUTPUTS)
    store = steps.inline_epilogue(sch, keep=kept)
    sch = Schedule(by_tiles(sch.mod["main"], store, layout), enable_check=False)
    threads = steps.copy_threads(tile.products)
    tiles = [
        *_transform(sch, threads),
        *_multiply(sch, layout),
        *_invert(sch, store, threads),
    ]
    return steps.finished(sch.mod["main"], tiles)


def _transform(sch: Schedule, threads: int) -> list[steps.Tiles]:
    """Kernel 1: for n, c, u, v, t  =>  blockIdx: threadIdx.x = t: pad, rows, unrolled u, v."""
    n, c, u, v, t, b = sch.get_loops(sch.get_sblock(TRANSFORM))
    column, thread = sch.split(t, [None, threads])
    sch.reorder(n, c, column, thread, u, v, b)
    steps.bind_blocks(sch, [n, c], None, column)
    sch.bind(thread, "threadIdx.x")
    for loop in (u, v, b):
        sch.unroll(loop)
    return [_in_registers(sch, stage, thread, rank=5) for stage in (TRANSFORM_ROWS, PAD)]


def _multiply(sch: Schedule, layout: GpuLayout) -> list[steps.Tiles | None]:
    """Kernel 2: the loop nest of ``tdc``'s first, with points for phases."""
    tile = layout.tile.products
    n, g, o, u, v, y, t = sch.get_loops(sch.get_sblock(PRODUCTS))
    block, channel, o = sch.split(o, [None, tile.channel_threads, tile.channels])
    rows, row, y = sch.split(y, [None, 1, 1])
    columns, column, t = sch.split(t, [None, tile.column_threads, tile.lanes])
    outer, threads = [n, g, block, u, v], [channel, row, column]
    _, thread = steps.bind_tiles(sch, outer, rows, columns, threads, [o, y, t])
    staged, extents = steps.accumulate(sch, PHASES, thread, layout.matrix, tile)
    weights = steps.stage_weights(sch, PHASES, staged, tile, rank=6)
    inputs = steps.stage_read(sch, PHASES, staged, tile, rank=5)
    steps.finish_sums(sch, PHASES, staged, tile)
    steps.store_in_vectors(sch, PRODUCTS, tile.lanes, most=tile.lanes)
    at = sch.get(thread).loop_var
    return [steps.Tiles(PHASES + "_init", at, extents, list(range(7))), weights, inputs]


def _invert(sch: Schedule, store: str, threads: int) -> list[steps.Tiles]:
    """Kernel 3: for n, c, ty, i, fh, tx, j, fw: store  =>  blockIdx: threadIdx.x = tile: sums,
    unrolled i, j, fw: store
    """
    n, c, ty, i, fh, tx, j, fw = sch.get_loops(sch.get_sblock(store))
    column, thread = sch.split(tx, [None, threads])
    sch.reorder(n, c, fh, ty, column, thread, i, j, fw)
    steps.bind_blocks(sch, [n, c, fh], ty, column)
    sch.bind(thread, "threadIdx.x")
    for loop in (i, j, fw):
        sch.unroll(loop)
    return [_in_registers(sch, stage, thread, rank=9) for stage in (OUTPUTS, OUTPUT_ROWS)]


def _in_registers(sch: Schedule, stage: str, thread: Any, rank: int) -> steps.Tiles:
    """Compute what a thread reads of a stage in its registers, all written out."""
    block = sch.get_sblock(stage)
    sch.set_scope(block, 0, "local")
    sch.compute_at(block, thread, preserve_unit_loops=True)
    at = sch.get(thread).loop_var
    around = [sch.get(loop).loop_var for loop in sch.get_loops(block)]
    inner = sch.get_loops(block)[next(i for i, v in enumerate(around) if v.same_as(at)) + 1 :]
    extents = [int(sch.get(loop).extent) for loop in inner[:rank]]
    for loop in inner:
        sch.unroll(loop)
    return steps.Tiles(stage, at, extents, list(range(rank)))


WINOGRAD = Variant(
    name="winograd",
    summary="TDC with phases by Winograd's F(m, k), which share one transformed input",
    parameters=GpuWinogradTile,
    space=GpuWinogradSpace(),
    choose=choose,
    cycles=cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    multiply_adds=multiply_adds,
    refusal=refusal,
)
