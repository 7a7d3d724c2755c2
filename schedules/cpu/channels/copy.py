"""A strip's input, with a border of zeros, in scratch."""

from __future__ import annotations

from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cache_lines import LINE
from tvm_deconv.schedules.tir import edit
from tvm_deconv.schedules.tir.edit import index
from tvm_deconv.schedules.tir.writing import fill, named

from .reach import row_pitch
from .strip import Strip

# Channels of the input that are fetched ahead of those that are copied.
_CHANNELS_AHEAD = 4


def copy_input(strip: Strip) -> None:
    """The rows that are read, with zeros around the input."""
    conv, x, copied, count = strip.conv, strip.x, strip.copied, strip.copied_columns
    down, inputs = conv.step[0], conv.group_inputs
    _, _, height, width = x.shape
    above, left = strip.above, strip.reach.first_column
    before, after = edit.border_of(index(left), count, width)
    before, after = named(before), named(after)
    zero = tirx.const(0, "float32")
    # Rows of the input that lie between those of two outputs and that no tap reads, are none.
    pitch = row_pitch(conv)
    with (
        T.serial(index(0), index(inputs)) as channel,
        T.serial(index(0), index(strip.reach.copied_rows(strip.tile.whole_rows))) as row,
    ):
        to = named((row * inputs + channel) * count)
        inside = row if pitch == down else row // pitch * down + row % pitch
        y = named(strip.top * down + above + inside)
        place = strip.group * inputs + channel
        with T.If(tirx.all(y >= 0, y < height)):
            with T.Then():
                if inputs > _CHANNELS_AHEAD:
                    _fetch(strip, place + _CHANNELS_AHEAD, y)
                fill(copied, zero, to, before)
                with T.serial(index(0), after - before) as i:
                    value = x[strip.batch, place, y, before + i + left].astype("float32")
                    T.buffer_store(copied, value, [to + before + i])
                fill(copied, zero, to + after, count - after)
            with T.Else():
                fill(copied, zero, to, count)


def _fetch(strip: Strip, channel: Any, y: Any) -> None:
    """Fetch a row of the input; beyond it that does no harm."""
    x = strip.x
    with T.serial(index(0), tirx.ceildiv(x.shape[3], index(LINE))) as line:
        T.evaluate(edit.prefetch(x[strip.batch, channel, y, line * LINE]).value)
