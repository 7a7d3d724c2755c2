"""Products of integers in TensorIR: the instruction that a ``Dot`` names, and its weights."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.tir.edit import shuffle
from tvm_deconv.schedules.tir.writing import places


def add_products(dot: Dot, sums: Any, x: Any, w: Any) -> Any:
    """``sums`` and the products; vectors of int32, the operands of words."""
    if not dot.intrinsic:
        kind = f"int32x{dot.lanes}"
        return sums + tirx.Cast(kind, x) * tirx.Cast(kind, w)
    kind = f"int{dot.bits}x{dot.lanes * dot.group}"
    x, w = (tirx.reinterpret(kind, words) for words in (x, w))
    number = llvm.intrinsic(dot.intrinsic)
    operands = [sums, x, w] if dot.adds else [x, w]
    made = tirx.call_llvm_pure_intrin(f"int32x{dot.lanes}", number, *operands)
    return made if dot.adds else sums + made


def weights_of(dot: Dot, words: Any, first: Any, count: int) -> Iterator[Any]:
    """``count`` words from ``first`` on, each in all lanes; loaded when they are asked for."""
    loaded = None
    for i in range(count):
        if i % dot.weights == 0:
            place = places(first + i, dot.weights)
            loaded = words[place] if dot.weights == 1 else T.bind(words[place])
        if dot.weights == 1:
            yield tirx.Broadcast(loaded, dot.lanes)
        else:
            yield shuffle([loaded], [i % dot.weights] * dot.lanes)
