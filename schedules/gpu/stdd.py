"""STDD on a GPU: every input is read once and scattered, and overlapping sums add up.

    pad the input into global memory, in a kernel of its own      (stage_input = COPY)
    blockIdx.z = n, group, channel block; .y = row block; .x = column block:
        all threads: phases = 0, the sums of the block in shared memory, a plane for each phase
        for ic / reduction:
            all threads: copy the block's input and weights to shared memory
            threadIdx.x = channel, row i, column j of the block's input with its halo:
                registers: value[ic] = pad[ic, i, j]
                for th, tw: wait for all threads; for o, fh, fw:
                    phases[o, fh, fw, i - oy, j - ox] += sum over ic of value * weight
        threadIdx.x = channel, row, column of the block: store phases, interleaved

One tap takes different inputs to different sums, so between two waits no two threads add to the
same one, and nothing is atomic. A block reads its halo as well, and its planes have a margin for
what falls outside, which nobody reads: no two blocks share a sum either, and no sum needs a test.
Every ``reduction`` products cost a load and a store in shared memory, and TVM, which cannot see
that threads keep apart, has them wait before each: this is the form to compare with, not the form
to use. Packed weights are those of ``revd2``.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product
from math import ceil
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize, Schedule

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.algorithms.expressions import by_phase, ceil_div, static
from tvm_deconv.schedules.algorithms.names import PAD, PHASES
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes, Variant

from . import revd2, steps
from .form import GpuForm, blocks
from .machine import GpuMachine
from .model import reductions, round_to_power
from .rebase import rebased
from .space import TileSpace
from .tile import READ, GpuTile

# Bytes of a block of threads: what a device of OpenCL's full profile has, and half of that so that
# two blocks run side by side.
_MOST_SHARED = 32 * 1024
_BLOCK_BYTES = _MOST_SHARED // 2
_MAX_PHASES = _BLOCK_BYTES // 4

# Instructions for each sum of a tap: its place, load and store, and what a wait before it costs.
_SUM = 48


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why shared memory cannot hold the sums of a layer."""
    phases = conv.h.stride * conv.w.stride
    if phases > _MAX_PHASES:
        return f"{phases} phases do not fit into shared memory (at most {_MAX_PHASES})"
    return None


def shared_bytes(conv: ConvTranspose2d, tile: GpuTile) -> int:
    """Shared memory of a block: its sums, and what ``tile`` stages."""
    passes, phases = _Passes(conv, tile), conv.h.stride * conv.w.stride
    rows, columns = passes.plane
    sums = phases * tile.block_channels * rows * columns
    return 4 * sums + tile.shared_bytes(conv, phases)


