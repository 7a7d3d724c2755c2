"""compile, explain and run for GPUs on the command line; a library for OpenCL runs on PoCL."""

from __future__ import annotations

import re
import shutil

import numpy as np
import onnx
import opencl
import pytest
import tvm
import tvm_ffi
from onnx_net import Net
from opencl.device import Kernels
from PIL import Image

import tvm_deconv
from tvm_deconv import cli, runner
from tvm_deconv.backends import LibraryDevice, device_for
from tvm_deconv.backends.cuda import packing as cuda_packing
from tvm_deconv.backends.cuda import source as cuda
from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.pictures.network import Network
from tvm_deconv.targets import resolve_target

JETSON = "nvidia/jetson-agx-orin-64gb"
PHONE = '{"kind": "opencl", "device": "mali"}'
EM_X86_64, EM_AARCH64, EM_CUDA = 62, 183, 190

needs_arm = pytest.mark.skipif(
    shutil.which("aarch64-linux-gnu-gcc") is None,
    reason="no linker for aarch64: apt install gcc-aarch64-linux-gnu",
)


def has_cuda(arch: str) -> bool:
    try:
        cuda.compiler_for(arch)
    except TargetError:
        return False
    return True


needs_cuda = pytest.mark.skipif(not has_cuda("sm_87"), reason="nothing here compiles for sm_87")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A model that enlarges the luma by 2, a picture, and libraries for two GPUs."""
    folder = tmp_path_factory.mktemp("gpu")
    net = Net((1, 1, 8, 12))
    x = net("Relu", net.conv("x", 1, 4))
    onnx.save(net.model(net("DepthToSpace", x, blocksize=2, mode="CRD")), folder / "net.onnx")
    pixels = np.random.default_rng(3).integers(0, 256, (8, 12, 3), np.uint8)
    Image.fromarray(pixels).save(folder / "image.png")
    for name, target in (("phone", PHONE), ("host", "host")):
        library = str(folder / f"{name}.so")
        command = ["compile", str(folder / "net.onnx"), "-o", library, "--target", target]
        assert cli.main(command) == 0
    return folder


def machines(library: bytes) -> list[int]:
    """The architectures of the ELF files in a library: itself, then device code."""
    starts = [found.start() for found in re.finditer(b"\x7fELF", library)]
    return [int.from_bytes(library[start + 18 : start + 20], "little") for start in starts]


@needs_arm
@needs_cuda
def test_a_library_for_a_jetson_holds_machine_code_for_its_gpu_and_its_processor(folder, tmp_path):
    library = tmp_path / "jetson.so"
    command = ["compile", str(folder / "net.onnx"), "-o", str(library), "--target", JETSON]
    assert cli.main(command) == 0
    content = library.read_bytes()
    assert machines(content)[0] == EM_AARCH64
    assert EM_CUDA in machines(content)
    # The format of the device's code as TVM writes a string: its size, then its bytes.
    assert (5).to_bytes(8, "little") + b"cubin" in content
    assert b"__global__" not in content, "no source is left"


@needs_arm
def test_a_library_for_mali_holds_source_and_is_for_the_boards_processor(folder, tmp_path):
    library = tmp_path / "mali.so"
    options = ["--target", "arm/mali-g52", "--variant", "revd2"]
    assert cli.main(["compile", str(folder / "net.onnx"), "-o", str(library), *options]) == 0
    content = library.read_bytes()
    assert machines(content) == [EM_AARCH64]
    assert b"__kernel void revd2_conv2d_transpose_kernel" in content


def test_explain_prints_variants_and_parameters_for_a_gpu(folder, capsys):
    assert cli.main(["explain", str(folder / "net.onnx"), "--target", JETSON]) == 0
    _, kernels = capsys.readouterr().out.split("\n\n")
    assert "conv2d_transpose 6x6 stride 2, 1->1, 8x12" in kernels
    assert "column_threads=" in kernels
    assert "1 by variants of ours, 0 left to TVM" in kernels


BAD = [
    ("compile net.onnx -o out.so --target cuda", "CUDA for which GPU[?] Give its architecture"),
    ('compile net.onnx -o out.so --target {"kind":"cuda","arch":"sm_78"}', "'sm_78': did you mean"),
    ('explain net.onnx --target {"kind":"opencl","device":"mail"}', "unknown OpenCL device 'mail'"),
    ("explain net.onnx --target arm/mali-g25", "unknown target 'arm/mali-g25': did you mean"),
    ("compile net.onnx -o out.so --target qcom/adreno-vulkan", "no schedules for vulkan"),
    (f"compile net.onnx -o out.so --target {JETSON} --threads 4", "threads are those of a CPU"),
    (
        'compile net.onnx -o out.so --target {"kind":"opencl","host":{"kind":"llvm",'
        '"mtriple":"arm64-linux-android"}}',
        "linking for arm64-linux-android takes the Android NDK",
    ),
    ("run phone.so image.png -o out.png", "it is for OpenCL, and this TVM has no OpenCL runtime: "),
]


@pytest.mark.parametrize(("arguments", "message"), BAD)
def test_bad_input_is_one_line_and_status_2(folder, monkeypatch, capfd, arguments, message):
    monkeypatch.chdir(folder)
    before = sorted(folder.iterdir())
    capfd.readouterr()
    assert cli.main(arguments.split(" ")) == 2
    output = capfd.readouterr()
    assert re.fullmatch(rf"tvm-deconv: .*{message}.*\n", output.err), output.err
    assert sorted(folder.iterdir()) == before, "nothing is left behind"


@opencl.required
def test_run_upscales_with_a_library_for_opencl(folder, tmp_path):
    kernels = Kernels(resolve_target(PHONE))
    with kernels.collected():
        tvm_deconv.compile(str(folder / "net.onnx"), PHONE)
    image = str(folder / "image.png")
    runner.run(folder / "host.so", image, tmp_path / "host.png")
    loader = "ffi.Module.load_from_bytes.opencl"
    tvm_ffi.register_global_func(loader, lambda _: tvm_ffi.system_lib("no_function_begins_so_"))
    try:
        with kernels.running():
            out = str(tmp_path / "phone.png")
            assert cli.main(["run", str(folder / "phone.so"), image, "-o", out]) == 0
    finally:
        tvm_ffi.registry.remove_global_func(loader)
    assert kernels.launches
    with Image.open(out) as found, Image.open(tmp_path / "host.png") as wanted:
        difference = np.asarray(found).astype(int) - np.asarray(wanted)
    assert np.abs(difference).max() <= 1


class Gpu:
    """A device as TVM shows it."""

    def __init__(self, exist=True, compute_version="8.7"):
        self.exist, self.compute_version = exist, compute_version


@pytest.mark.parametrize(
    ("description", "gpu", "message"),
    [
        (LibraryDevice("cuda", "sm_87"), Gpu(exist=False), "CUDA, but no CUDA GPU is found"),
        (LibraryDevice("opencl"), Gpu(exist=False), "OpenCL, but no OpenCL GPU is found"),
        (
            LibraryDevice("cuda", "sm_87"),
            Gpu(compute_version="7.2"),
            "sm_87, but the GPU .* is sm_72: ",
        ),
        (
            LibraryDevice("cuda", "sm_87"),
            Gpu(compute_version="8.6"),
            "sm_87, but the GPU .* is sm_86: ",
        ),
        (
            LibraryDevice("cuda", "sm_72"),
            Gpu(compute_version="8.7"),
            "sm_72, but the GPU .* is sm_87: ",
        ),
        (
            LibraryDevice("cuda", "sm_90a"),
            Gpu(compute_version="9.2"),
            "sm_90a, but the GPU .* is sm_92",
        ),
        (LibraryDevice("cuda", "sm_53"), Gpu(compute_version="5.3"), None),
        (LibraryDevice("cuda", "sm_86"), Gpu(compute_version="8.9"), None),
        (LibraryDevice("cuda", "sm_110a"), Gpu(compute_version="11.0"), None),
        (LibraryDevice("opencl"), Gpu(), None),
    ],
)
def test_a_library_runs_only_on_the_gpu_that_it_is_for(monkeypatch, description, gpu, message):
    monkeypatch.setattr(tvm, "device", lambda kind, index: gpu)
    if message is None:
        assert device_for(description, "net.so") is gpu
    else:
        with pytest.raises(ModelError, match=f"^net.so is for {message}"):
            device_for(description, "net.so")


def test_a_library_for_the_processor_runs_there():
    assert device_for(LibraryDevice(), "net.so") == tvm.cpu()


@needs_cuda
def test_a_runtime_that_does_not_load_is_told_from_one_that_is_missing(folder, tmp_path):
    library = tmp_path / "cuda.so"
    options = ["--target", '{"kind": "cuda", "arch": "sm_87"}']
    assert cli.main(["compile", str(folder / "net.onnx"), "-o", str(library), *options]) == 0
    if tvm.cuda(0).exist:
        pytest.skip("this machine has a CUDA GPU")
    with pytest.raises(ModelError, match="for CUDA, and TVM's runtime for that does not load here"):
        Network.open(library)


def test_nothing_but_cuda_source_changes_where_a_library_is_packed():
    def string(content):
        return len(content).to_bytes(8, "little") + content

    modules = string(b"relax.VMExecutable") + string(b"cuda") + string(b"_lib")
    modules += string(b"cuda") + string(string(b"ptx") + b"..." + string(b"code"))
    tree = (2).to_bytes(8, "little") + bytes(16) + (1).to_bytes(8, "little") + bytes(8)
    packed = string(tree + modules)
    assert cuda_packing.with_machine_code(packed, []) == packed
