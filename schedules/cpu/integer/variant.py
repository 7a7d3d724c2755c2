"""``integer``: the kernel of bytes as a choice, a tuner and a log see it.

A layer of bytes has a dtype of two words, those of its input and of its weights: ``uint8xint8``,
``int8xint16``. What multiplies them is the machine's.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

from tvm import tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes, Space

from .kernel import Integer, Store
from .space import TileSpace
from .tile import Tile, choose_tile, refusal, tile_cycles
from .write import write

# The name of this way to compute, where those of float32 have theirs.
INTEGER = "integer"
_DTYPE = re.compile("(u?int8)x(int8|int16)")


def dtype_of_layer(data: str, weight: str) -> str:
    """The dtype of a layer of bytes ``data`` by weights of int8 or int16."""
    return f"{data}x{weight}"


def operands_of(dtype: str) -> tuple[str, str] | None:
    """The dtypes of input and weights of a layer of bytes; None for one of floats."""
    found = _DTYPE.fullmatch(dtype)
    return found and (found[1], found[2])


@dataclass(frozen=True)
class IntegerVariant:
    """Products by ``dot``, with the interface of a ``schedules.variant.Algorithm``."""

    dot: Dot

    name: ClassVar[str] = INTEGER
    for_volumes: ClassVar[bool] = False
    parameters: ClassVar[type] = Tile

    @property
    def space(self) -> Space:
        return TileSpace(self.dot)

    # As of a ``Variant``, the machine is one of the kind that it is for.
    def choose(self, conv: ConvTranspose2d, sizes: Sizes, machine: Any) -> Tile:
        return choose_tile(conv, self.dot, sizes, machine)

    def cycles(self, conv: ConvTranspose2d, sizes: Sizes, parameters: Tile, machine: Any) -> float:
        return tile_cycles(conv, self.dot, sizes, parameters, machine)

    def weight_dtype(self, dtype: str) -> str:
        return self.dot.word

    def packed_bytes(self, conv: ConvTranspose2d, parameters: Tile, dtype: str) -> int:
        """Of the weights."""
        return self.integer(conv, parameters, dtype).words * self.dot.word_bits // 8

    def cannot(self, conv: ConvTranspose2d) -> str | None:
        return refusal(conv, self.dot)

    def integer(self, conv: ConvTranspose2d, parameters: Any, dtype: str) -> Any:
        """The kernel that stores bytes like those of its input, of a layer of ``dtype``.

        An ``Integer``, or one of another form.
        """
        operands = operands_of(dtype)
        assert operands is not None, dtype
        return Integer(conv, operands[0], self.dot, parameters, Store(operands[0]))

    def kernel(
        self, conv: ConvTranspose2d, parameters: Tile, dtype: str, shape: Sequence[int]
    ) -> tirx.PrimFunc:
        """The function of ``integer`` for an input of ``shape``."""
        return write(self.integer(conv, parameters, dtype), shape)


def integer_variant(machine: CpuMachine, weight: str) -> IntegerVariant:
    """What multiplies bytes by weights of this dtype."""
    return IntegerVariant(machine.narrow if weight == "int8" else machine.wide)
