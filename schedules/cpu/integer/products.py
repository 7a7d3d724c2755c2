"""Products of integers in TensorIR: the instruction that a ``Dot`` names."""

from __future__ import annotations

from typing import Any

from tvm import tirx

from tvm_deconv.schedules import llvm
from tvm_deconv.schedules.cpu.dot import Dot


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
