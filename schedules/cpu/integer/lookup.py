"""Bytes to bytes by a table: any function of one byte, at the speed of a copy.

AVX-512 VBMI looks 64 bytes up in 128 others (``vpermi2b``); two of them and a choice by the highest
bit of the index look them up in 256. Measured on Sapphire Rapids, one thread, 64 channels of 224 x
224: 0.21 ms, where a tanh takes 2.4 ms and a PReLU 0.8.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import IRBuilder
from tvm.script.ir_builder import tirx as T
from tvm.target import Target

from tvm_deconv.schedules import llvm

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
    sizes = [tirx.const(size, "int64") if isinstance(size, int) else size for size in shape]
    batch, count, *rest = sizes
    inner: Any = tirx.const(1, "int64")
    for size in rest:
        inner = inner * size
    with IRBuilder() as builder, T.prim_func(s_tir=True):
        T.func_attr({"tirx.noalias": True, "tirx.is_scheduled": True})
        source, result = dtypes
        x = T.match_buffer(T.arg("x", T.handle()), sizes, source)
        table = T.match_buffer(T.arg("table", T.handle()), (channels, 256), result)
        y = T.match_buffer(T.arg("y", T.handle()), sizes, result)
        flat_x, flat_y = (
            T.decl_buffer((batch * count * inner,), kind, data=buffer.data)
            for kind, buffer in ((source, x), (result, y))
        )
        pieces = T.bind(tirx.ceildiv(inner, tirx.const(_PIECE, "int64")))
        with T.parallel(tirx.const(0, "int64"), batch * count * pieces) as step:
            row, begin = T.bind(step // pieces), T.bind(step % pieces * _PIECE)
            of = T.bind(row % count) if channels > 1 else tirx.const(0, "int64")
            size = T.bind(tirx.min(inner - begin, tirx.const(_PIECE, "int64")))
            at = T.bind(row * inner + begin)
            low, high = (T.bind(table[of, _ramp(half * _HALF)]) for half in range(2))
            more_low, more_high = (T.bind(table[of, _ramp(h * _HALF + _LANES)]) for h in range(2))
            with T.serial(tirx.const(0, "int64"), size // _LANES) as v:
                index = T.bind(_bits(flat_x[_ramp(at + v * _LANES)], "int8"))
                value = tirx.Select(
                    index < tirx.const(0, f"int8x{_LANES}"),
                    _looked_up(high, index, more_high),
                    _looked_up(low, index, more_low),
                )
                T.buffer_store(flat_y, _bits(value, result), [_ramp(at + v * _LANES)])
            with T.serial(tirx.const(0, "int64"), size % _LANES) as i:
                place = T.bind(at + size - size % _LANES + i)
                index = tirx.Cast("int64", tirx.reinterpret("uint8", flat_x[place]))
                T.buffer_store(flat_y, table[of, index], [place])
    return builder.get()


def _looked_up(first: Any, index: Any, second: Any) -> Any:
    number = llvm.intrinsic("llvm.x86.avx512.vpermi2var.qi.512")
    operands = _bits(first, "int8"), index, _bits(second, "int8")
    return tirx.call_llvm_pure_intrin(f"int8x{_LANES}", number, *operands)


def _bits(value: Any, dtype: str) -> Any:
    return tirx.reinterpret(f"{dtype}x{_LANES}", value)


def _ramp(begin: Any) -> Any:
    begin = tirx.const(begin, "int64") if isinstance(begin, int) else begin
    return tirx.Ramp(begin, tirx.const(1, "int64"), _LANES)
