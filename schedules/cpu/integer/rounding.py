"""Float32 rounded to bytes."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from tvm_deconv.schedules.tir.writing import broadcast, type_of

# A float32 whose unit is 1: what is added to it is rounded to an integer, half to even.
_ROUNDS = 1.5 * 2**23


def rounded_bytes(values: Any, zero_points: Any, dtype: str, lanes: int) -> Any:
    """``values`` of float32, which are bytes with the ``zero_points`` of int32 added."""
    shifted = values + broadcast(tirx.const(_ROUNDS, "float32"), lanes)
    # Of such a sum the lowest byte is that of the integer, and the rest is cut off.
    integers = tirx.reinterpret(type_of("int32", lanes), shifted)
    return tirx.Cast(type_of(dtype, lanes), integers + zero_points)
