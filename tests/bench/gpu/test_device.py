"""Every variant on a real NVIDIA GPU: checked against float64, and measurable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys

import pytest
from paths import ROOT

from tvm_deconv.backends.cuda.compilers import compilers
from tvm_deconv.bench.gpu import pack as gpu_pack
from tvm_deconv.bench.gpu.worker import read
from tvm_deconv.errors import TargetError

# Small ones of every kind: with groups, without bias, of uneven taps, and each with an activation.
LAYERS = [
    "espcn-x3/subpixel",
    "srgan-x4/subpixel1",
    "carn-m-x2/subpixel",
    "rrdbnet-x4/up1",
    "monodepth/upconv2",
    "fsrcnn-x4/deconv",
    "dcgan/deconv-128-3",
    "dbnet/deconv-64-1",
    "cyclegan/deconv-128-64",
    "unet/upconv-128-64",
]

pytestmark = pytest.mark.gpu


def missing() -> str | None:
    """Why nothing can be run on a GPU here, in words."""
    if shutil.which("nvidia-smi") is None:
        return "there is no NVIDIA driver: nvidia-smi is not found"
    try:
        gpu_pack.arch_here()
    except TargetError as error:
        return str(error)
    return None if compilers() else "nothing here compiles CUDA: no nvcc, no NVRTC"


@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_every_variant_computes_its_layers_on_the_card(dtype, tmp_path):
    reason = missing()
    if reason:
        pytest.skip(f"no NVIDIA GPU: {reason}")
    out, folder = tmp_path / "pack", tmp_path / "results"
    chosen = ["--workloads", *LAYERS, "--dtypes", dtype, "--candidates", "2", "--out", str(out)]
    options = gpu_pack.parser().parse_args(["--arch", gpu_pack.arch_here(), *chosen])
    manifest = gpu_pack.pack(options)
    failed = [kernel for kernel in manifest["kernels"] if kernel["status"] == "failed"]
    assert not failed
    script = [sys.executable, "scripts/gpu_bench.py", "--no-peers", "--limit", "0.2"]
    command = [*script, "--dtypes", dtype, "--pack", str(out), "--out", str(folder)]
    env = {**os.environ, "PYTHONPATH": "."}
    done = subprocess.run(command, capture_output=True, text=True, env=env, cwd=ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
    results = read(folder / f"gpu-{dtype}.json")
    assert list(results["workloads"]) == list(manifest["layers"])
    for workload in results["workloads"].values():
        assert workload["contestants"]["auto"]["status"] == "measured"
