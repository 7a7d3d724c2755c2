"""LiteRT with XNNPACK, from a TFLite file that we write: its converters need gigabytes."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from .onnx_graph import read_graph, require_float32
from .tflite_graph import translate

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs


def load(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
    """XNNPACK is on by default; what it lacks runs on LiteRT's own kernels."""
    require_float32(inputs)
    interpreter = Interpreter(model_content=translate(read_graph(model)), num_threads=threads)
    interpreter.allocate_tensors()
    for given, x in zip(interpreter.get_input_details(), inputs.values(), strict=True):
        interpreter.set_tensor(given["index"], np.ascontiguousarray(x.transpose(0, 2, 3, 1)))
    results = [result["index"] for result in interpreter.get_output_details()]

    def call() -> Interpreter:
        interpreter.invoke()
        return interpreter

    def to_numpy(done: Interpreter) -> list[np.ndarray]:
        return [done.get_tensor(index).transpose(0, 3, 1, 2) for index in results]

    return call, to_numpy, version("ai-edge-litert"), []
