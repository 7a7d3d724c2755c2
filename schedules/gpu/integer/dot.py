"""What multiplies bytes on a GPU and adds the products up: an instruction, or a function.

A word of 32 bits holds ``group`` neighbouring channels of x at one pixel, or the weights of one tap
for them, and ``Dot`` adds their products to a sum of int32; nothing between saturates:

    sum + x[0] * w[0] + ... + x[group - 1] * w[group - 1]

x is int8 in every word: uint8 is shifted (``Dot.shift``), and ``kernel`` takes that back. Weights
are int8, four in a word, or int16, two: then the upper half of a word of x is empty.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import tvm
from tvm import tirx

from tvm_deconv.schedules.gpu.machine import GpuMachine

# The elements of x in a word.
X_BITS, WORD_BITS = 8, 32
_PAIRS_OF_CUDA = "__dp2a_lo"


@dataclass(frozen=True)
class Dot:
    """``function`` is what the source calls; weights are ``bits`` wide, ``group`` to a word."""

    name: str
    group: int
    function: str

    @property
    def bits(self) -> int:
        return WORD_BITS // self.group

    def shift(self, dtype: str) -> int:
        """What is added to x of ``dtype``, so that it is int8."""
        return {"uint8": -128, "int8": 0}[dtype]

    def term(self, x: Any, w: Any) -> Any:
        """The products alone, for a reduction, which adds them to its sum; then ``added``."""
        return tirx.call_pure_extern("int32", self.function, x, w, tirx.const(0, "int32"))

    def added(self, term: Any, total: Any) -> Any:
        """``total`` and a ``term``, in one call; None for what is no term."""
        name, *operands = (*term.args, None) if isinstance(term, tvm.ir.Call) else (None,)
        if getattr(name, "value", None) != self.function:
            return None
        x, w = operands[:2]
        # CUDA's function for pairs takes the wider operand first.
        first, second = (w, x) if self.function == _PAIRS_OF_CUDA else (x, w)
        return tirx.call_pure_extern("int32", self.function, first, second, total)

    def words(self, weights: np.ndarray) -> np.ndarray:
        """[..., ``group`` integers] as words: [...]."""
        elements = np.ascontiguousarray(weights.astype(f"<i{self.bits // 8}"))
        return elements.view("<i4")[..., 0]


# By ``GpuMachine.byte_products``: for weights of int8, and for those of int16.
_DOTS = {
    "dp4a": (Dot("dp4a", 4, "__dp4a"), Dot("dp2a", 2, _PAIRS_OF_CUDA)),
    "opencl": (Dot("dot", 4, "tvm_deconv_dot4"), Dot("dot", 2, "tvm_deconv_dot2")),
}


def dots_of(machine: GpuMachine) -> tuple[Dot, Dot] | None:
    """For weights of int8, and for those of int16; None where there are none."""
    return _DOTS.get(machine.byte_products)
