"""MNN, from ONNX through its own converter, in float32 and no less accurate than counts."""

from __future__ import annotations

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

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Loaded

# The converter ends its process when it fails, so it gets one of its own.
_CONVERT = "import sys, _tools; _tools.mnnconvert(sys.argv)"

# MNN's hint for how large Winograd's tiles may become, WINOGRAD_MEMORY_LEVEL, and its default.
# The default is fast, and 2e-4 to 1e-3 of the largest value away from float64.
_HINT, _FAST, _ACCURATE = 3, 3, 2

# Of the largest value, between the fast and the accurate result. Three tenths of what counts in the
# benchmark: the accurate result has an error of its own, and the two add up.
_TOLERANCE = 3e-5


def load(model: str, x: np.ndarray, threads: int) -> Loaded:
    """MNN's defaults, unless they are off by more than ``_TOLERANCE``: then smaller tiles."""
    with tempfile.TemporaryDirectory() as folder:
        converted = Path(folder) / "model.mnn"
        _convert(model, converted)
        fast, accurate = (_call(converted, x, threads, level) for level in (_FAST, _ACCURATE))
        wanted, got = _to_numpy(accurate()), _to_numpy(fast())
    error = float(np.abs(got - wanted).max() / np.abs(wanted).max())
    name = version("mnn")
    if error > _TOLERANCE:
        note = f"smaller Winograd tiles than by default, where the error is {error:.1e}"
        return accurate, _to_numpy, name, [note]
    return fast, _to_numpy, name, []


def _call(converted: Path, x: np.ndarray, threads: int, level: int) -> Callable[[], MNN.expr.Var]:
    # A session would overwrite its input, which then had to be copied before each call.
    settings = {"backend": "CPU", "numThread": threads, "precision": "high"}
    runtime = MNN.nn.create_runtime_manager((settings,))
    runtime.set_hint(_HINT, level)
    module = MNN.nn.load_module_from_file(str(converted), [], [], runtime_manager=runtime)
    given = MNN.expr.const(x, list(x.shape), MNN.expr.NCHW)
    return lambda: module.forward([given])[0]


def _convert(model: str, converted: Path) -> None:
    options = ["-f", "ONNX", "--modelFile", model, "--MNNModel", str(converted)]
    done = subprocess.run(
        [sys.executable, "-I", "-c", _CONVERT, *options, "--bizCode", "bench"],
        capture_output=True,
        text=True,
        timeout=200,
    )
    if not converted.exists():
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise ValueError(f"MNN's converter exits with {done.returncode}: {lines[-1:]}")


def _to_numpy(result: MNN.expr.Var) -> np.ndarray:
    return np.array(MNN.expr.convert(result, MNN.expr.NCHW).read())
