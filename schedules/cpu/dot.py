"""The instruction that multiplies integers and adds them up, by what a processor has.

Sums are vectors of int32, and what is multiplied are vectors of words, mostly of 32 bits, too. A
word of x holds ``group`` neighbouring channels of one pixel, a word of weights those of one tap,
and ``products`` adds their products to one sum:

    sums[lane] += x[lane][0] * w[0] + ... + x[lane][group - 1] * w[group - 1]

No step between saturates: AVX2's ``pmaddubsw`` would, so what has no instruction for bytes goes by
pairs of int16. ``x`` is shifted into the range of a word's elements when it is packed
(``Dot.shift``); ``kernel`` takes that back. ARM without dot products multiplies words of one int16
(``smlal``), twice as many at a time as of int32.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm.target import Target

from tvm_deconv.schedules import llvm

# LLVM's bytes and pairs are vectors of int8 and int16 since this version; before, of int32.
_LLVM_OF_TYPED_DOTS = 22


@dataclass(frozen=True)
class Dot:
    """``lanes`` sums at once; elements of ``bits`` bits, of which ``group`` make up a word.

    ``intrinsic`` is LLVM's name, empty for a product of words of ``word_bits``. ``adds`` says that
    it adds to its first operand. ``registers`` is how many vectors of sums there are room for.
    ``weights`` are loaded at once: on ARM an instruction takes one out of a vector, and to load a
    single one to all lanes takes an address of its own.
    """

    name: str
    lanes: int
    group: int
    registers: int
    intrinsic: str = ""
    adds: bool = True
    is_signed: bool = True
    word_bits: int = 32
    weights: int = 1

    @property
    def bits(self) -> int:
        return self.word_bits // self.group

    @property
    def word(self) -> str:
        """The dtype of a word."""
        return f"int{self.word_bits}"

    @property
    def packs(self) -> bool:
        """Whether two vectors are packed in one with saturation, by int16 and by bytes."""
        return self.intrinsic.startswith("llvm.x86.")

    @property
    def broadcasts(self) -> bool:
        """Whether it takes a weight from memory to all lanes while it multiplies: AVX-512 VNNI."""
        return self.packs and self.adds and self.registers == 32

    def shift(self, dtype: str) -> int:
        """What is added to x of ``dtype`` so that it fits an element: int8, or uint8, or wider."""
        if self.bits > 8:
            return 0
        return {("int8", False): 128, ("uint8", True): -128}.get((dtype, self.is_signed), 0)

    def weight_shift(self, dtype: str) -> int:
        """What is added to weights of ``dtype`` so that they fit an element: int8, or wider."""
        return -128 if dtype == "uint8" and self.bits == 8 else 0

    def words(self, weights: np.ndarray) -> np.ndarray:
        """[..., channels] of integers, a multiple of ``group``, as words."""
        kind, word = (f"<i{bits // 8}" for bits in (self.bits, self.word_bits))
        return np.ascontiguousarray(weights.astype(kind)).view(word)


# Without an instruction for it; of any processor.
PLAIN = Dot("plain", 4, 1, 16)


def dot_of(target: Target) -> Dot:
    """The fastest that LLVM makes for ``target``; a plain product of int32 at the least.

    A vector of ``smlal`` is two registers of sums: a register of int16 is multiplied in two halves.
    """

    def has(feature: str) -> bool:
        return llvm.has_feature(target, feature)

    typed = llvm.version() >= _LLVM_OF_TYPED_DOTS
    wide = has("avx512f") and has("avx512bw")
    if wide and has("avx512vnni") and typed:
        return Dot("vnni", 16, 4, 32, "llvm.x86.avx512.vpdpbusd.512", is_signed=False)
    if has("avxvnni") and typed:
        return Dot("avx-vnni", 8, 4, 16, "llvm.x86.avx512.vpdpbusd.256", is_signed=False)
    if has("neon") and has("dotprod"):
        return Dot("sdot", 4, 4, 32, "llvm.aarch64.neon.sdot", weights=4)
    return wide_dot_of(target)


def wide_dot_of(target: Target) -> Dot:
    """As ``dot_of``, for weights that do not fit into int8."""

    def has(feature: str) -> bool:
        return llvm.has_feature(target, feature)

    typed = llvm.version() >= _LLVM_OF_TYPED_DOTS
    wide = has("avx512f") and has("avx512bw")
    if wide and has("avx512vnni") and typed:
        return Dot("vnni", 16, 2, 32, "llvm.x86.avx512.vpdpwssd.512")
    if has("avxvnni") and typed:
        return Dot("avx-vnni", 8, 2, 16, "llvm.x86.avx512.vpdpwssd.256")
    if wide:
        return Dot("pairs", 16, 2, 32, "llvm.x86.avx512.pmaddw.d.512", adds=False)
    if has("avx2"):
        return Dot("pairs", 8, 2, 16, "llvm.x86.avx2.pmadd.wd", adds=False)
    if has("sse2"):
        return Dot("pairs", 4, 2, 16, "llvm.x86.sse2.pmadd.wd", adds=False)
    if has("neon"):
        return Dot("smlal", 8, 1, 16, word_bits=16, weights=8)
    return PLAIN
