"""Products of integers in TensorIR: the instruction that a ``Dot`` names, and its weights."""

from __future__ import annotations

import operator
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.tir.edit import shuffle
from tvm_deconv.schedules.tir.writing import places


@dataclass(frozen=True)
class Modular:
    """A vector of integers of b bits, added up modulo 2^b.

    TVM tells LLVM of every sum and product of 32 bits that it does not overflow; not of shifts, and
    of nothing of fewer bits.
    """

    value: Any

    def __add__(self, other: Modular) -> Modular:
        return self._made("add", other)

    def __sub__(self, other: Modular) -> Modular:
        return self._made("sub", other)

    def __mul__(self, factor: int) -> Modular:
        kind = str(self.value.ty.dtype)
        if factor.bit_count() == 1:
            return Modular(self.value << tirx.const(factor.bit_length() - 1, kind))
        return self._made("mul", Modular(tirx.const(factor, kind)))

    def _made(self, operation: str, other: Modular) -> Modular:
        kind = self.value.ty.dtype
        if kind.bits < 32:
            plain = getattr(operator, operation)(self.value, other.value)
            return Modular(T.bind(plain))
        every = tirx.Broadcast(tirx.const(1, "bool"), kind.lanes)
        operands = [self.value, other.value, every, tirx.const(kind.lanes, "int32")]
        number = llvm.intrinsic(f"llvm.vp.{operation}")
        return Modular(T.bind(tirx.call_llvm_pure_intrin(str(kind), number, *operands)))


def add_products(dot: Dot, sums: Any, x: Any, w: Any, modular: bool = False) -> Any:
    """``sums`` and the products; vectors of int32, the operands of words.

    ``modular`` sums may be too large for int32.
    """

    def added(made: Any) -> Any:
        return (Modular(sums) + Modular(made)).value if modular else sums + made

    if not dot.intrinsic:
        kind = f"int32x{dot.lanes}"
        return added(tirx.Cast(kind, x) * tirx.Cast(kind, w))
    kind = f"int{dot.bits}x{dot.lanes * dot.group}"
    x, w = (tirx.reinterpret(kind, words) for words in (x, w))
    number = llvm.intrinsic(dot.intrinsic)
    operands = [sums, x, w] if dot.adds else [x, w]
    made = tirx.call_llvm_pure_intrin(f"int32x{dot.lanes}", number, *operands)
    return made if dot.adds else added(made)


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
