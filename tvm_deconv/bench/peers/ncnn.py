"""ncnn, from TorchScript through its own converter pnnx, with its default algorithms in float32."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np
import pnnx
import torch

from .onnx_graph import NotSupportedError, read_graph
from .torch_graph import OnnxModule

if TYPE_CHECKING:
    from ..worker import Loaded

# ncnn's own benchmark keeps freed memory for the next call, too. They live as long as the process,
# because results may outlive the network that made them.
_BLOBS, _WORKSPACE = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def load(model: str, x: np.ndarray, threads: int) -> Loaded:
    """ncnn has no batch axis: the first axis of ``x`` is 1 and is dropped."""
    ncnn.set_omp_dynamic(0)
    ncnn.set_omp_num_threads(threads)
    graph = read_graph(model)
    if x.shape[0] != 1:
        raise NotSupportedError(f"batch {x.shape[0]}: ncnn has no batch axis")
    net = ncnn.Net()
    # Winograd, packing and SGEMM stay on, as they are by default.
    for name in (
        "use_fp16_packed",
        "use_fp16_storage",
        "use_fp16_arithmetic",
        "use_bf16_packed",
        "use_bf16_storage",
    ):
        setattr(net.opt, name, False)
    net.opt.num_threads = threads
    net.opt.blob_allocator, net.opt.workspace_allocator = _BLOBS, _WORKSPACE
    _BLOBS.clear()
    _WORKSPACE.clear()
    with tempfile.TemporaryDirectory() as folder:
        param, weights = _convert(OnnxModule(graph).eval(), x, Path(folder))
        if net.load_param(str(param)) or net.load_model(str(weights)):
            raise NotSupportedError("ncnn cannot load what pnnx made of the model")
    given = ncnn.Mat(x[0]).clone()
    result_shape = graph.shapes[graph.output]

    def call() -> ncnn.Mat:
        extractor = net.create_extractor()
        extractor.input("in0", given)
        status, result = extractor.extract("out0")
        if status:
            raise RuntimeError(f"ncnn stopped with status {status}")
        return result

    return call, lambda y: np.array(y).reshape(result_shape), ncnn.__version__, []


def _convert(module: torch.nn.Module, x: np.ndarray, folder: Path) -> tuple[Path, Path]:
    """The files of the structure and of the weights."""
    with torch.no_grad():
        torch.jit.trace(module, torch.from_numpy(x)).save(str(folder / "model.pt"))
    shape = ",".join(str(extent) for extent in x.shape)
    done = subprocess.run(
        [pnnx.EXEC_PATH, "model.pt", f"inputshape=[{shape}]f32", "fp16=0"],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=200,
    )
    param, weights = folder / "model.ncnn.param", folder / "model.ncnn.bin"
    if done.returncode or not (param.exists() and weights.exists()):
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise NotSupportedError(f"pnnx exits with {done.returncode}: {lines[-1:]}")
    return param, weights
