"""From a TFLite file to plain values: tensors, operators and their options.

The generated classes of the package ``tflite`` read a flatbuffer where its offsets point, and check
nothing. All of that reading happens here, so that a damaged file fails here and nowhere else.
"""

from __future__ import annotations

import importlib
import os
import struct
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.model_file import read_model
from tvm_deconv.frontends.names import unused

from .quantization import Quantization, read_quantization
from .sparse import dense, read_levels

IDENTIFIER = b"TFL3"

# What the generated classes raise where offsets point out of the file or into other tables.
_FAILURES = (
    struct.error,
    AttributeError,
    IndexError,
    MemoryError,
    OverflowError,
    RecursionError,
    TypeError,
    ValueError,
)

# What to do about weights of fewer bits.
_ELSE = "keep floats, or quantize to 8 bits"
# Types of elements that are computed with, by their name in the schema.
DTYPES = {
    "FLOAT32": "float32",
    "FLOAT16": "float16",
    "FLOAT64": "float64",
    "INT8": "int8",
    "INT16": "int16",
    "INT32": "int32",
    "INT64": "int64",
    "UINT8": "uint8",
    "UINT16": "uint16",
    "UINT32": "uint32",
    "UINT64": "uint64",
    "BOOL": "bool",
}


@dataclass(frozen=True)
class Tensor:
    """``shape`` has None for each free size; ``data`` is None unless the tensor is a constant.

    ``dtype`` is NumPy's name, or the schema's where the type is not in ``DTYPES``. Integers that
    stand for real numbers have a ``quantization``.
    """

    name: str
    shape: tuple[int | None, ...]
    dtype: str
    data: np.ndarray | None = None
    quantization: Quantization | None = None


@dataclass(frozen=True)
class Operator:
    """``name`` is the schema's, or that of a custom operator; -1 among ``inputs`` is left out.

    ``options`` are the fields of its table by the schema's names (``StrideH``); None without one.
    ``custom`` are the bytes that a custom operator has instead.
    """

    index: int
    name: str
    is_custom: bool
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any] | None
    custom: bytes


@dataclass(frozen=True)
class File:
    """The first subgraph of a file; operators and ports speak of tensors by number."""

    name: str
    tensors: tuple[Tensor, ...]
    operators: tuple[Operator, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]


def is_tflite(path: str | os.PathLike) -> bool:
    """Whether a file is called ``.tflite`` or begins as such files do."""
    file = Path(path)
    if file.suffix.lower() == ".tflite":
        return True
    try:
        with file.open("rb") as stream:
            return stream.read(8)[4:] == IDENTIFIER
    except OSError:
        return False


def read_file(path: str | os.PathLike) -> File:
    """The network in a TFLite file.

    Raises ModelError for a file that is missing, not TFLite or damaged, and where the package
    ``tflite`` is not installed.
    """
    file = Path(path)
    data = read_model(file)
    if data[4:8] != IDENTIFIER:
        raise ModelError(f"{file} is not a TFLite model: give a file that a TFLite converter wrote")
    try:
        import tflite
    except ImportError as error:
        raise ModelError(
            f"{file} needs the package tflite: pip install 'tvm-deconv[tflite]'"
        ) from error
    try:
        return _Reader(tflite, data, os.fspath(file)).file()
    except _FAILURES as error:
        if isinstance(error, ModelError):
            raise
        raise ModelError(f"{file} is a damaged TFLite model: convert or download it again") from (
            error
        )


