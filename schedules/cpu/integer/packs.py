"""Float32 rounded to bytes by the instructions of x86 that pack two vectors in one, and saturate.

Four vectors of numbers become one of bytes: rounded to int32, packed to int16, the zero point added
and packed to bytes, all held at the ends of their types. So nothing has to hold numbers above the
least byte; what is too large for int32 would become its least number, so numbers are held below.
A pack puts the runs of 16 bytes that registers consist of side by side, each by itself:

    run q of the bytes: 4 lanes of the first vector from lane 4 q on, then of the second, ...

which one shuffle puts into any other order. For 64 bytes these are 23 instructions, 27 to 32 where
each vector is held, rounded and narrowed by itself: a sub-pixel layer of factor 3, 28 channels to 3
of 180x320, takes 1.06 ms, not 1.14, one of 32 channels to 32 of 96x96 behind a resize by 2 0.38,
not 0.44 (one thread of an Intel Xeon beside other work).
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.tir.edit import shuffle
from tvm_deconv.schedules.tir.writing import type_of

# Vectors that become one, and lanes of each in a run of bytes.
TOGETHER, _RUN = 4, 4
# By lanes of int32: what rounds, and what packs: LLVM's names.
_ROUND = {
    4: "llvm.x86.sse2.cvtps2dq",
    8: "llvm.x86.avx.cvt.ps2dq.256",
    16: "llvm.x86.avx512.mask.cvtps2dq.512",
}
_PACK = {
    4: "llvm.x86.sse2.{}.128",
    8: "llvm.x86.avx2.{}",
    16: "llvm.x86.avx512.{}.512",
}
_TO_BYTES = {"uint8": "packuswb", "int8": "packsswb"}
# In the mode of the processor, half to even.
_CURRENT = 4


def packed(values: Sequence[Any], zero_point: Any, least: Any, dtype: str, lanes: int) -> Any:
    """Bytes of ``dtype`` of four vectors of ``lanes`` float32, in the order above.

    ``least`` is the least byte that there may be. What is stored is ``values`` plus ``zero_point``.
    """
    integers = [_rounded(value, lanes) for value in values]
    wide = f"int16x{2 * lanes}"
    zero_points = tirx.Broadcast(tirx.Cast("int16", zero_point), 2 * lanes)
    halves = [
        _call(wide, "llvm.sadd.sat", _pack(wide, "packssdw", *integers[i : i + 2]), zero_points)
        for i in (0, 2)
    ]
    kind = f"{dtype}x{4 * lanes}"
    return tirx.max(_pack(kind, _TO_BYTES[dtype], *halves), tirx.Broadcast(least, 4 * lanes))


def place(vector: int, lane: int) -> int:
    """Where a lane of one of the four is in ``packed``."""
    run, inside = divmod(lane, _RUN)
    return (run * TOGETHER + vector) * _RUN + inside


def in_rows(vectors: Sequence[Any], rows: Sequence[int], lanes: int, behind: int) -> list[Any]:
    """``vectors`` of ``packed`` as ``rows`` of so many each, the vectors of one interleaved.

    So many rows lie one ``behind`` the other, as one vector.
    """
    wide = TOGETHER * lanes
    firsts = [0, *accumulate(rows)]
    orders = [
        [
            number // TOGETHER * wide + place(number % TOGETHER, lane)
            for lane in range(lanes)
            for number in range(first, first + count)
        ]
        for first, count in zip(firsts, rows, strict=False)
    ]
    made = []
    for i in range(0, len(rows), behind):
        order = [one for own in orders[i : i + behind] for one in own]
        begin, end = min(order) // wide, max(order) // wide + 1
        made.append(shuffle(vectors[begin:end], [one - begin * wide for one in order]))
    return made


def _rounded(value: Any, lanes: int) -> Any:
    kind, own = type_of("int32", lanes), [value]
    if lanes == 16:
        # All lanes, of which none keeps another value.
        own += [tirx.Broadcast(tirx.const(0, "int32"), lanes), tirx.const(-1, "int16")]
        own.append(tirx.const(_CURRENT, "int32"))
    return _call(kind, _ROUND[lanes], *own)


def _pack(kind: str, name: str, first: Any, second: Any) -> Any:
    lanes = first.ty.dtype.lanes
    # Of vectors of int32, or of twice as many of int16.
    by = lanes if name == "packssdw" else lanes // 2
    return T.bind(_call(kind, _PACK[by].format(name), first, second))


def _call(kind: str, name: str, *operands: Any) -> Any:
    return tirx.call_llvm_pure_intrin(kind, llvm.intrinsic(name), *operands)
