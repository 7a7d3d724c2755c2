"""TFLite files, held against LiteRT: its own kernels, without a delegate."""

from __future__ import annotations

import os
import shutil
import weakref
from collections.abc import Sequence
from functools import cached_property
from importlib.metadata import version
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import flatbuffers
import numpy as np
from ai_edge_litert import schema_py_generated as schema
from ai_edge_litert.interpreter import Interpreter, OpResolverType

from tvm_deconv.errors import first_line
from tvm_deconv.frontends.tflite.read import IDENTIFIER, Operator, read_file

from .mediapipe import add_buffer, with_builtin_operators
from .rounding import is_weight, nearby
from .subject import Layer, ReferenceRefusal, Subject
from .tflite_integers import move_scales, with_float_weights

# What makes weights of stored ones: without their zeros, or in float16.
_DECODERS = ("DENSIFY", "DEQUANTIZE")


class TfliteSubject(Subject):
    """A file; its layers are the results of its operators, under the names of their tensors."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.model = path
        self.file = read_file(path)
        self.reference = f"LiteRT {version('ai-edge-litert')}"
        self.outputs = tuple(self._name(index) for index in self.file.outputs)

    @property
    def dtypes(self) -> frozenset[str]:
        return frozenset(
            tensor.dtype
            for index, tensor in enumerate(self.file.tensors)
            if tensor.dtype.startswith("float") and index not in self._stored
        )

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        try:
            interpreter = self._interpreter
            details = interpreter.get_input_details()
            for detail, array in zip(details, inputs, strict=True):
                interpreter.resize_tensor_input(detail["index"], array.shape)
            interpreter.allocate_tensors()
            for detail, array in zip(details, inputs, strict=True):
                interpreter.set_tensor(detail["index"], array)
            interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise ReferenceRefusal(first_line(error)) from error
        return [interpreter.get_tensor(d["index"]) for d in interpreter.get_output_details()]

    def nearby(self, seed: int) -> TfliteSubject:
        model = self._copy()
        (graph,) = model.subgraphs[:1]
        for index, values in self._constants.items():
            if index not in self._stored:
                # A buffer of its own: others may share this one under another type.
                moved = nearby(values, seed) if is_weight(values) else values
                graph.tensors[index].buffer = add_buffer(model, moved)
        move_scales(model, seed)
        graph.operators = [
            graph.operators[operator.index]
            for operator in self.file.operators
            if not self._decodes(operator)
        ]
        return self._written(model)

    def layers(self) -> list[Layer]:
        computed = set(self.file.inputs)
        layers = []
        for operator in self.file.operators:
            sources = sorted(computed & set(operator.inputs))
            if not sources:
                continue
            read = tuple(self._name(index) for index in sources)
            for index in operator.outputs:
                computed.add(index)
                layers.append(Layer(self._name(index), self._name(index), operator.name, read))
        return layers

    def cut(self, key: str) -> TfliteSubject:
        wanted = next(i for i in range(len(self.file.tensors)) if self._name(i) == key)
        needed = {wanted}
        kept = []
        for operator in reversed(self.file.operators):  # they stand in the order in which they run
            if needed & set(operator.outputs):
                needed |= set(operator.inputs)
                kept.append(operator.index)
        model = self._copy()
        graph = model.subgraphs[0]
        graph.operators = [graph.operators[i] for i in reversed(kept)]
        graph.outputs = [wanted]
        return self._written(model)

    @cached_property
    def _constants(self) -> dict[int, np.ndarray]:
        """The weights by tensor, decoded ones in the type that they are computed with."""
        tensors = self.file.tensors
        found = {i: tensor.data for i, tensor in enumerate(tensors) if tensor.data is not None}
        for operator in self.file.operators:
            if operator.name in _DECODERS and operator.inputs[0] in found:
                (result,) = operator.outputs
                source = tensors[operator.inputs[0]]
                values = found[operator.inputs[0]]
                if source.quantization is not None and operator.name == "DEQUANTIZE":
                    values = source.quantization.real(values)
                found[result] = values.astype(tensors[result].dtype)
        return found

    @cached_property
    def _stored(self) -> frozenset[int]:
        """Constants that are only there to be decoded: nothing is computed in their type."""
        read: dict[int, bool] = dict.fromkeys(self._constants, True)
        for operator in self.file.operators:
            for index in operator.inputs:
                if index in read and not self._decodes(operator):
                    read[index] = False
        return frozenset(index for index in read if read[index] and index not in self.file.outputs)

    def _decodes(self, operator: Operator) -> bool:
        return operator.name in _DECODERS and operator.inputs[0] in self._constants

    def _name(self, index: int) -> str:
        return self.file.tensors[index].name

    @cached_property
    def _interpreter(self) -> Any:
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        known = with_float_weights(self.file, self._copy)
        known = with_builtin_operators(self.file, lambda: known or self._copy()) or known
        if known is None:
            return Interpreter(os.fspath(self.model), experimental_op_resolver_type=plain)
        return Interpreter(model_content=_packed(known), experimental_op_resolver_type=plain)

    def _copy(self) -> Any:
        model = schema.ModelT.InitFromPackedBuf(Path(self.model).read_bytes(), 0)
        # They name the inputs and outputs of the whole.
        model.signatureDefs = []
        return model

    def _written(self, model: Any) -> TfliteSubject:
        folder = mkdtemp()
        path = Path(folder) / Path(self.model).name
        path.write_bytes(_packed(model))
        changed = TfliteSubject(path)
        # The file lies there as long as its subject lives.
        weakref.finalize(changed, shutil.rmtree, folder)
        return changed


def _packed(model: Any) -> bytes:
    builder = flatbuffers.Builder(1 << 16)
    builder.Finish(model.Pack(builder), IDENTIFIER)
    return bytes(builder.Output())