class _Reader:
    def __init__(self, schema: Any, data: bytes, name: str) -> None:
        self.schema, self.data, self.name = schema, data, name
        self.model = schema.Model.GetRootAs(data, 0)
        self.operators = _names(schema.BuiltinOperator)
        self.options = _names(schema.BuiltinOptions)
        self.types = _names(schema.TensorType)

    def file(self) -> File:
        count = self.model.SubgraphsLength()
        if not count:
            raise ModelError(f"{self.name} is a damaged TFLite model: it holds no graph")
        graph = self.model.Subgraphs(0)
        tensors = _named_apart(
            self.tensor(index, each)
            for index, each in enumerate(self.each(graph.Tensors, graph.TensorsLength()))
        )
        operators = tuple(
            self.operator(index, each, len(tensors))
            for index, each in enumerate(self.each(graph.Operators, graph.OperatorsLength()))
        )
        inputs = self.numbers(graph.InputsAsNumpy(), len(tensors))
        outputs = self.numbers(graph.OutputsAsNumpy(), len(tensors))
        if not outputs:
            raise ModelError(f"{self.name} has no outputs: nothing of it is to be computed")
        return File(self.name, tensors, operators, inputs, outputs)

    def each(self, item: Callable[[int], Any], count: int) -> list[Any]:
        """The tables of a vector, which takes four bytes for each."""
        if count * 4 > len(self.data):
            raise ValueError(f"a vector of {count} tables in a file of {len(self.data)} bytes")
        return [item(index) for index in range(count)]

    def numbers(self, array: Any, tensors: int) -> tuple[int, ...]:
        """Numbers of tensors; a vector that is not there reads as 0."""
        found = () if isinstance(array, int) else tuple(int(number) for number in array)
        if any(not -1 <= number < tensors for number in found):
            raise ValueError(f"{found} of {tensors} tensors")
        return found

    def tensor(self, index: int, table: Any) -> Tensor:
        text = table.Name()
        name = text.decode("utf-8", "replace") if text else ""
        name = name if name.isprintable() and name else f"tensor_{index}"
        what = f"{self.name}: tensor {index} {name!r}"
        kind = self.types.get(table.Type())
        if kind is None:
            raise ModelError(
                f"{what} holds elements of type {table.Type()}, not known here: {_ELSE}"
            )
        dtype = DTYPES.get(kind, kind.lower())
        shape = _sizes(table.ShapeAsNumpy())
        signature = _sizes(table.ShapeSignatureAsNumpy())
        if min(shape, default=0) < 0:
            raise ValueError(f"shape {shape}")
        quantization = read_quantization(table.Quantization(), shape, dtype, what)
        data = self.constant(table, shape, dtype, what)
        free = len(signature) == len(shape) and data is None
        sizes = [
            None if free and signature[axis] == -1 else size for axis, size in enumerate(shape)
        ]
        return Tensor(name, tuple(sizes), dtype, data, quantization)

    def constant(
        self, table: Any, shape: tuple[int, ...], dtype: str, what: str
    ) -> np.ndarray | None:
        number = table.Buffer()
        if not 0 <= number < self.model.BuffersLength():
            raise ValueError(f"buffer {number}")
        buffer = self.model.Buffers(number)
        content = buffer.DataAsNumpy()
        # Files of more than 2 GB hold the weights behind the flatbuffer.
        if isinstance(content, int) and buffer.Offset() > 1:
            end = buffer.Offset() + buffer.Size()
            if end > len(self.data):
                raise ValueError(f"buffer {number} ends at {end}")
            content = np.frombuffer(self.data[buffer.Offset() : end], np.uint8)
        if isinstance(content, int) or not content.size or table.IsVariable():
            return None
        if dtype not in DTYPES.values():
            raise ModelError(f"{what} holds {dtype} elements, not computed here: {_ELSE}")
        sparsity = table.Sparsity()
        if sparsity is not None:
            return self.dense(sparsity, np.frombuffer(content.tobytes(), dtype), shape)
        count = int(np.prod(shape, dtype=object)) if shape else 1
        needed = count * np.dtype(dtype).itemsize
        if content.size != needed:
            raise ModelError(
                f"{what} of shape {list(shape)} holds {content.size} bytes, not {needed}: the file "
                "is damaged"
            )
        return np.frombuffer(content.tobytes(), dtype).reshape(shape)

    def dense(self, sparsity: Any, values: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
        levels = read_levels(self.schema, sparsity)
        order = list(map(int, sparsity.TraversalOrderAsNumpy()))
        blocks = sparsity.BlockMapAsNumpy() if sparsity.BlockMapLength() else ()
        return dense(values, shape, levels, order, list(map(int, blocks)))

    def operator(self, index: int, table: Any, tensors: int) -> Operator:
        number = table.OpcodeIndex()
        if not 0 <= number < self.model.OperatorCodesLength():
            raise ValueError(f"operator code {number}")
        code = self.model.OperatorCodes(number)
        # Old files have one byte, and the newer field is 0; new ones have both, or the newer only.
        kind = max(_builtin_code(code), code.DeprecatedBuiltinCode())
        name = self.operators.get(kind)
        if name is None:
            raise ModelError(
                f"{self.name}: operator {index} has the code {kind}, which the "
                "package tflite here does not know: update it"
            )
        is_custom = name == "CUSTOM"
        if is_custom:
            name = (code.CustomCode() or b"").decode("utf-8", "replace")
        custom = table.CustomOptionsAsNumpy()
        return Operator(
            index,
            name,
            is_custom,
            self.numbers(table.InputsAsNumpy(), tensors),
            self.numbers(table.OutputsAsNumpy(), tensors),
            self.options_of(table),
            b"" if isinstance(custom, int) else custom.tobytes(),
        )

    def options_of(self, table: Any) -> dict[str, Any] | None:
        """All fields of the operator's table of options."""
        kind, found = self.options.get(table.BuiltinOptionsType()), table.BuiltinOptions()
        if kind in (None, "NONE") or found is None:
            return None
        options = getattr(importlib.import_module(f"{self.schema.__name__}.{kind}"), kind)()
        options.Init(found.Bytes, found.Pos)
        fields = {}
        for key in dir(options):
            if not key[0].isupper() or key.startswith(("GetRootAs", kind)) or key == "Init":
                continue
            if key.endswith(("AsNumpy", "Length", "IsNone")):
                continue
            if hasattr(options, f"{key}AsNumpy"):
                fields[key] = _sizes(getattr(options, f"{key}AsNumpy")())
            elif not hasattr(options, f"{key}Length"):  # a vector of tables
                fields[key] = getattr(options, key)()
        return fields


def _builtin_code(code: Any) -> int:
    """The newer field; the package's own accessor gives the older one for small numbers."""
    table = code._tab
    place = table.Offset(10)
    return int(struct.unpack_from("<i", table.Bytes, place + table.Pos)[0]) if place else 0


def _named_apart(tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The tensors; the later of two with one name gets its number behind it."""
    named = list(tensors)
    seen: set[str] = set()
    taken = {tensor.name for tensor in named}
    found = []
    for index, tensor in enumerate(named):
        if tensor.name in seen:
            tensor = replace(tensor, name=unused(f"{tensor.name}#{index}", taken))
        seen.add(tensor.name)
        found.append(tensor)
    return tuple(found)


def _names(enumeration: Any) -> dict[int, str]:
    return {value: key for key, value in vars(enumeration).items() if isinstance(value, int)}


def _sizes(array: Any) -> tuple[int, ...]:
    """A vector of integers; one that is not there reads as 0."""
    return () if isinstance(array, int) else tuple(int(number) for number in array)