def choose(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> GpuTile:
    """The tile of fewest estimated cycles; operands are read where they lie."""
    return min(_candidates(conv, sizes, machine), key=lambda t: cycles(conv, sizes, t, machine))


def _candidates(conv: ConvTranspose2d, sizes: Sizes, machine: GpuMachine) -> Iterator[GpuTile]:
    """Tiles whose sums fit into shared memory; the last one does for every layer and device."""
    rows, columns = (round_to_power(size) for size in blocks(conv, sizes))
    reduction = max(reductions(conv))
    for channels, threads, per_thread in product((1, 2, 4, 8), (1, 2, 4, 8), (1, 2, 4)):
        tile = GpuTile(
            channels=channels,
            rows=per_thread,
            lanes=1,
            channel_threads=1,
            row_threads=threads,
            column_threads=min(32, columns),
            reduction=reduction,
            stage_input=READ,
            stage_weights=0,
        )
        fits = shared_bytes(conv, tile) <= min(_BLOCK_BYTES, machine.shared_bytes)
        fits = fits and tile.threads <= machine.max_threads and tile.block_rows <= rows
        if fits and not conv.group_outputs % channels:
            yield tile
    yield GpuTile(1, 1, 1, 1, 1, 1, 1, READ, 0)


def cycles(conv: ConvTranspose2d, sizes: Sizes, tile: GpuTile, machine: GpuMachine) -> float:
    """Estimated clock cycles of the kernel: loads and stores of the sums, waits, idle threads."""
    rows, columns = blocks(conv, sizes)
    grid = (
        (sizes.batch or 1)
        * conv.groups
        * ceil_div(conv.group_outputs, tile.block_channels)
        * ceil_div(rows, tile.block_rows)
        * ceil_div(columns, tile.block_columns)
    )
    taps, phases = conv.h.max_taps * conv.w.max_taps, conv.h.stride * conv.w.stride
    adds = taps * phases * tile.channels * (_SUM + 3 * tile.reduction)
    issued = max(tile.threads, machine.warp) * adds / machine.fma_lanes
    passes = _Passes(conv, tile)
    one = conv.group_inputs / tile.reduction * passes.count * issued
    side_by_side = max(min(machine.unit_shared_bytes // shared_bytes(conv, tile), 4), 1)
    return ceil(grid / machine.units / side_by_side) * one * side_by_side


class _Passes:
    """How often the threads of a block step over its input, in height and width, halo included.

    ``plane`` are the rows and columns of sums of a phase, ``before`` of them above and on the left
    of the block's own.
    """

    def __init__(self, conv: ConvTranspose2d, tile: GpuTile) -> None:
        self.before = conv.h.uniform_extent, conv.w.uniform_extent
        self.rows = ceil_div(tile.block_rows + self.before[0], tile.row_threads)
        self.columns = ceil_div(tile.block_columns + self.before[1], tile.column_threads)
        self.count = self.rows * self.columns
        self.plane = (
            self.rows * tile.row_threads + self.before[0],
            self.columns * tile.column_threads + self.before[1],
        )


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> tirx.PrimFunc:
    """The loop nest above, for a function made of ``revd2.compute`` and pointwise consumers."""
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, PHASES))
    width = static(sch.get(sch.get_loops(sch.get_sblock(store))[-1]).extent)
    columns, _ = steps.bind_outputs(sch, store, conv, tile)
    phases = sch.get_sblock(PHASES)
    sch.set_scope(phases, 0, "shared")
    sch.compute_at(phases, columns, preserve_unit_loops=True)
    *_, n, g, o, fh, fw, y, x, ic, th, tw = sch.get_loops(phases)
    staged, ic = sch.split(ic, [None, tile.reduction])
    sch.reorder(staged, ic, th, tw, n, g, o, fh, fw, y, x)
    weights = steps.stage_weights(sch, PHASES, staged, tile, rank=8)
    pad = steps.stage_input(sch, PAD, staged, tile)
    init = sch.get(sch.decompose_reduction(phases, staged)).name_hint
    sums = steps.cooperate(sch, str(init), columns, tile, dimensions=7, vector=1)
    steps.store_in_vectors(sch, store, width, most=4)

    passes = _Passes(conv, tile)
    extents, before = (
        [*sums.extents[:5], *passes.plane],
        dict(zip((5, 6), passes.before, strict=True)),
    )
    func = steps.finished(sch.mod["main"], [pad, weights])
    func = rebased(func, sums.stage, sums.loop, extents, sums.order, before)
    return input_stationary(func, conv, tile)


def input_stationary(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> tirx.PrimFunc:
    """Skew the reduction from outputs to inputs, and distribute it over the threads.

    for ic, th, tw, o, fh, fw, y, x: phases[..., y, x] += pad[ic, y + oy, x + ox] * weight
    => threadIdx.x: value = pad[:, i, j]
                    for th, tw: wait; for o, fh, fw: phases[..., i - oy, j - ox] += value * weight
    """
    scatter = _Scatter(func, conv, tile)
    nest = scatter.nest()

    def replace(loop: tirx.For) -> tirx.Stmt:
        return nest if loop.loop_var.same_as(scatter.outermost) else loop

    return func.with_body(tvm_ffi.structural_map(func.body, (tirx.For, replace), order="pre"))


class _Scatter:
    """The nest of ``input_stationary``."""

    def __init__(self, func: tirx.PrimFunc, conv: ConvTranspose2d, tile: GpuTile) -> None:
        self.conv, self.tile = conv, tile
        init = edit.find_block(func.body, PHASES + "_init")
        self.thread = next(loop for loop in edit.loops_to(func.body, init) if _is_thread(loop))
        update = edit.find_block(func.body, PHASES + "_update")
        inner = edit.loops_to(func.body, update)[-10:]
        self.outermost = inner[0].loop_var
        self.variables = [axis.var for axis in update.block.iter_vars]
        first = {loop.loop_var: 0 for loop in inner}
        self.first = [edit.bind(value, first) for value in update.iter_values]
        self.store = update.block.body
        term = self.store.value.b
        if not isinstance(term, tirx.Mul):
            _, term, _ = term.args  # the weights of a tap that a phase lacks are 0
        self.pad, self.weight = term.a, term.b
        self.index = str(self.thread.loop_var.ty.dtype)

    def nest(self) -> tirx.Stmt:
        conv, tile = self.conv, self.tile
        t = tirx.Var("t", self.index)
        column, row = t % tile.column_threads, t // tile.column_threads % tile.row_threads
        channel = t // (tile.column_threads * tile.row_threads) * tile.channels
        passes = _Passes(conv, tile)
        rows, columns = self._loop("rows", passes.rows), self._loop("columns", passes.columns)
        i = rows.loop_var * tile.row_threads + row
        j = columns.loop_var * tile.column_threads + column
        value = tirx.decl_buffer((tile.reduction,), ACCUMULATE_DTYPE, "value", scope="local")
        body = edit.sequence([*self._loads(value, i, j), self._taps(value, channel, i, j)])
        body = edit.rebuild([rows, columns], body)
        block = SBlock([], [], [], "scatter", body, alloc_buffers=[value])
        realize = SBlockRealize([], tirx.const(True, "bool"), block)
        return edit.with_loop(self.thread, loop_var=t, body=realize)

    def _loads(self, value: Any, i: Any, j: Any) -> Iterator[tirx.Stmt]:
        """Read the thread's inputs; those beyond the block's reach no sum that is read."""
        conv, tile = self.conv, self.tile
        inside = tirx.all(
            i < tile.block_rows + conv.h.uniform_extent,
            j < tile.block_columns + conv.w.uniform_extent,
        )
        for n in range(tile.reduction):
            place = self._place(n, 0, 0, 0, i, j, 0, 0)
            read = tirx.if_then_else(inside, edit.bind(self.pad, place), tirx.const(0.0, "float32"))
            yield tirx.BufferStore(value, read, [n])

    def _taps(self, value: Any, channel: Any, i: Any, j: Any) -> tirx.Stmt:
        """For each tap wait, then add to the sums of all phases and of the thread's channels."""
        conv, tile = self.conv, self.tile
        th, tw = self._loop("th", conv.h.max_taps), self._loop("tw", conv.w.max_taps)
        each = self._loop("sums", conv.h.stride * conv.w.stride * tile.channels)
        o = channel + each.loop_var % tile.channels
        phase = each.loop_var // tile.channels
        fh, fw = phase // conv.w.stride, phase % conv.w.stride
        taps = th.loop_var, tw.loop_var
        place = self._place(0, o, fh, fw, i, j, *taps)
        indices = [edit.bind(index, place) for index in self.store.indices]
        sums = self.store.buffer
        total = tirx.BufferLoad(sums, indices)
        for n in range(tile.reduction):
            factor = edit.bind(self.weight, self._place(n, o, fh, fw, i, j, *taps))
            total = total + tirx.BufferLoad(value, [n]) * factor
        add = tirx.BufferStore(sums, total, indices)
        wait = tirx.Evaluate(tirx.call_intrin("int32", "tirx.tvm_storage_sync", "shared"))
        return edit.rebuild([th, tw], edit.sequence([wait, edit.rebuild([each], add)]))

    def _place(
        self, ic: int, o: Any, fh: Any, fw: Any, i: Any, j: Any, th: Any, tw: Any
    ) -> dict[tirx.Var, Any]:
        """What the variables of the update are where input (i, j) meets a tap of a phase."""
        y, x = self._target(self.conv.h, i, fh, th), self._target(self.conv.w, j, fw, tw)
        inner = [0, 0, o, fh, fw, y, x, ic, th, tw]
        values = [first + value for first, value in zip(self.first, inner, strict=True)]
        return dict(zip(self.variables, values, strict=True))

    def _target(self, axis: Axis, source: Any, phase: Any, tap: Any) -> Any:
        """The block of the output that a tap of a phase takes a row or column of the input to."""
        top, _ = axis.halo
        offsets = [axis.first_offset(f) - top for f in range(axis.stride)]
        return source - (by_phase(offsets, phase) + axis.tap_step * tap)

    def _loop(self, name: str, extent: int) -> tirx.For:
        return edit.loop(name, self.index, extent, tirx.ForKind.SERIAL)


def _is_thread(loop: tirx.For) -> bool:
    binding = loop.thread_binding
    return binding is not None and str(binding.thread_tag) == "threadIdx.x"


@lru_cache(maxsize=256)
def _form(conv: ConvTranspose2d, sizes: Sizes) -> GpuForm:
    phases = conv.h.stride * conv.w.stride
    return GpuForm(conv, sizes, phases, loops_taps=True, sums_in_shared=shared_bytes)


SPACE = TileSpace(_form)

STDD = Variant(
    name="stdd",
    summary="input-stationary scatter, overlapping sums in shared memory",
    parameters=GpuTile,
    space=SPACE,
    choose=choose,
    cycles=cycles,
    packing=revd2.packing,
    compute=revd2.compute,
    schedule=schedule,
    refusal=refusal,
    weight_dtype=revd2.weight_dtype,
)
