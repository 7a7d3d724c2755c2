"""The card as a device, and libraries for it, as far as both can be tried without one."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from paths import ROOT, TESTS, python_path

from tvm_deconv.backends.cuda.compilers import compilers
from tvm_deconv.bench.gpu import pack as gpu_pack
from tvm_deconv.bench.gpu.cuda import CudaDevice, CudaError
from tvm_deconv.bench.gpu.worker import read

needs_compiler = pytest.mark.skipif(
    not compilers(), reason="nothing here compiles CUDA: no nvcc, no NVRTC"
)
LAYER = "dcgan/deconv-128-3"
FAKE = Path(__file__).parent / "fake_cuda.c"


@pytest.fixture(scope="module")
def pack(tmp_path_factory):
    """A small layer for an H100: the folder, and the record of its one kernel."""
    out = tmp_path_factory.mktemp("pack")
    names = ["--workloads", LAYER, "--variants", "revd2", "--dtypes", "float32", "--out", str(out)]
    manifest = gpu_pack.pack(gpu_pack.parser().parse_args(["--arch", "sm_90", *names]))
    (kernel,) = manifest["kernels"]
    assert kernel["status"] == "packed", kernel
    return out, kernel


@needs_compiler
def test_a_library_for_a_card_holds_machine_code_and_what_it_takes_is_known(pack):
    folder, kernel = pack
    assert all(each["registers"] for each in kernel["resources"].values())
    content = (folder / kernel["library"]).read_bytes()
    begin = content.index(b"\x7fELF\x02", 4)  # the library itself is an ELF file, too
    machine, flags = (int.from_bytes(content[begin + i :][:2], "little") for i in (18, 48))
    # EM_CUDA; in the flags of an ELF file of CUDA the lowest byte is the architecture.
    assert (machine, flags & 0xFF) == (190, 90)
    assert b"__global__" not in content


@needs_compiler
def test_tvms_runtime_alone_hands_the_machine_code_to_the_driver(pack, tmp_path):
    for name, options in (("libcudart.so.13", []), ("libcuda.so.1", ["-DDRIVER"])):
        command = ["gcc", "-shared", "-fPIC", "-w", *options, f"-Wl,-soname,{name}"]
        subprocess.run([*command, "-o", tmp_path / name, FAKE], check=True)
    env = {
        **os.environ,
        "LD_LIBRARY_PATH": str(tmp_path),
        "TVM_USE_RUNTIME_LIB": "1",
        "PYTHONPATH": python_path(".", TESTS / "runtime_only"),
    }
    options = ["--no-peers", "--limit", "0.01", "--pack", str(pack[0]), "--out", str(tmp_path)]
    done = subprocess.run(
        [sys.executable, "scripts/gpu_bench.py", *options],
        capture_output=True,
        text=True,
        env=env,
        cwd=ROOT,
    )
    told = [line for line in done.stderr.splitlines() if line.startswith(("loaded", "found"))]
    # The multiply-add peak, then the kernel.
    assert told == ["loaded ELF 1, machine 190, architecture 90", "found main_kernel"] * 2
    contestants = read(tmp_path / "gpu-float32.json")["workloads"][LAYER]["contestants"]
    assert contestants["peak"]["ms"]
    # What nobody computes is not a number: it was set so before.
    assert contestants["revd2"]["reason"] == "the largest error is inf, over 1e-05"


class Library:
    """CUDA's runtime as far as a device that is there already asks it."""

    def __init__(self, failing=None):
        self.calls, self.failing = [], failing
        self.cudaGetErrorString = lambda status: b"no such luck"

    def __getattr__(self, name):
        def call(*arguments):
            self.calls.append(name)
            return 700 if name == self.failing else 0

        return call


def cuda(library):
    device = object.__new__(CudaDevice)
    device._library, device.stream = library, 0x7F0012345678
    device._events = [ctypes.c_void_p(1), ctypes.c_void_p(2)]
    library.cudaGetErrorString = type("Function", (), {"__call__": lambda *_: b"no such luck"})()
    return device


def test_a_pass_is_captured_once_and_replayed_between_events():
    library = Library()
    device = cuda(library)
    made = []
    replay = device.record([lambda: made.append(1)] * 3)
    assert (len(made), library.calls) == (
        3,
        [
            "cudaDeviceSynchronize",
            "cudaStreamBeginCapture",
            "cudaStreamEndCapture",
            "cudaGraphInstantiate",
            "cudaGraphDestroy",
        ],
    )
    library.calls.clear()
    assert device.time(replay) == 0
    assert library.calls == [
        "cudaEventRecord",
        "cudaGraphLaunch",
        "cudaEventRecord",
        "cudaEventSynchronize",
        "cudaEventElapsedTime",
    ]
    library.calls.clear()
    del replay
    assert library.calls == ["cudaGraphExecDestroy"]


def test_a_call_that_fails_while_it_is_captured_ends_the_capture():
    library = Library()

    def fail():
        raise ValueError("not this one")

    with pytest.raises(ValueError, match="not this one"):
        cuda(library).record([fail])
    assert library.calls[-1] == "cudaStreamEndCapture"


def test_an_error_of_cuda_says_which_call_and_why():
    with pytest.raises(CudaError, match="cudaMemsetAsync: no such luck"):
        cuda(Library("cudaMemsetAsync")).fill(1 << 40, 255, 16)
