"""Bytes to bytes by a table: any function of one byte, at the speed of a copy.

AVX-512 VBMI looks 64 bytes up in 128 others (``vpermi2b``); two of them and a choice by the highest
bit of the index look them up in 256. Measured on Sapphire Rapids, one thread, 64 channels of 224 x
224: 0.21 ms, where a tanh takes 2.4 ms and a PReLU 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T
from tvm.target import Target

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.tir.edit import index, ramp
from tvm_deconv.schedules.tir.writing import (
    argument,
    in_vectors,
    known,
    named,
    places,
    scheduled_function,
)

_LANES = 64
_HALF = 128
# Bytes that a parallel step looks up, where there are fewer channels than that.
_PIECE = 1 << 15


def has_lookup(target: Target) -> bool:
    """Whether the target looks vectors of bytes up; loops over single ones would not pay."""
    return llvm.has_feature(target, "avx512vbmi")


def write_lookup(shape: Sequence[Any], dtypes: tuple[str, str], channels: int) -> tirx.PrimFunc:
    """x (N, C, ...) of ``shape``, table (channels, 256) by uint8, y: y[n, c, i] = table[c, x].

    ``dtypes`` are those of x, int8 or uint8, and of y; ``channels`` is C, or 1 for one table. x of
    int8 is looked up by its bits. A size is an int or a variable of its own.
    """
    return write_lookups([shape], [dtypes[0]], dtypes[1], [channels])


def write_lookups(
    shapes: Sequence[Sequence[Any]], dtypes: Sequence[str], result: str, channels: Sequence[int]
) -> tirx.PrimFunc:
    """Several such x, their tables, y: what is looked up of each, side by side along axis 1.

    One launch, where each of a Concat's inputs would have one and would be copied then.
    """
    sizes = [[index(size) for size in shape] for shape in shapes]
    total = sum((own[1] for own in sizes[1:]), sizes[0][1])
    with scheduled_function() as builder:
        given = [
            argument(f"x{i}", own, dtype)
            for i, (own, dtype) in enumerate(zip(sizes, dtypes, strict=True))
        ]
        tables = [argument(f"table{i}", (n, 256), result) for i, n in enumerate(channels)]
        y = argument("y", [sizes[0][0], total, *sizes[0][2:]], result)
        parts = [_Part(*one, y, result) for one in zip(given, tables, strict=True)]
        counts = [named(part.steps) for part in parts]
        with T.parallel(index(0), sum(counts[1:], counts[0])) as step:
            first, before = index(0), index(0)
            for part, count in zip(parts, counts, strict=True):
                if len(parts) == 1:
                    part.write(step, before)
                else:
                    with T.If(tirx.all(step >= first, step < first + count)), T.Then():
                        part.write(T.bind(step - first), before)
                first, before = first + count, before + part.x.shape[1]
    return builder.get()


class _Part:
    """What is looked up of one x.

    Both are read and written at indices of their own, so that each may be a part of a larger
    tensor; but one may go on behind a row, to the end of the map.
    """

    def __init__(self, x: Any, table: Any, y: Any, result: str) -> None:
        self.x, self.table, self.y, self.result = x, table, y, result
        maps = 2 if len(x.shape) > 3 else 1
        self.outer, inner = list(x.shape[:-maps]), list(x.shape[-maps:])
        self.inner = named(inner[0] * inner[1] if maps == 2 else inner[0])
        self.within = [index(0)] * (maps - 1)

    @property
    def steps(self) -> Any:
        """How many pieces there are."""
        maps: Any = tirx.ceildiv(self.inner, index(_PIECE))
        for size in self.outer:
            maps = maps * size
        return maps

    def write(self, step: Any, before: Any) -> None:
        """One piece; so many channels of y are ``before`` those of x."""
        pieces = T.bind(tirx.ceildiv(self.inner, index(_PIECE)))
        row, begin = T.bind(step // pieces), T.bind(step % pieces * _PIECE)
        at: list[Any] = []
        for size in reversed(self.outer):
            at.insert(0, T.bind(row % size))
            row = row // size
        size = T.bind(tirx.min(self.inner - begin, index(_PIECE)))
        of = at[1] if known(self.table.shape[0]) != 1 else index(0)
        low, more_low, high, more_high = (
            T.bind(self.table[of, ramp(first, _LANES)]) for first in range(0, 2 * _HALF, _LANES)
        )

        def look_up(first: Any, lanes: int) -> None:
            place = [*self.within, places(T.bind(begin + first), lanes)]
            read = [*at, *place]
            x, to = self.x[read], [at[0], at[1] + before, *at[2:], *place]
            if lanes == 1:
                byte = tirx.Cast("int64", tirx.reinterpret("uint8", x))
                T.buffer_store(self.y, self.table[of, byte], to)
                return
            bytes_ = T.bind(_bits(x, "int8"))
            value = tirx.Select(
                bytes_ < tirx.const(0, f"int8x{lanes}"),
                _looked_up(high, bytes_, more_high),
                _looked_up(low, bytes_, more_low),
            )
            T.buffer_store(self.y, _bits(value, self.result), to)

        in_vectors(size, _LANES, look_up)


def _looked_up(first: Any, index: Any, second: Any) -> Any:
    number = llvm.intrinsic("llvm.x86.avx512.vpermi2var.qi.512")
    operands = _bits(first, "int8"), index, _bits(second, "int8")
    return tirx.call_llvm_pure_intrin(f"int8x{_LANES}", number, *operands)


def _bits(value: Any, dtype: str) -> Any:
    return tirx.reinterpret(f"{dtype}x{_LANES}", value)
