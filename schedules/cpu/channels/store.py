"""The sums of a tile of channels, transposed to rows, and all that is pointwise behind them."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.elements import Elements
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.squares import transposed
from tvm_deconv.schedules.tir.writing import in_halves, lane_by_lane, named, places, simplified

from .strip import Strip


def store_tile(strip: Strip, elements: Elements, number: Any, place: Any) -> None:
    """All rows of the ``number``-th tile of channels, whose sums begin at the pixel ``place``."""
    tile, conv, lanes = strip.tile, strip.conv, strip.tile.lanes
    _, _, rows_out, columns_out = strip.out.shape
    with (
        T.serial(index(0), index(tile.whole_rows)) as y,
        T.serial(index(0), index(conv.h.stride)) as fh,
        T.serial(index(0), index(tile.vectors)) as v,
    ):
        oh = named((strip.top + y) * conv.h.stride + fh)
        first = named(number * tile.channels + v * lanes)
        with T.If(tirx.all(oh < rows_out, first < conv.group_outputs)), T.Then():
            row = named((y * conv.h.stride + fh) * strip.row_of_sums + place)
            across = named(strip.row_of_sums + lanes)
            with T.serial(index(0), tirx.ceildiv(columns_out, index(lanes))) as square:
                begin = named(((row + square * lanes) * tile.vectors + v) * lanes)
                pixels = [
                    T.bind(strip.sums[places(begin + i * tile.channels, lanes)])
                    for i in range(lanes)
                ]
                for i, line in enumerate(transposed(pixels, lanes)):
                    to = across * i + square * lanes
                    T.buffer_store(strip.lines, line, [places(to, lanes)])
            left = tirx.min(index(lanes), conv.group_outputs - first)
            with T.serial(index(0), left) as channel:
                c = named(strip.group * conv.group_outputs + first + channel)
                _store_row(strip, elements, (c, oh), named(across * channel))


def _store_row(strip: Strip, elements: Elements, at: tuple[Any, Any], line: Any) -> None:
    """A row of the output: whole vectors, then smaller ones, or single columns."""
    lanes, width = strip.tile.lanes, strip.out.shape[3]

    def columns(first: Any, lanes: int) -> None:
        def element(lane: Any) -> None:
            ow = first + lane
            elements.store((strip.batch, *at, ow), strip.lines[line + ow])

        lane_by_lane(lanes, element)

    whole = simplified(width // lanes)
    with T.serial(index(0), whole) as vector:
        columns(vector * lanes, lanes)
    done = whole * lanes
    if not isinstance(width, tirx.IntImm):
        with T.serial(index(0), width - done) as rest:
            columns(done + rest, 1)
        return
    done = int(width) // lanes * lanes
    for first, size in in_halves(int(width) - done, lanes):
        columns(index(done + first), size)
