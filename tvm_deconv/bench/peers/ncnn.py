"""ncnn, from TorchScript through its own converter pnnx, with its default algorithms."""

from __future__ import annotations

import multiprocessing
import subprocess
import tempfile
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np

from .ncnn_bytes import write_scales
from .onnx_bytes import take_quantization
from .onnx_graph import NotSupportedError, read_graph, require_float32
from .onnx_rewrites import as_users_write

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs

# ncnn's own benchmark keeps freed memory for the next call, too. They live as long as the process,
# because results may outlive the network that made them.
_BLOBS, _WORKSPACE = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def load(model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
    """ncnn has no batch axis: the first axis of each input is 1 and is dropped.

    Convolutions of a quantized file are of bytes, and all else of float32.
    """
    require_float32(inputs)
    for name, x in inputs.items():
        if x.ndim < 2 or x.shape[0] != 1:
            raise NotSupportedError(f"input {name} of shape {x.shape}: ncnn has no batch axis")
    graph = read_graph(model)
    ranges = take_quantization(graph)
    ncnn.set_omp_dynamic(0)
    ncnn.set_omp_num_threads(threads)
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
    with tempfile.TemporaryDirectory() as folder:
        with ProcessPoolExecutor(1, multiprocessing.get_context("spawn")) as pool:
            pool.submit(_export, model, folder).result()
        files = Path(folder) / "model.ncnn.param", Path(folder) / "model.ncnn.bin"
        notes = []
        if ranges:
            as_users_write(graph, "CRD")
            notes = write_scales(*files, graph, ranges)
        if net.load_param(str(files[0])) or net.load_model(str(files[1])):
            raise NotSupportedError("ncnn cannot load what pnnx made of the model")
    # Named by pnnx.
    given = {f"in{number}": ncnn.Mat(x[0]).clone() for number, x in enumerate(inputs.values())}
    shapes = {f"out{number}": graph.shapes[name] for number, name in enumerate(graph.outputs)}

    def call() -> list[ncnn.Mat]:
        extractor = net.create_extractor()
        for name, mat in given.items():
            extractor.input(name, mat)
        results = []
        for name in shapes:
            status, result = extractor.extract(name)
            if status:
                raise RuntimeError(f"ncnn stopped with status {status}")
            results.append(result)
        return results

    def to_numpy(results: list[ncnn.Mat]) -> list[np.ndarray]:
        return [
            np.array(y).reshape(shape) for y, shape in zip(results, shapes.values(), strict=True)
        ]

    return call, to_numpy, ncnn.__version__, notes


def _export(model: str, folder: str) -> None:
    """Write ``model.ncnn.param`` and ``model.ncnn.bin`` for the ONNX file ``model``.

    It runs in a process that ends, and imports PyTorch only there: its threads and its OpenMP must
    not be in the process that is measured.
    """
    import pnnx
    import torch

    from .torch_graph import OnnxModule

    graph = read_graph(model)
    take_quantization(graph)
    shapes = [graph.shapes[name] for name in graph.inputs]
    with torch.no_grad():
        traced = torch.jit.trace(OnnxModule(graph).eval(), tuple(map(torch.zeros, shapes)))
    traced.save(str(Path(folder) / "model.pt"))
    extents = ",".join(f"[{','.join(map(str, shape))}]f32" for shape in shapes)
    done = subprocess.run(
        [pnnx.EXEC_PATH, "model.pt", f"inputshape={extents}", "fp16=0"],
        cwd=folder,
        capture_output=True,
        text=True,
    )
    files = (Path(folder) / f"model.ncnn.{end}" for end in ("param", "bin"))
    if done.returncode or not all(file.exists() for file in files):
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise NotSupportedError(f"pnnx exits with {done.returncode}: {lines[-1:]}")
