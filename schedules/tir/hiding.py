"""Numbers that TVM's arithmetic or LLVM had better not see through.

- *What a number is made of*, from TVM (``some_number``): it puts formulas back where their names
  are read.
- *How often a loop turns*, from LLVM (``of_any_length``): it writes the loop out, and all in it.
- *The same of the hottest loops*, from LLVM (``unforeseen``): it hoists what few turns load, and
  spills.

LLVM drops ``umax(value, 0)``, since no unsigned number is less than 0; TVM does not look into it. A
number that LLVM is not to know has to come from memory, or from an argument: a size.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from . import edit


def some_number(value: Any) -> Any:
    """``value``, an integer, of which TVM sees no more than that it is one."""
    return tirx.call_llvm_intrin(value.ty.dtype, "llvm.umax", value, edit.zero_like(value))


def opaque(value: Any) -> Any:
    """``some_number`` under a name, within an ``IRBuilder``.

    In a tile that is written out, the formulas of free sizes would else stand in each load and
    store, and every pass after it would take its time for all of them.
    """
    return T.bind(some_number(edit.index(value)))


def of_any_length(count: int, shape: Sequence[Any]) -> Any:
    """``count``, the turns of a loop; with a free size in ``shape`` LLVM takes it for any number.

    Written out, loops stand several times over for what of the free sizes stays the same: half of a
    kernel's code.
    """
    free = next((size for size in reversed(shape) if not isinstance(size, int | tirx.IntImm)), None)
    if free is None or count == 1:
        return count
    number = edit.const_like(free, count)
    return tirx.min(number, free * number)


def unforeseen(value: int, read: Any) -> Any:
    """``value``, which is what is ``read`` of memory, too: LLVM does not know how much it is."""
    return tirx.call_llvm_intrin("int64", "llvm.umax", edit.index(value), tirx.Cast("int64", read))
