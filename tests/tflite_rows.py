"""A table of single TFLite operators, side by side in one file, so that they are compiled once."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import quick_network
import tvm
from rows_compare import compare

WHY = "pip install 'tvm-deconv[test]'"
pytest.importorskip("tflite", reason=f"TFLite files are not read without tflite: {WHY}")
pytest.importorskip("ai_edge_litert", reason=f"nothing to compare TFLite files with: {WHY}")

from ai_edge_litert import schema_py_generated as schema  # noqa: E402
from tflite_reference import litert  # noqa: E402

from tvm_deconv.bench.peers.tflite_file import Writer  # noqa: E402

# Largest difference, relative to the largest value or 1.
TOLERANCE = {"float32": 3e-6}

_RNG = np.random.default_rng(0)


def floats(*shape: int) -> np.ndarray:
    return _RNG.standard_normal(shape).astype(np.float32)


@dataclass(frozen=True)
class Constant:
    array: np.ndarray


def c(values, dtype=np.int32):
    """A constant of the file, int32 unless it is one of ``floats``."""
    floating = isinstance(values, np.ndarray) and values.dtype.kind == "f"
    return Constant(values if floating else np.asarray(values, dtype))


def options(kind: str, **fields: Any) -> Any:
    """A table of options by the schema's names, with a small first letter."""
    table = getattr(schema, f"{kind}OptionsT")()
    for name, value in fields.items():
        assert hasattr(table, name), name
        setattr(table, name, value)
    return table


@dataclass(frozen=True, eq=False)
class Row:
    """One operator; arrays among ``operands`` are inputs, None is left out.

    ``shape`` is that of the results, which LiteRT computes but for SLICE.
    """

    operator: str
    operands: tuple[Any, ...]
    options: Any
    dtypes: tuple[str, ...]
    shape: tuple[int, ...]

    def __str__(self) -> str:
        fields = vars(self.options) if self.options is not None else {}
        words = [f"{key}={value}" for key, value in fields.items() if value not in (0, None, False)]
        shapes = [
            str(list(getattr(o, "array", o).shape)).replace(" ", "")
            for o in self.operands
            if o is not None
        ]
        return " ".join([self.operator, *words, *shapes])


def row(operator, *operands, options=None, dtypes=("float32",), shape=(1,)):
    return Row(operator, operands, options, dtypes, shape)


def file_of(rows: Sequence[Row]) -> tuple[bytes, list[np.ndarray]]:
    """The rows side by side in one file, and the inputs to run it on."""
    writer, given, values, results = Writer(), [], [], []
    for one in rows:
        numbers = []
        for operand in one.operands:
            if operand is None:
                numbers.append(-1)
            elif isinstance(operand, Constant):
                numbers.append(writer.constant(operand.array))
            else:
                numbers.append(writer.tensor(operand.shape, operand.dtype))
                given.append(numbers[-1])
                values.append(operand)
        made = [writer.tensor(one.shape, dtype) for dtype in one.dtypes]
        writer.append(one.operator, numbers, made, one.options)
        results += made
    return writer.finish(given, results), values


def compiled(path: Path, **how: Any) -> Callable[[Sequence[np.ndarray]], list[np.ndarray]]:
    """Our build of a file, from arrays to arrays."""
    main = quick_network.compiled(path, **how)

    def call(values: Sequence[np.ndarray]) -> list[np.ndarray]:
        got = main(*(tvm.runtime.tensor(array) for array in values))
        return [array.numpy() for array in ([got] if hasattr(got, "numpy") else got)]

    return call


class Table:
    """Rows that are computed, all in one file that is compiled once, into ``folder``."""

    def __init__(self, rows: Sequence[Row]) -> None:
        self.rows = list(rows)
        self._results: dict[int, list[Any]] | Exception | None = None

    def check(self, one: Row, folder: Path) -> None:
        """A failure is kept, too: every row would compile for nothing."""
        if self._results is None:
            try:
                self._results = self._compute(folder / "rows.tflite")
            except Exception as error:
                self._results = error
        if isinstance(self._results, Exception):
            raise self._results
        for got, expected in self._results[id(one)]:
            compare(got, expected, TOLERANCE)

    def _compute(self, path: Path) -> dict[int, list[Any]]:
        content, values = file_of(self.rows)
        path.write_bytes(content)
        pairs = iter(zip(compiled(path)(values), litert(content, values), strict=True))
        return {id(r): [next(pairs) for _ in r.dtypes] for r in self.rows}
