"""ncnn, from ONNX through its own converter pnnx, with its default algorithms."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

import ncnn
import numpy as np
import onnx
import pnnx

from .ncnn_bytes import write_scales
from .onnx_bytes import is_quantized, take_quantization
from .onnx_graph import (
    NotSupportedError,
    has_dcr,
    model_of,
    read_graph,
    require_float32,
)
from .onnx_rewrites import fold_batch_norms, shuffles_in_order, without_dcr

if TYPE_CHECKING:
    from tvm_deconv.bench.worker import Inputs, Loaded, Outputs

# ncnn's own benchmark keeps freed memory for the next call, too. They live as long as the process,
# because results may outlive the network that made them.
_BLOBS, _WORKSPACE = ncnn.UnlockedPoolAllocator(), ncnn.PoolAllocator()


def load(model: str, inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
    """ncnn has no batch axis: the first axis of each input is 1 and is dropped.

    Convolutions of a quantized file are of bytes, and all else of float32.
    """
    require_float32(inputs)
    for name, x in inputs.items():
        if x.ndim < 2 or x.shape[0] != 1:
            raise NotSupportedError(f"input {name} of shape {x.shape}: ncnn has no batch axis")
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
        *files, notes = _converted(model, inputs, Path(folder))
        if net.load_param(str(files[0])) or net.load_model(str(files[1])):
            raise NotSupportedError("ncnn cannot load what pnnx made of the model")
    # Named by pnnx.
    given = {f"in{number}": ncnn.Mat(x[0]).clone() for number, x in enumerate(inputs.values())}
    names = [f"out{number}" for number in range(len(outputs))]

    def call() -> list[ncnn.Mat]:
        extractor = net.create_extractor()
        for name, mat in given.items():
            extractor.input(name, mat)
        results = []
        for name in names:
            status, result = extractor.extract(name)
            if status:
                raise RuntimeError(f"ncnn stopped with status {status}")
            results.append(result)
        return results

    def to_numpy(results: list[ncnn.Mat]) -> list[np.ndarray]:
        return [np.array(y)[None] for y in results]

    return call, to_numpy, ncnn.__version__, notes


def _converted(model: str, inputs: Inputs, folder: Path) -> tuple[Path, Path, list[str]]:
    """The two files that ncnn reads, and remarks.

    A file in float32 is converted as it is, but for shuffles that ncnn does not have.
    """
    source = folder / "model.onnx"
    if not is_quantized(model) and not has_dcr(model):
        shutil.copyfile(model, source)
        return *_run_pnnx(source, inputs), []
    graph = read_graph(model)
    ranges = take_quantization(graph)
    fold_batch_norms(graph)
    shuffles_in_order(graph, "CRD")
    without_dcr(graph)
    onnx.save(model_of(graph), source)
    param, weights = _run_pnnx(source, inputs)
    return param, weights, write_scales(param, weights, graph, ranges) if ranges else []


def _run_pnnx(source: Path, inputs: Inputs) -> tuple[Path, Path]:
    extents = ",".join(f"[{','.join(map(str, x.shape))}]f32" for x in inputs.values())
    done = subprocess.run(
        [pnnx.EXEC_PATH, source.name, f"inputshape={extents}", "fp16=0"],
        cwd=source.parent,
        capture_output=True,
        text=True,
    )
    files = source.with_suffix(".ncnn.param"), source.with_suffix(".ncnn.bin")
    if done.returncode or not all(file.exists() for file in files):
        lines = (done.stdout + done.stderr).strip().splitlines()
        raise NotSupportedError(f"pnnx exits with {done.returncode}: {lines[-1:]}")
    return files
