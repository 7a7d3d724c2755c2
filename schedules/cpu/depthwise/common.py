"""What the loop nests of ``depthwise`` have in common: pieces, channels, weights, stores."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.s_tir import Schedule
from tvm.script.ir_builder import tirx as T

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import PAD, PHASES
from tvm_deconv.schedules.cpu import steps
from tvm_deconv.schedules.cpu.elements import Elements
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.hiding import opaque
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.writing import (
    known,
    lane_by_lane,
    named,
    places,
    rewriting,
    simplified,
    type_of,
)

from .tile import DepthTile


def taps_of(axis: Axis, phase: int) -> list[int]:
    """Where the taps of a phase read, counted from the first sample that any phase reads."""
    return [tap.offset - axis.halo[0] for tap in axis.taps(phase)]


class DepthWriter(ABC):
    """Writes a function; one use each."""

    def __init__(self, func: tirx.PrimFunc, conv: ConvTranspose2d, tile: DepthTile) -> None:
        sch = Schedule(func, enable_check=False)
        name = steps.inline_epilogue(sch, keep=(PAD, PHASES))
        self.store_block = edit.find_block(sch.mod["main"].body, name).block
        self.func, self.conv, self.tile = func, conv, tile
        self.batch, _, self.height, self.width = func.params[0].ty.shape
        _, _, self.rows_out, self.columns_out = func.params[-1].ty.shape
        down, right = conv.step
        self.block_rows = simplified(tirx.ceildiv(index(conv.h.blocks(self.height)), index(down)))
        columns = index(conv.w.blocks(self.width))
        self.block_columns = simplified(tirx.ceildiv(columns, index(right)))

    def write(self) -> tirx.PrimFunc:
        """The scheduled function."""
        with rewriting(self.func) as (builder, buffers):
            self.x, self.weights = buffers[0][1], buffers[1][1]
            self.elements = Elements(self.store_block, buffers)
            self._pieces()
        return for_llvm(builder.get())

    @abstractmethod
    def strips(self) -> Any:
        """Parts of a map that are computed apart."""

    @abstractmethod
    def prepare(self) -> None:
        """What a piece needs once."""

    @abstractmethod
    def plane(self, batch: Any, channel: Any, strip: Any) -> None:
        """The outputs of an input channel, in one strip."""

    def _pieces(self) -> None:
        channels, planes = self.conv.in_channels, self.tile.planes
        strips = named(self.strips())
        chunks = -(-channels // planes)
        loop = T.parallel if self.tile.parallel else T.serial
        # A number of images that is not known has a loop of its own: with a piece divided twice by
        # sizes that are not known, TVM takes four times as long to compile the function.
        is_free = known(self.batch) is None
        images, inside = (self.batch, 1) if is_free else (1, self.batch)
        pieces = simplified(inside * chunks * strips)
        with T.serial(index(0), index(images)) as image, loop(index(0), pieces) as piece:
            # Remainders by a free number take TVM long wherever they stand.
            name = named if known(strips) is not None else opaque
            strip = name(piece % strips)
            chunk = name(piece // strips % chunks)
            batch = image if is_free else named(piece // strips // chunks)
            self.prepare()
            with T.serial(index(0), index(planes)) as k:
                channel = named(chunk * planes + k)
                if channels % planes == 0:
                    self.plane(batch, channel, strip)
                else:
                    with T.If(channel < channels), T.Then():
                        self.plane(batch, channel, strip)

    def weights_of(self, channel: Any, output: Any) -> dict[tuple[int, int, int, int], Any]:
        """The weights of an output channel of a group, by phase and tap (fh, fw, th, tw)."""
        h, w = self.conv.h, self.conv.w

        def weight(*tap: int) -> Any:
            place = (channel, output, *map(index, tap))
            return T.bind(self.weights[place])

        return {
            (fh, fw, th, tw): weight(fh, fw, th, tw)
            for fh in range(h.stride)
            for fw in range(w.stride)
            for th in range(len(h.taps(fh)))
            for tw in range(len(w.taps(fw)))
        }

    def load(self, place: Sequence[Any], lanes: int) -> Any:
        """A vector of the input in float32, from ``place`` (batch, channel, row, column) on."""
        *outer, column = place
        at = (*outer, places(column, lanes))
        value = self.x[at]
        if str(self.x.ty.dtype) == "float32":
            return value
        return tirx.Cast(type_of("float32", lanes), value)

    def store_lanes(self, place: Sequence[Any], register: Any, first: int, lanes: int) -> None:
        """``lanes`` outputs, from lane ``first`` of a register on."""
        *outer, column = place

        def element(lane: Any) -> None:
            self.elements.store((*outer, column + lane), register[lane + first])

        lane_by_lane(lanes, element)
