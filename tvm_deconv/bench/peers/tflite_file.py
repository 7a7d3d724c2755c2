"""Writes a TFLite model, node by node: the flatbuffer that LiteRT reads."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema


class _Buffer(schema.BufferT):
    """Aligned as the schema asks for; the generated code packs bytes one by one, unaligned."""

    def Pack(self, builder: flatbuffers.Builder) -> int:
        if self.data is not None:
            content = self.data.tobytes()
            builder.StartVector(1, len(content), 16)
            builder.head -= len(content)
            builder.Bytes[builder.head : builder.head + len(content)] = content
            data = builder.EndVector()
        schema.BufferStart(builder)
        if self.data is not None:
            schema.BufferAddData(builder, data)
        return schema.BufferEnd(builder)


@dataclass(frozen=True)
class Step:
    """An operator of the schema, or a custom one: it reads and computes tensors by number."""

    name: str
    inputs: list[int]
    results: list[int]
    options: Any = None
    custom: bytes | None = None


class Writer:
    """One subgraph."""

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self._buffers = [_Buffer()]  # the first is the empty one
        self._tensors: list[Any] = []

    def tensor(self, shape: tuple[int, ...], dtype: Any = np.float32) -> int:
        """A value that is computed or given; its number. A free size is -1."""
        return self._tensor(shape, dtype, 0)

    def constant(self, value: np.ndarray) -> int:
        """A constant; its number."""
        buffer = _Buffer()
        buffer.data = np.ascontiguousarray(value)
        self._buffers.append(buffer)
        return self._tensor(value.shape, value.dtype, len(self._buffers) - 1)

    def scaled(self, number: int, scale: Any, zero: Any = 0, axis: int = 0) -> int:
        """Give the integers of a tensor one scale and zero point, or one of each along ``axis``."""
        scales = schema.QuantizationParametersT()
        scales.scale = np.atleast_1d(np.asarray(scale, np.float32))
        scales.zeroPoint = np.broadcast_to(np.asarray(zero, np.int64), scales.scale.shape)
        scales.quantizedDimension = axis
        self._tensors[number].quantization = scales
        return number

    def shape(self, number: int) -> tuple[int, ...]:
        """Of a tensor, as it was given but for free sizes."""
        return tuple(map(int, self._tensors[number].shape))

    def value(self, number: int) -> np.ndarray | None:
        """Of a constant; None for a tensor that is given or computed."""
        return self._buffers[self._tensors[number].buffer].data

    def _tensor(self, shape: tuple[int, ...], dtype: Any, buffer: int) -> int:
        tensor = schema.TensorT()
        tensor.shape = np.maximum(np.array(shape, np.int32), 1 if -1 in shape else 0)
        if -1 in shape:
            tensor.shapeSignature = np.array(shape, np.int32)
        tensor.type = getattr(schema.TensorType, np.dtype(dtype).name.upper())
        tensor.buffer = buffer
        tensor.name = f"t{len(self._tensors)}"
        self._tensors.append(tensor)
        return len(self._tensors) - 1

    def operator(
        self, name: str, inputs: list[int], shape: tuple[int, ...], options: Any = None
    ) -> int:
        """Append the builtin operator ``name`` of the schema; the number of its one result."""
        result = self.tensor(shape)
        self.append(name, inputs, [result], options)
        return result

    def append(
        self,
        name: str,
        inputs: list[int],
        results: list[int],
        options: Any = None,
        custom: bytes | None = None,
    ) -> None:
        """Append an operator that computes the tensors ``results``.

        ``name`` is the schema's, or that of a custom operator with the options ``custom``.
        """
        self.steps.append(Step(name, inputs, results, options, custom))

    def finish(self, given: list[int], results: list[int]) -> bytes:
        """The file of the model from the tensors ``given`` to the tensors ``results``."""
        codes: dict[tuple[str, bool], int] = {}
        for step in self.steps:
            codes.setdefault((step.name, step.custom is not None), len(codes))
        graph = schema.SubGraphT()
        graph.tensors = self._tensors
        graph.operators = [_operator(step, codes) for step in self.steps]
        graph.inputs, graph.outputs = np.array(given, np.int32), np.array(results, np.int32)
        model = schema.ModelT()
        model.version = 3
        model.operatorCodes = [_operator_code(*code) for code in codes]
        model.subgraphs, model.buffers = [graph], self._buffers
        builder = flatbuffers.Builder(1 << 20)
        builder.Finish(model.Pack(builder), b"TFL3")
        return bytes(builder.Output())


def _operator(step: Step, codes: dict[tuple[str, bool], int]) -> Any:
    operator = schema.OperatorT()
    operator.opcodeIndex = codes[step.name, step.custom is not None]
    operator.inputs = np.array(step.inputs, np.int32)
    operator.outputs = np.array(step.results, np.int32)
    if step.custom is not None:
        operator.customOptions = np.frombuffer(step.custom, np.uint8)
    if step.options is not None:
        kind = type(step.options).__name__.removesuffix("T")
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        operator.builtinOptions = step.options
    return operator


# Versions of operators that are not the first: transposed convolutions have a bias since the third.
_VERSIONS = {"TRANSPOSE_CONV": 3, "BROADCAST_TO": 2}


def _operator_code(name: str, is_custom: bool) -> Any:
    entry = schema.OperatorCodeT()
    code = schema.BuiltinOperator.CUSTOM if is_custom else getattr(schema.BuiltinOperator, name)
    entry.builtinCode = code
    entry.deprecatedBuiltinCode = min(code, 127)  # one byte, for readers of old files
    entry.version = _VERSIONS.get(name, 1)
    if is_custom:
        entry.customCode = name
    return entry
