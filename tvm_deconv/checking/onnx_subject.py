"""ONNX models, held against ONNX Runtime: the graph as it stands, without its optimizations."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from tvm_deconv.errors import first_line
from tvm_deconv.frontends.onnx import read_proto
from tvm_deconv.frontends.onnx.nodes import label, reads, spell

from .onnx_session import session_of
from .rounding import is_weight, nearby, nearby_scale
from .subject import Layer, ReferenceRefusal, Subject

_FLOATS = {
    TensorProto.DOUBLE: "float64",
    TensorProto.FLOAT: "float32",
    TensorProto.FLOAT16: "float16",
    TensorProto.BFLOAT16: "bfloat16",
}
# Protobuf writes no longer messages.
_LONGEST = 2**31 - 1
_QUANTIZING = ("QuantizeLinear", "DequantizeLinear")


class OnnxSubject(Subject):
    """An ``onnx.ModelProto``; its layers are the outputs of its nodes."""

    def __init__(self, model: onnx.ModelProto) -> None:
        self.model = model
        self.reference = f"ONNX Runtime {onnxruntime.__version__}"
        self.outputs = tuple(value.name for value in model.graph.output)

    @classmethod
    def of(cls, model: str | os.PathLike | onnx.ModelProto) -> OnnxSubject:
        """The subject of a file or of a model in memory."""
        return cls(model if isinstance(model, onnx.ModelProto) else read_proto(model))

    @property
    def dtypes(self) -> frozenset[str]:
        graph = self.model.graph
        kinds = {value.type.tensor_type.elem_type for value in graph.input}
        stored = {node.input[0] for node in self._decoders}
        kinds |= {t.data_type for t in graph.initializer if t.name not in stored}
        for node in graph.node:
            kinds |= {a.i for a in node.attribute if (node.op_type, a.name) == ("Cast", "to")}
        return frozenset(_FLOATS[kind] for kind in kinds if kind in _FLOATS)

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        feeds = dict(zip(self._inputs, inputs, strict=True))
        try:
            found = self._session.run(list(self.outputs), feeds)
        except Exception as error:  # ONNX Runtime's classes have no common base but this
            raise ReferenceRefusal(first_line(error)) from error
        if not all(isinstance(value, np.ndarray) for value in found):
            raise ReferenceRefusal("an output is a sequence or optional: no tensor to compare")
        return found

    def nearby(self, seed: int) -> OnnxSubject:
        moved = onnx.ModelProto()
        moved.CopyFrom(self.model)
        stored = {tensor.name: tensor for tensor in moved.graph.initializer}
        for node in self._decoders:
            (kind,) = (a.i for a in node.attribute if a.name == "to")
            values = numpy_helper.to_array(stored[node.input[0]])
            values = values.astype(helper.tensor_dtype_to_np_dtype(kind))
            moved.graph.initializer.append(numpy_helper.from_array(values, node.output[0]))
            moved.graph.node.remove(node)
        for name in {node.input[0] for node in self._decoders}:
            moved.graph.initializer.remove(stored[name])
        constants = list(moved.graph.initializer)
        for node in moved.graph.node:
            for attribute in node.attribute:
                if node.op_type == "Constant" and attribute.HasField("t"):
                    attribute.t.name = node.output[0]
                    constants.append(attribute.t)
        scales = _scales(moved.graph, {tensor.name for tensor in constants})
        for tensor in constants:
            values = numpy_helper.to_array(tensor)
            if tensor.name in scales:
                values = _nearby_scales(values, seed)
            elif is_weight(values):
                values = nearby(values, seed)
            else:
                continue
            tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
        return OnnxSubject(moved)

    def layers(self) -> list[Layer]:
        computed = set(self._inputs)
        layers: dict[str, Layer] = {}
        before = -1
        while len(computed) > before:  # again and again: the nodes may stand in any order
            before = len(computed)
            for node in self.model.graph.node:
                sources = sorted(reads(node) & computed)
                if not sources:
                    continue
                for key in filter(None, node.output):
                    computed.add(key)
                    layers[key] = Layer(key, label(node), spell(node), tuple(sources))
        return list(layers.values())

    def cut(self, key: str) -> OnnxSubject:
        graph = self.model.graph
        makers = {name: node for node in graph.node for name in node.output if name}
        needed: set[str] = set()
        waiting = [key]
        while waiting:
            name = waiting.pop()
            if name not in needed:
                needed.add(name)
                waiting += reads(makers[name]) if name in makers else ()
        nodes = [node for node in graph.node if needed & set(node.output)]
        # Without a type: both sides infer it.
        output = helper.make_value_info(key, onnx.TypeProto())
        rest = onnx.GraphProto(name=graph.name, input=graph.input, node=nodes, output=[output])
        rest.initializer.extend(tensor for tensor in graph.initializer if tensor.name in needed)
        part = onnx.ModelProto(
            ir_version=self.model.ir_version,
            opset_import=self.model.opset_import,
            functions=self.model.functions,
            graph=rest,
        )
        return OnnxSubject(part)

    @cached_property
    def _decoders(self) -> list[onnx.NodeProto]:
        """Casts of weights that are stored in another type, in which nothing else is computed."""
        graph = self.model.graph
        kinds = {tensor.name: tensor.data_type for tensor in graph.initializer}
        kept = {value.name for value in (*graph.input, *graph.output)}
        others = {name for node in graph.node if node.op_type != "Cast" for name in reads(node)}
        return [
            node
            for node in graph.node
            if node.op_type == "Cast"
            and kinds.get(node.input[0]) in _FLOATS
            and node.input[0] not in kept | others
            and node.output[0] not in kept
        ]

    @property
    def _inputs(self) -> list[str]:
        weights = {tensor.name for tensor in self.model.graph.initializer}
        return [value.name for value in self.model.graph.input if value.name not in weights]

    @cached_property
    def _session(self) -> Any:
        if self.model.ByteSize() > _LONGEST:
            raise ValueError("the model is larger than 2 GB")
        return session_of(self.model)


def _scales(graph: onnx.GraphProto, constants: set[str]) -> set[str]:
    """Constants that are scales of what is computed, not of weights.

    What else a quantizing node reads as floats is what it quantizes, its first input.
    """
    found: set[str] = set()
    for node in graph.node:
        if node.op_type.startswith("QLinear"):
            found |= set(node.input)
        elif node.op_type in _QUANTIZING and node.input[0] not in constants:
            found |= set(node.input[1:])
    return found & constants


def _nearby_scales(values: np.ndarray, seed: int) -> np.ndarray:
    """Zero points, and other integers, stay."""
    if values.dtype.kind != "f":
        return values
    moved = [nearby_scale(float(scale), seed) for scale in values.ravel()]
    return np.array(moved, values.dtype).reshape(values.shape)
