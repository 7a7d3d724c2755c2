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
from tvm_deconv.frontends.tflite.read import IDENTIFIER, read_file

from .rounding import is_weight, nearby
from .subject import Layer, ReferenceRefusal, Subject


class TfliteSubject(Subject):
    """A file; its layers are the results of its operators, under the names of their tensors."""

    def __init__(self, path: str | os.PathLike) -> None:
        self.model = path
        self.file = read_file(path)
        self.reference = f"LiteRT {version('ai-edge-litert')}"
        self.outputs = tuple(self._name(index) for index in self.file.outputs)

    @property
    def dtypes(self) -> frozenset[str]:
        return frozenset(t.dtype for t in self.file.tensors if t.dtype.startswith("float"))

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
        for tensor, data in zip(model.subgraphs[0].tensors, self.file.tensors, strict=True):
            if data.data is not None and is_weight(data.data):
                # A buffer of its own: others may share this one under another type.
                moved = schema.BufferT()
                moved.data = np.frombuffer(nearby(data.data, seed).tobytes(), np.uint8)
                model.buffers.append(moved)
                tensor.buffer = len(model.buffers) - 1
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

    def _name(self, index: int) -> str:
        return self.file.tensors[index].name

    @cached_property
    def _interpreter(self) -> Any:
        plain = OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES
        return Interpreter(os.fspath(self.model), experimental_op_resolver_type=plain)

    def _copy(self) -> Any:
        model = schema.ModelT.InitFromPackedBuf(Path(self.model).read_bytes(), 0)
        # They name the inputs and outputs of the whole.
        model.signatureDefs = []
        return model

    def _written(self, model: Any) -> TfliteSubject:
        builder = flatbuffers.Builder(1 << 16)
        builder.Finish(model.Pack(builder), IDENTIFIER)
        folder = mkdtemp()
        path = Path(folder) / Path(self.model).name
        path.write_bytes(builder.Output())
        changed = TfliteSubject(path)
        # The file lies there as long as its subject lives.
        weakref.finalize(changed, shutil.rmtree, folder)
        return changed
