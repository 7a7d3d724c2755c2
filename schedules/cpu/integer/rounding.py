"""Float32 rounded to bytes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir.edit import interleaved
from tvm_deconv.schedules.tir.writing import broadcast, type_of

# A float32 whose unit is 1: what is added to it is rounded to an integer, half to even.
_ROUNDS = 1.5 * 2**23
# Bytes of words that lanes of int32 hold, the widest first.
_IN_WORDS = (4, 2)


def rounded_bytes(values: Any, zero_points: Any, dtype: str, lanes: int) -> Any:
    """``values`` of float32, which are bytes with the ``zero_points`` of int32 added."""
    integers = rounded_integers(values, lanes) + zero_points
    return tirx.Cast(type_of(dtype, lanes), integers)


def rounded_integers(values: Any, lanes: int) -> Any:
    """``values`` of float32 as int32, of which the lowest byte is that of the integer."""
    shifted = values + broadcast(tirx.const(_ROUNDS, "float32"), lanes)
    return tirx.reinterpret(type_of("int32", lanes), shifted)


def interleaved_bytes(integers: Sequence[Any], dtype: str, lanes: int) -> Any:
    """The lowest bytes of vectors of int32, as ``interleaved`` has them.

    Four or two of them make a word of their lane, without narrowing each and a shuffle. Of AVX-512
    a layer of 2 channels to 64 of 256x256 took 1.7 ms, not 1.9, and one of 64 to 64 of 128x128
    behind a resize by 2 2.25, not 2.5 (one thread of a Xeon beside other work).
    """
    for size in _IN_WORDS:
        if len(integers) % size == 0:
            words = [
                _word(integers[first : first + size], lanes)
                for first in range(0, len(integers), size)
            ]
            kind = type_of(f"int{8 * size}", lanes)
            made = interleaved([tirx.Cast(kind, word) for word in words], lanes)
            return tirx.reinterpret(type_of(dtype, lanes * len(integers)), made)
    return interleaved([tirx.Cast(type_of(dtype, lanes), one) for one in integers], lanes)


def _word(integers: Sequence[Any], lanes: int) -> Any:
    """The lowest bytes of several as one number of their lane; what is above them is anything."""
    kind, word = type_of("int32", lanes), None
    for i, part in enumerate(integers):
        if i < len(integers) - 1:
            part = part & tirx.const(255, kind)
        part = part << tirx.const(8 * i, kind) if i else part
        word = part if word is None else word | part
    return word
