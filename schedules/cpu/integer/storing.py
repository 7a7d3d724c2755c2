"""What the kernels of bytes store of a vector of sums, in TensorIR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeAlias

from tvm import tirx
from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.cpu.dot import Dot
from tvm_deconv.schedules.tir.edit import index, interleaved
from tvm_deconv.schedules.tir.writing import argument, broadcast, type_of

from .kernel import NUMBERS, SUM_VALUES, Store, Sum
from .packs import TOGETHER, in_rows, packed
from .rounding import interleaved_bytes, rounded_bytes, rounded_integers

# A vector of sums, and what gives for a buffer what it has for its lanes.
Total: TypeAlias = tuple[Any, Callable[[Any], Any]]


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
    def of(store: Store, values: Sequence[Any], zero_point: Any) -> StoreParameters:
        """The next ones: scales, numbers[, shifts][, slopes], each but numbers of ``values``."""
        scales = argument("scales", values, "float32")
        numbers = argument("numbers", (index(NUMBERS),), "float32")
        shifts = argument("shifts", values, "float32") if store.has_shift else None
        slopes = argument("slopes", values, "float32") if store.has_slope else None
        return StoreParameters(store, scales, numbers, shifts, slopes, zero_point)

    def stored(self, total: Any, vector: Callable[[Any], Any], lanes: int) -> Any:
        """What is stored of the int32 ``total``."""
        store, value = self.store, self._bounded(total, vector, lanes)
        if store.dtype == "float32":
            return value
        return rounded_bytes(value, broadcast(self.zero_point, lanes), store.dtype, lanes)

    def value(self, own: Any, lanes: int) -> Any:
        """The float32 that bytes stand for."""
        above = tirx.Cast(type_of("int32", lanes), own) - broadcast(self.zero_point, lanes)
        unit = broadcast(self.numbers[index(2)], lanes)
        return tirx.Cast(type_of("float32", lanes), above) * unit

    def stored_rows(
        self, rows: Sequence[Sequence[Total]], dot: Dot, behind: int = 1
    ) -> list[tuple[int, Any]]:
        """What is stored of rows of several sums, those of a row side by side (``interleaved``).

        Each has the number of its row. So many rows lie one ``behind`` the other, and may be one.
        """
        lanes, dtype = dot.lanes, self.store.dtype
        if dtype == "float32":
            stored = ([self.stored(*one, lanes) for one in row] for row in rows)
            return [(i, interleaved(row, lanes)) for i, row in enumerate(stored)]
        if not dot.packs:
            zero_point = broadcast(self.zero_point, lanes)
            bounded = ([self._bounded(*one, lanes) for one in row] for row in rows)
            integers = (
                [rounded_integers(value, lanes) + zero_point for value in row] for row in bounded
            )
            return [(i, interleaved_bytes(row, dtype, lanes)) for i, row in enumerate(integers)]
        values = [self._below(*one, lanes) for row in rows for one in row]
        values += values[-1:] * (-len(values) % TOGETHER)
        least = tirx.Cast("int32", tirx.round(self.numbers[index(0)])) + self.zero_point
        least = T.bind(tirx.Cast(dtype, least))
        vectors = [
            T.bind(packed(values[i : i + TOGETHER], self.zero_point, least, dtype, lanes))
            for i in range(0, len(values), TOGETHER)
        ]
        made = in_rows(vectors, list(map(len, rows)), lanes, behind)
        return [(i * behind, values) for i, values in enumerate(made)]

    def _bounded(self, total: Any, vector: Callable[[Any], Any], lanes: int) -> Any:
        """What ``total`` stands for, in units of the result less its zero point, as float32."""
        low = tirx.Broadcast(self.numbers[index(0)], lanes)
        return tirx.max(self._below(total, vector, lanes), low)

    def _below(self, total: Any, vector: Callable[[Any], Any], lanes: int) -> Any:
        """The same, held below the upper bound alone."""
        kind = f"float32x{lanes}"
        value = tirx.Cast(kind, total) * vector(self.scales)
        if self.store.has_shift:
            value = value + vector(self.shifts)
        if self.store.has_slope:
            sloped = value * vector(self.slopes)
            value = tirx.Select(value < tirx.const(0, kind), sloped, value)
        return tirx.min(value, tirx.Broadcast(self.numbers[index(1)], lanes))


@dataclass(frozen=True)
class Result:
    """The last arguments: y and, where the store adds, ``other`` and ``values`` of a ``Sum``."""

    of_store: StoreParameters
    y: Any
    other: Any = None
    values: Any = None

    @staticmethod
    def of(of_store: StoreParameters, shape: Sequence[Any]) -> Result:
        """[other, values, ]y as arguments; y and ``other`` are of ``shape``."""
        store = of_store.store
        if store.sum is None:
            return Result(of_store, argument("y", shape, store.result))
        other = argument("other", shape, store.sum.other)
        values = argument("values", (index(SUM_VALUES),), "float32")
        return Result(of_store, argument("y", shape, store.result), other, values)

    def flat(self, size: Any) -> Result:
        """With y and ``other`` as lines of ``size`` elements."""
        y = flat(self.y, size)
        return replace(self, y=y, other=None if self.other is None else flat(self.other, size))

    def write(self, own: Any, at: Sequence[Any], lanes: int) -> None:
        """Store what comes of the sums alone: with what is added to it, or what it stands for."""
        store = self.of_store.store
        if store.sum is not None:
            own = _summed(store.sum, own, self.other[at], self.values, lanes)
        elif store.is_value:
            own = self.of_store.value(own, lanes)
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
