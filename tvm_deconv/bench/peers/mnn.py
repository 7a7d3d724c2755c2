"""MNN, from ONNX through its own converter, in float32 and no less accurate than counts.

Of a quantized file its own quantizer makes bytes, from the network in float32: MNN's converter
cannot read weights with a scale for each channel.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import MNN
import MNN.expr
import MNN.nn
import numpy as np
import onnx

from .onnx_bytes import is_quantized, take_quantization
from .onnx_graph import model_of, read_graph

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs

# The tools end their process when they fail, so they get one of their own.
_TOOL = "import sys, _tools; getattr(_tools, sys.argv.pop(1))(sys.argv)"

# MNN's hint for how large Winograd's tiles may become, WINOGRAD_MEMORY_LEVEL, and its default.
# The default is fast, and 2e-4 to 1e-3 of the largest value away from float64.
_HINT, _FAST, _ACCURATE = 3, 3, 2

# Of the largest value, between the fast and the accurate result. Three tenths of what counts in the
# benchmark: the accurate result has an error of its own, and the two add up.
_TOLERANCE = 3e-5


def load(model: str, inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
    """MNN's defaults, unless they are off by more than ``_TOLERANCE``: then smaller tiles."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "model.mnn"
        if is_quantized(model):
            results = _quantize(model, inputs, converted)
            call = _call(converted, inputs, results, threads, _FAST)
            return call, _to_numpy, version("mnn"), ["quantized by MNN, on the inputs"]
        _convert(model, converted)
        fast, accurate = (
            _call(converted, inputs, outputs, threads, level) for level in (_FAST, _ACCURATE)
        )
        error = max(map(_difference, _to_numpy(fast()), _to_numpy(accurate())))
    name = version("mnn")
    if error > _TOLERANCE:
        note = f"smaller Winograd tiles than by default, where the error is {error:.1e}"
        return accurate, _to_numpy, name, [note]
    return fast, _to_numpy, name, []


def _difference(got: np.ndarray, wanted: np.ndarray) -> float:
    return float(np.abs(got - wanted).max() / (np.abs(wanted).max() or 1))


def _call(
    converted: Path, inputs: Inputs, outputs: Outputs, threads: int, level: int
) -> Callable[[], list[MNN.expr.Var]]:
    # A session would overwrite its input, which then had to be copied before each call.
    settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
    runtime = MNN.nn.create_runtime_manager((settings,))
    runtime.set_hint(_HINT, level)
    module = MNN.nn.load_module_from_file(
        str(converted), list(inputs), list(outputs), runtime_manager=runtime
    )
    given = [_given(name, x) for name, x in inputs.items()]
    return lambda: module.forward(given)


def _given(name: str, x: np.ndarray) -> MNN.expr.Var:
    """A variable of MNN, whose converter makes int32 of all other integers."""
    if x.dtype == np.float32:
        return MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)
    if x.dtype not in (np.int32, np.int64):
        raise ValueError(f"input {name} is {x.dtype}: MNN is given float32, int32 and int64 only")
    return MNN.expr.const(x.astype(np.int32), list(x.shape), MNN.expr.NCHW, MNN.expr.int)


def _convert(model: str, converted: Path) -> None:
    options = ["-f", "ONNX", "--modelFile", model, "--MNNModel", str(converted)]
    _run("mnnconvert", [*options, "--bizCode", "bench"], converted)


def _quantize(model: str, inputs: Inputs, converted: Path) -> Outputs:
    """Have MNN find ranges for the values of ``inputs``; the names of the results."""
    graph = read_graph(model)
    take_quantization(graph)
    folder = converted.parent
    floats = folder / "floats.onnx", folder / "floats.mnn"
    onnx.save(model_of(graph), floats[0])
    _convert(str(floats[0]), floats[1])
    sample = folder / "samples" / "0"
    sample.mkdir(parents=True)
    for name, x in inputs.items():
        np.savetxt(sample / f"{name}.txt", x.reshape(-1), fmt="%.7g")
    shapes = [{"name": name, "shape": x.shape} for name, x in inputs.items()]
    (sample / "input.json").write_text(json.dumps({"inputs": shapes, "outputs": graph.outputs}))
    settings = {
        "path": str(sample.parent),
        "used_sample_num": 1,
        "input_type": "sequence",
        "feature_quantize_method": "KL",
        "weight_quantize_method": "MAX_ABS",
    }
    (folder / "settings.json").write_text(json.dumps(settings))
    _run("mnnquant", [str(floats[1]), str(converted), str(folder / "settings.json")], converted)
    return graph.outputs


def _run(tool: str, arguments: list[str], made: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-I", "-c", _TOOL, tool, *arguments],
        capture_output=True,
        text=True,
        timeout=200,
    )
    if not made.exists():
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise ValueError(f"MNN's {tool} exits with {done.returncode}: {lines[-1:]}")


def _to_numpy(results: list[MNN.expr.Var]) -> list[np.ndarray]:
    return [np.array(MNN.expr.convert(result, MNN.expr.NCHW).read()) for result in results]
