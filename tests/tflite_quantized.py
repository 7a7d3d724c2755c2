"""Quantised TFLite files: tensors with scales, and single operators side by side in one file."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tflite_rows import Constant, Writer


@dataclass(frozen=True)
class Scaled:
    """Integers with a scale: an input of the file, or a constant."""

    array: np.ndarray
    scale: Any
    zero: Any = 0
    axis: int = 0
    is_constant: bool = False


def drawer(seed: int) -> Callable[..., np.ndarray]:
    """A function that draws any integers of a type, of one stream."""
    rng = np.random.default_rng(seed)

    def integers(*shape: int, dtype: str = "int8") -> np.ndarray:
        limits = np.iinfo(dtype)
        return rng.integers(limits.min, limits.max, shape, dtype, endpoint=True)

    return integers


def fixed(values: np.ndarray, scale: Any, zero: Any = 0, axis: int = 0) -> Scaled:
    """A constant."""
    return Scaled(values, scale, zero, axis, is_constant=True)


@dataclass(frozen=True, eq=False)
class Row:
    """One operator; ``results`` are (dtype, scale, zero point), the scale None for none.

    ``ties`` is the part of the elements that may be a unit off.
    """

    operator: str
    operands: tuple[Any, ...]
    results: tuple[tuple[str, Any, int], ...]
    options: Any
    ties: float

    def __str__(self) -> str:
        fields = vars(self.options) if self.options is not None else {}
        words = [f"{key}={value}" for key, value in fields.items() if value not in (0, None, False)]
        arrays = [getattr(o, "array", o) for o in self.operands if o is not None]
        kinds = [f"{a.dtype}{list(a.shape)}".replace(" ", "") for a in arrays]
        return " ".join([self.operator, *words, *kinds])


def file_of(rows: Sequence[Row]) -> tuple[bytes, list[np.ndarray]]:
    """The rows side by side in one file, and the inputs to run it on."""
    writer, inputs, values, results = Writer(), [], [], []
    for one in rows:
        numbers = []
        for operand in one.operands:
            if operand is None:
                numbers.append(-1)
                continue
            array = getattr(operand, "array", operand)
            is_constant = isinstance(operand, Constant) or getattr(operand, "is_constant", False)
            if is_constant:
                numbers.append(writer.constant(array))
            else:
                numbers.append(writer.tensor(array.shape, array.dtype))
                inputs.append(numbers[-1])
                values.append(array)
            if isinstance(operand, Scaled):
                writer.scaled(numbers[-1], operand.scale, operand.zero, operand.axis)
        made = []
        for dtype, scale, zero in one.results:
            made.append(writer.tensor((1,), dtype))
            if scale is not None:
                writer.scaled(made[-1], scale, zero)
        writer.append(one.operator, numbers, made, one.options)
        results += made
    return writer.finish(inputs, results), values
