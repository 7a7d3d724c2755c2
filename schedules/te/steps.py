"""Scheduling steps that the variants share; each docstring shows the nest before and after."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import ceil_div
from tvm_deconv.schedules.algorithms.names import INTERLEAVE
from tvm_deconv.schedules.cpu.tiling import Tiling

from . import packing
from .grid import Grid
from .layouts import NCHW, permuted
from .stages import VECTORS


@dataclass(frozen=True)
class Nest:
    """The stage that stores, and its loops: the threads' and, further in, those of a strip.

    ``layout`` is that of what it stores, and of the input.
    """

    stage: Any
    parallel: Any
    channel: Any
    y: Any
    fh: Any
    columns: Any
    layout: str

    def around(self, rows: Sequence[Any], channels: Any) -> tuple[Any, ...]:
        """Loops over rows and channels, outermost first.

        In NHWC a row of all channels is finished before the next, since they share cache lines;
        else a kernel's weights stay in the cache for all rows.
        """
        return (channels, *rows) if self.layout == NCHW else (*rows, channels)


def start(out: te.Tensor, keep: Sequence[str]) -> tuple[Any, dict[str, te.Tensor]]:
    """A schedule with all but the stages ``keep`` inlined into ``out``, and those by name.

    Weights that are packed at run time are packed first.

    store[...] = acc; add[...] = store[...] + b; relu[...] = max(add[...], 0)
    => relu[...] = max(acc + b, 0)
    """
    s = te.create_schedule(out.op)
    kept: dict[str, te.Tensor] = {}
    seen = set()

    def visit(op: Any) -> None:
        if op in seen or not isinstance(op, te.ComputeOp):
            return
        seen.add(op)
        if op.name == packing.PACK:
            packing.schedule(s, op.output(0))
        elif op.name in keep:
            kept[op.name] = op.output(0)
        elif op != out.op:
            s[op].compute_inline()
        for tensor in op.input_tensors:
            visit(tensor.op)

    visit(out.op)
    return s, kept


def strips(
    s: Any, out: te.Tensor, conv: ConvTranspose2d, tile: Tiling, grid: Grid, layout: str
) -> Nest:
    """Divide the output between the threads.

    for n, c, oh, ow: store
    => parallel n*strip*block*g*channel_block: for o, y, fh, ow: store
    """
    stage = s[out]
    n, c, oh, ow = permuted(stage.op.axis, layout, NCHW)
    outer = [n]
    strip, y = stage.split(oh, factor=grid.rows * conv.h.stride)
    y, fh = stage.split(y, factor=conv.h.stride)
    outer.append(strip)
    if not grid.ragged:
        block, ow = stage.split(ow, factor=grid.block_columns * conv.w.stride)
        outer.append(block)
    if conv.groups > 1:
        g, c = stage.split(c, factor=conv.group_outputs)
        outer.append(g)
    tiles = ceil_div(conv.group_outputs, tile.channels)
    split, c = stage.split(c, factor=tiles // tile.channel_splits * tile.channels)
    outer.append(split)
    stage.reorder(*outer, c, y, fh, ow)
    parallel = stage.fuse(*outer)
    if tile.parallel:
        stage.parallel(parallel)
    return Nest(stage, parallel, c, y, fh, ow, layout)


def in_vectors(stage: Any, axes: Sequence[Any], columns: Any, lanes: int) -> None:
    """Write out ``axes``, and move ``columns`` in whole vectors.

    for axes: for x: stage  =>  unrolled axes, x / lanes: vectorised x % lanes: stage
    """
    vector, lane = stage.split(columns, factor=lanes)
    stage.reorder(*axes, vector, lane)
    for loop in (*axes, vector):
        stage.unroll(loop)
    stage.vectorize(lane)


def in_registers(s: Any, phases: te.Tensor, tile: Tiling, weights_of_tap: int) -> None:
    """Write a register tile out in full, so that LLVM keeps the accumulators in registers.

    for ..., ic, th, tw: acc[...] += ...
    => acc[...] = 0 (unrolled); for ic: unrolled th, tw, fh, o, fw: vectorised x: acc[...] += ...

    Where the machine can multiply by a lane, the weights of one tap are loaded as whole vectors
    before, which LLVM keeps in registers, too. ``weights_of_tap`` axes of the packed weights, the
    last ones, are those of one tap. On AArch64 this is one load for 4 weights instead of 2, and
    leaves an in-order core's second issue slot to the multiply-adds.
    """
    stage = s[phases]
    if tile.weight_vectors:
        _, packed = stage.op.input_tensors
        weights = s[s.cache_read(packed, "local", [phases])]
    n, g, o, fh, fw, y, x = stage.op.axis
    ic, th, tw = stage.op.reduce_axis
    stage.reorder(n, g, y, ic, th, tw, fh, o, fw, x)
    for loop in (th, tw) if tile.unroll_th else (tw,):
        stage.unroll(loop)
    in_vectors(stage, (fh, o, fw), x, tile.lanes)
    if tile.weight_vectors:
        weights.compute_at(stage, tw)
        axes = list(weights.op.axis)
        others, run = axes[:-weights_of_tap], axes[-weights_of_tap:]
        in_vectors(weights, others, weights.fuse(*run), tile.lanes)


def copied_rows(s: Any, pad: te.Tensor, nest: Nest, grid: Grid) -> None:
    """Copy each strip's input, with its halo, into scratch of the thread that uses it.

    pad whole input; parallel strip: ...
    => parallel strip: for c, i, vector: vectorised j: pad; ...

    or, of an NHWC input, whose channels share cache lines,

    => parallel strip: for i, vector, c: vectorised j: pad; ...
    """
    stage = s[pad]
    stage.compute_at(nest.stage, nest.parallel)
    n, c, i, j = stage.op.axis
    vector, lane = stage.split(j, factor=grid.copied)
    stage.reorder(n, *nest.around((i, vector), c), lane)
    stage.vectorize(lane)


def rows_of_strip(
    s: Any, row: te.Tensor | None, nest: Nest, columns: int, lanes: int
) -> tuple[Any, Any]:
    """Store the finished sums of a strip as rows, ``columns`` output columns at a time.

    parallel: sums of a strip; for o, y, fh, ow: store
    => parallel: sums of a strip; for o, y, fh: for ow / columns: for ow % columns: store

    or, where columns are ragged and ``row`` is the stage that holds one row,

    => parallel: sums of a strip; for o, y, fh: for ow / columns: row; for ow: store

    Returns the stage and the loop that a part of a row is computed at.
    """
    stage = nest.stage
    stage.reorder(*nest.around((nest.y, nest.fh), nest.channel), nest.columns)
    ow = nest.columns
    if row is not None:
        s[row].compute_at(stage, nest.around((nest.y, nest.fh), nest.channel)[-1])
        stage = s[row]
        *_, ow = stage.op.axis
    part, within = stage.split(ow, factor=columns)
    in_vectors(stage, (), within, lanes)
    return stage, part


def interleaved_part(s: Any, kept: dict[str, te.Tensor], at: tuple[Any, Any], lanes: int) -> None:
    """Take a vector of every phase and shuffle them, in registers, for a part of a row.

    part of a row  =>  unrolled fw: vector of phase fw; unrolled, in vectors: interleave
    """
    for name in (VECTORS, INTERLEAVE):
        if name in kept:
            stage = s[kept[name]]
            stage.compute_at(*at)
            *axes, columns = stage.op.axis
            in_vectors(stage, axes, columns, lanes)
