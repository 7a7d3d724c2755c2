"""Rows of bytes as words, and rows of results: what products of matrices of bytes share."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.integer.products import add_products
from tvm_deconv.schedules.cpu.integer.registers import Registers
from tvm_deconv.schedules.cpu.integer.storing import Result
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import places, type_of

from .tile import Tiled


def pack_row(dot: Dot, dtype: str, inputs: int, x: Any, source: Any, packed: Any, to: Any) -> None:
    """``inputs`` bytes of x from ``source`` on as words from ``to`` on, shifted and widened.

    Elements of the last word that there are no bytes for are 0.
    """
    group, whole = dot.group, inputs // dot.group
    vectors = whole // dot.lanes

    def words(first: Any, count: int) -> None:
        value = x[places(source + first * group, count * group)]
        T.buffer_store(packed, _words(dot, dtype, value, count), [places(to + first, count)])

    with T.serial(index(0), index(vectors)) as vector:
        words(vector * dot.lanes, dot.lanes)
    with T.serial(index(vectors * dot.lanes), index(whole)) as one:
        words(one, 1)
    if inputs % group:
        shift, total = dot.shift(dtype), None
        for i in range(inputs % group):
            part = element(dot, x[source + whole * group + i], shift, 1) << i * dot.bits
            total = part if total is None else total | part
        T.buffer_store(packed, total, [to + whole])


def _words(dot: Dot, dtype: str, value: Any, count: int) -> Any:
    """``count`` words of a vector of bytes that lie side by side."""
    lanes = count * dot.group
    if dot.bits > 8:
        wide = tirx.Cast(type_of(f"int{dot.bits}", lanes), value)
        return wide if dot.group == 1 else tirx.reinterpret(type_of(dot.word, count), wide)
    words = tirx.reinterpret(type_of(dot.word, count), value)
    if dot.shift(dtype):
        # 128 more or less is the other highest bit.
        flipped = np.array(0x80808080, "uint32").view("int32").item()
        words = words ^ tirx.const(flipped, type_of(dot.word, count))
    return words


def element(dot: Dot, value: Any, shift: int, lanes: int) -> Any:
    """Bytes as the lowest elements of words, with ``shift`` added."""
    kind = type_of(dot.word, lanes)
    wide = tirx.Cast(kind, value)
    if shift:
        wide = wide + tirx.const(shift, kind)
    if dot.bits < dot.word_bits:
        wide = wide & tirx.const((1 << dot.bits) - 1, kind)
    return wide


def add_words(
    kernel: Tiled, sums: Registers, packed: Any, starts: Sequence[Any], words: Any, of: Any
) -> None:
    """Add the products of rows of ``packed`` and a tile of columns to ``sums`` [row, vector].

    A row begins at each of ``starts``; ``words`` are [tile of columns][word of k][column], of which
    the tile ``of`` is meant.
    """
    lanes = kernel.dot.lanes
    with T.serial(index(0), index(kernel.depth)) as word:
        place = T.bind((of * kernel.depth + word) * kernel.wide)
        vectors = range(kernel.tile.vectors)
        weights = [T.bind(words[ramp(place + v * lanes, lanes)]) for v in vectors]
        for row, start in enumerate(starts):
            x = T.bind(tirx.Broadcast(packed[start + word], lanes))
            for v, weight in enumerate(weights):
                sums[row, v] = add_products(kernel.dot, sums[row, v], x, weight)


def store_columns(
    result: Result, value: Any, line: Any, column: Any, outputs: Any, wide: int
) -> None:
    """A vector of a row from ``column`` on, of which a part may be behind the last of ``outputs``.

    The row begins at ``line`` of the flat ``result``; a tile has ``wide`` columns.
    """
    lanes = value.ty.dtype.lanes

    def write(own: Any, first: Any, lanes: int) -> None:
        result.write(own, [places(first, lanes)], lanes)

    if isinstance(outputs, int) and outputs % wide == 0:
        write(value, line + column, lanes)
        return
    with T.If(column + lanes <= outputs):
        with T.Then():
            write(value, line + column, lanes)
        with T.Else():
            part = T.alloc_buffer((index(lanes),), result.of_store.store.dtype)
            T.buffer_store(part, value, [ramp(index(0), lanes)])
            with T.serial(index(0), tirx.max(outputs - column, index(0))) as i:
                write(part[i], line + column + i, 1)
