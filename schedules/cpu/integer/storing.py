"""What the kernels of bytes store of a vector of sums, in TensorIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, interleaved
from tvm_deconv.schedules.tir.writing import broadcast, type_of

from .kernel import NUMBERS, SUM_VALUES, Store, Sum
from .rounding import interleaved_bytes, rounded_bytes, rounded_integers


@dataclass(frozen=True)
class StoreParameters:
    """A store, and what it reads of a kernel's arguments: buffers, and the number ``zero_point``.

    The ``vector`` of a sum gives what a buffer has for its lanes.
    """

    store: Store
    scales: Any
    numbers: Any
    shifts: Any
    slopes: Any
    zero_point: Any

    @staticmethod
    def of(
        store: Store,
        parameter: Callable[[str, Sequence[Any], str], Any],
        values: Sequence[Any],
        zero_point: Any,
    ) -> StoreParameters:
        """The next ones: scales, numbers[, shifts][, slopes], each but numbers of ``values``."""
        scales = parameter("scales", values, "float32")
        numbers = parameter("numbers", (index(NUMBERS),), "float32")
        shifts = parameter("shifts", values, "float32") if store.has_shift else None
        slopes = parameter("slopes", values, "float32") if store.has_slope else None
        return StoreParameters(store, scales, numbers, shifts, slopes, zero_point)

    def stored(self, total: Any, vector: Callable[[Any], Any], lanes: int) -> Any:
        """What is stored of the int32 ``total``."""
        store, value = self.store, self._bounded(total, vector, lanes)
        if store.dtype == "float32":
            return value
        if store.is_value:
            return tirx.round(value) * tirx.Broadcast(self.numbers[index(2)], lanes)
        return rounded_bytes(value, broadcast(self.zero_point, lanes), store.dtype, lanes)

    def stored_interleaved(
        self, totals: Sequence[tuple[Any, Callable[[Any], Any]]], lanes: int
    ) -> Any:
        """What is stored of several, each with its ``vector``, side by side (``interleaved``)."""
        if self.store.own == "float32":
            return interleaved([self.stored(*one, lanes) for one in totals], lanes)
        zero_point = broadcast(self.zero_point, lanes)
        values = (self._bounded(*one, lanes) for one in totals)
        integers = [rounded_integers(value, lanes) + zero_point for value in values]
        return interleaved_bytes(integers, self.store.dtype, lanes)

    def _bounded(self, total: Any, vector: Callable[[Any], Any], lanes: int) -> Any:
        """What ``total`` stands for, in units of the result less its zero point, as float32."""
        kind = f"float32x{lanes}"
        value = tirx.Cast(kind, total) * vector(self.scales)
        if self.store.has_shift:
            value = value + vector(self.shifts)
        if self.store.has_slope:
            sloped = value * vector(self.slopes)
            value = tirx.Select(value < tirx.const(0, kind), sloped, value)
        low, high = (tirx.Broadcast(self.numbers[index(i)], lanes) for i in range(2))
        return tirx.min(tirx.max(value, low), high)


@dataclass(frozen=True)
class Result:
    """The last arguments: y and, where the store adds, ``other`` and ``values`` of a ``Sum``."""

    store: Store
    y: Any
    other: Any = None
    values: Any = None

    @staticmethod
    def of(
        store: Store, parameter: Callable[[str, Sequence[Any], str], Any], shape: Sequence[Any]
    ) -> Result:
        """[other, values, ]y as arguments; y and ``other`` are of ``shape``."""
        if store.sum is None:
            return Result(store, parameter("y", shape, store.result))
        other = parameter("other", shape, store.sum.other)
        values = parameter("values", (index(SUM_VALUES),), "float32")
        return Result(store, parameter("y", shape, store.result), other, values)

    def flat(self, size: Any) -> Result:
        """With y and ``other`` as lines of ``size`` elements."""
        y = flat(self.y, size)
        return replace(self, y=y, other=None if self.other is None else flat(self.other, size))

    def write(self, own: Any, at: Sequence[Any], lanes: int) -> None:
        """Store what comes of the sums alone, with what is added to it."""
        if self.store.sum is not None:
            own = _summed(self.store.sum, own, self.other[at], self.values, lanes)
        T.buffer_store(self.y, own, at)


def flat(buffer: Any, size: Any) -> Any:
    """A buffer's ``size`` elements as one line."""
    return T.decl_buffer((size,), str(buffer.ty.dtype), data=buffer.data)


def _summed(total: Sum, own: Any, other: Any, values: Any, lanes: int) -> Any:
    """``own`` bytes and ``other`` ones, added by the ``values`` of a ``Sum``."""

    def number(place: int) -> Any:
        return broadcast(values[index(place)], lanes)

    def moved(value: Any, place: int) -> Any:
        exact = tirx.Cast(type_of("int32", lanes), value)
        exact = tirx.Cast(type_of("float32", lanes), exact)
        return (exact - number(place)) * number(place + 1)

    value = moved(own, 0) + moved(other, 2)
    value = tirx.min(tirx.max(value, number(4)), number(5))
    rounded = tirx.Cast(type_of("int32", lanes), tirx.round(value) + number(6))
    return tirx.Cast(type_of(total.dtype, lanes), rounded)
