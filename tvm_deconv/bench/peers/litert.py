"""LiteRT with XNNPACK, from a TFLite file that we write: its converters need gigabytes."""

from __future__ import annotations

from importlib.metadata import version
from typing import TYPE_CHECKING

import numpy as np
from ai_edge_litert.interpreter import Interpreter

from .onnx_graph import read_graph
from .tflite_graph import translate

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Loaded


def load(model: str, x: np.ndarray, threads: int) -> Loaded:
    """XNNPACK is on by default; what it lacks runs on LiteRT's own kernels."""
    interpreter = Interpreter(model_content=translate(read_graph(model)), num_threads=threads)
    interpreter.allocate_tensors()
    given, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    interpreter.set_tensor(given["index"], np.ascontiguousarray(x.transpose(0, 2, 3, 1)))

    def call() -> Interpreter:
        interpreter.invoke()
        return interpreter

    def to_numpy(done: Interpreter) -> np.ndarray:
        return done.get_tensor(result["index"]).transpose(0, 3, 1, 2)

    return call, to_numpy, version("ai-edge-litert"), []
