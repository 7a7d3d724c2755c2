"""One strip of a picture: its scratch, and where it lies among the loops around the products."""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import TensorLoad
from tvm.s_tir import SBlockRealize

from tvm_deconv.schedules.algorithms.names import OUTPUTS, PAD, PRODUCTS, TRANSFORM
from tvm_deconv.schedules.cpu.tiling import STACK_BYTES
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.pieces import divided
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .axis import WinogradAxis
from .layout import Layout
from .places import Places

# Rows of a volume's input that are copied before the first of them is dealt out.
VOLUME_ROWS = 4


class Strip:
    """What the nests of one strip share. Buffers hold what ``definition`` says for whole pictures.

    ``is_stack`` says that the picture is a stack of slices (``tir.stacks``).
    ``pieces`` are the loops over strips, ``blocks`` the one over blocks of channels in a strip.
    """

    def __init__(
        self, layout: Layout, root: SBlockRealize, store_name: str, is_stack: bool
    ) -> None:
        self.is_stack = is_stack
        self.layout, self.conv, self.lanes = layout, layout.conv, layout.tile.lanes
        init = edit.find_block(root, PRODUCTS + "_init")
        self.pieces, (self.blocks, *inner) = divided(edit.loops_to(root, init))
        # The loops over a block's register tiles: points, rows, tiles.
        self.register_tiles = inner[:4]
        # Where the strip and its block begin: (n, sy, sx, f, g, block), f the phase in height of
        # strips that have one.
        origin = {loop.loop_var: 0 for loop in inner}
        self.place = [edit.bind(value, origin) for value in init.iter_values[:6]]
        self.sums = init.block.writes[0].source
        self.weights = edit.find_block(root, PRODUCTS + "_update").block.reads[-1].source
        # What is read there may be a copy; the block that makes it has the copy's name.
        self.copied = self.weights if layout.tile.weight_vectors else None
        if self.copied is not None:
            self.weights = edit.find_block(root, self.weights.name).block.reads[0].source
        self.definition = {
            name: edit.find_block(root, name).block for name in (PAD, TRANSFORM, OUTPUTS)
        }
        self.store = edit.find_block(root, store_name)
        self.x = self.definition[PAD].reads[0].source
        self.places = Places(layout, self.x.shape[2])
        self.index = str(self.place[0].ty.dtype)
        self.accumulators = self._accumulators()
        self.lane_weights = self.registers("weights", layout.tile.channels)

        d, h, w, lanes = layout.d, layout.h, layout.w, self.lanes
        columns = layout.output_chunks * lanes
        # Phases that start later read on into the next tile.
        beyond = lanes if max(w.shifts) else 0
        line = w.unit * w.axis.stride * lanes
        self.rows = self.memory("rows", h.inputs, layout.row_inputs)
        units = h.step * h.points
        self.columns = self.memory("columns", units, layout.row_inputs)
        if d.points > 1:
            # The slices of one tile along the depth, then what becomes of them at its points.
            copies = VOLUME_ROWS * layout.abreast
            self.rows = self.memory("rows", copies, layout.volume_row_inputs)
            dealt = layout.tile_samples, layout.chunks * lanes
            self.spread = self.memory("spread", d.points * layout.dealt_rows, *dealt)
            self.columns = self.memory("columns", units, *dealt)
        self.dealt = self.memory("dealt", units, w.unit, layout.spread)
        self.samples = self.registers("samples", w.unit * lanes)
        self.following = self.registers("following", w.unit * lanes)
        points = (h.points, w.filter.transformed)
        self.transform = self.memory(
            TRANSFORM, *points, layout.transform_rows, layout.transform_pitch
        )
        self.products = self.memory(PRODUCTS, *layout.products, layout.rows | 1, layout.pitch)
        phases = w.axis.stride
        self.inverted = self.memory("inverted", phases, w.step, h.outputs, w.points, columns)
        self.outputs = self.memory(OUTPUTS, phases, w.unit, columns + beyond)
        self.edge = self.memory("edge", line)
        self.line = self.registers("line", line)

    def _accumulators(self) -> list[Any]:
        """The buffer of a register tile's sums, or one for each of its vectors.

        TVM has only buffers of less than ``STACK_BYTES`` on the stack, where LLVM removes them. In
        its workspace each sum would be stored in each turn of the reduction.
        """
        tile = self.layout.tile
        wide, count = tile.lanes * tile.vectors, 1
        if tile.vectors > 1 and 4 * wide * tile.channels >= STACK_BYTES:
            wide, count = tile.lanes, tile.vectors
        return [self.registers(f"sums{n}", tile.channels, wide) for n in range(count)]

    @property
    def reads_input(self) -> bool:
        """Whether what stands in the padded strip is x as it is, where that is inside."""
        value = self.definition[PAD].body.value.args[1]
        if isinstance(value, tirx.Cast):
            value = value.value
        return isinstance(value, TensorLoad) and value.source.same_as(self.x)

    def input_at(self, place: list[Any]) -> Any:
        """What stands in the padded strip at ``place``, where that is inside the input: of x, or of
        a pointwise operator before the layer."""
        pad = self.definition[PAD]
        _, inside, _ = pad.body.value.args
        values = dict(zip((axis.var for axis in pad.iter_vars), place, strict=True))
        return tvm_ffi.structural_map(inside, (tirx.Var, lambda var: values.get(var, var)))

    @property
    def buffers(self) -> list[Any]:
        """What a strip needs besides input, weights and output."""
        layout = self.layout
        scratch = [self.rows, self.transform, self.products, self.outputs]
        if layout.d.points > 1:
            scratch.append(self.spread)
        if layout.h.points > 1:
            scratch += [self.columns, self.inverted]
        scratch += [self.samples, self.following] if layout.deals_in_registers else [self.dealt]
        return [*scratch, self.line, self.edge]

    @property
    def in_registers(self) -> list[Any]:
        """What a register tile needs."""
        return self.accumulators + ([] if self.copied is None else [self.lane_weights])

    def keep_pitch(self) -> list[tirx.Stmt]:
        """Nothing that runs. TVM cuts a buffer to what is touched, and with it the space between
        rows that ``Layout.pitch`` and one row more keep a power of two away from each other; it
        keeps the size of one whose address is taken."""
        return [tirx.Evaluate(buffer.data) for buffer in (self.transform, self.products)]

    def clear(self, buffer: Any, first: int, last: int, *row: Any, later: Any = 0) -> tirx.Stmt:
        """for u, v: buffer[u, v, row, later + first:last] = 0."""
        u, v = (self.loop(name, buffer.shape[at]) for at, name in enumerate("uv"))
        beyond = self.loop("tau", last - first)
        place = [u.loop_var, v.loop_var, *row, later + first + beyond.loop_var]
        zeros = tirx.BufferStore(buffer, tirx.const(0, ACCUMULATE_DTYPE), place)
        return edit.rebuild([u, v, beyond], zeros)

    def clear_reach(self) -> list[tirx.Stmt]:
        """Transformed tiles beyond the strip's, which products are computed from, too; or none."""
        layout = self.layout
        if layout.reach >= layout.read_tiles:
            return []
        channel, k = self.loop("ic", layout.group_inputs), self.loop("k", layout.d.points)
        span, later = (layout.reach, layout.read_tiles), k.loop_var * layout.point_tiles
        beyond = self.clear(self.transform, *span, channel.loop_var, later=later)
        return [edit.rebuild([channel, k], beyond)]

    def clear_dealt(self, buffer: Any) -> list[tirx.Stmt]:
        """Samples that are dealt to no tile, are read beside those of the last, and never used.

        Memory that nobody wrote may hold slow denormal numbers.
        """
        first, end = self.layout.chunks * self.lanes, self.layout.spread
        return [] if first == end else [self.clear(buffer, first, end)]

    def memory(self, name: str, *shape: int) -> Any:
        """A buffer in the workspace of the thread, whatever its size.

        That is where TVM puts the scope "local" on a CPU. In the default scope it may share the
        storage of the accumulators or of the line, which LLVM then cannot keep in registers:
        eight stores in each turn of the reduction.
        """
        return self._buffer(name, shape, "local")

    def registers(self, name: str, *shape: int) -> Any:
        """A buffer that is on the stack if it has less than 1 KiB, so that LLVM removes it."""
        return self._buffer(name, shape, "global")

    def _buffer(self, name: str, shape: tuple[int, ...], scope: str) -> Any:
        sizes = [tirx.IntImm(self.index, n) for n in shape]
        return tirx.decl_buffer(sizes, ACCUMULATE_DTYPE, name=name, scope=scope)

    def loop(self, name: str, extent: Any, kind: Any = tirx.ForKind.SERIAL) -> tirx.For:
        return edit.loop(name, self.index, extent, kind)

    def load(self, buffer: Any, place: list[Any]) -> Any:
        return tirx.BufferLoad(buffer, self._vector(place))

    def put(self, buffer: Any, place: list[Any], value: Any) -> tirx.Stmt:
        return tirx.BufferStore(buffer, value, self._vector(place))

    def _vector(self, place: list[Any]) -> list[Any]:
        """Indices of a vector that starts at ``place``."""
        indices = [tirx.IntImm(self.index, p) if isinstance(p, int) else p for p in place]
        indices[-1] = edit.ramp(indices[-1], self.lanes)
        return indices


def product_at(axis: WinogradAxis, point: Any, phase: Any) -> Any:
    """A phase's product at a point that is an expression."""
    if axis.filter.phases == 1:
        return point
    if axis.filter.late:
        return axis.product(point, phase)
    product = axis.product(1, phase) + (point - 1) * axis.filter.sharing
    return tirx.Select(point == 0, edit.zero_like(product), product)
