import cuda_kernel
import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm import relax, te
from tvm.s_tir import dlight
from tvm.target import Target

from tvm_deconv.backends.cuda import compilers as cuda_compilers
from tvm_deconv.backends.cuda import nvrtc
from tvm_deconv.backends.cuda import source as cuda
from tvm_deconv.errors import TargetError

# Jetson Nano, TX2, Xavier and Orin.
BOARDS = ("sm_53", "sm_62", "sm_72", "sm_87")

REVERSE = """
extern "C" __global__ void reverse(const float* x, float* y) {
  __shared__ float s[64];
  s[threadIdx.x] = x[threadIdx.x];
  __syncthreads();
  y[threadIdx.x] = s[63 - threadIdx.x];
}
"""
# 96 sums, and 64 registers for a thread of 1024.
HUNGRY = """
extern "C" __global__ void __launch_bounds__(1024) hungry(float* x, int n) {
  float s[96];
  for (int i = 0; i < 96; i++) s[i] = x[i];
  for (int j = 0; j < n; j++)
    for (int i = 0; i < 96; i++) s[i] = s[i] * x[j * 96 + i];
  for (int i = 0; i < 96; i++) x[i] = s[i];
}
"""
INDEXED = """
extern "C" __global__ void indexed(float* x, int n) {
  float s[32];
  for (int i = 0; i < 32; i++) s[i] = 0;
  for (int j = 0; j < n; j++) s[(int)x[j] & 31] += 1;
  for (int i = 0; i < 32; i++) x[i] = s[i];
}
"""
TOO_MUCH_SHARED = REVERSE.replace("64", "20000")


def matmul(dtype, target):
    """128 x 64 by 64 x 96, with shared memory, as DLight schedules it."""
    a, b = te.placeholder((128, 64), dtype), te.placeholder((64, 96), dtype)
    k = te.reduce_axis((0, 64))
    c = te.compute((128, 96), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k))
    func = te.create_prim_func([a, b, c]).with_attr("tirx.noalias", True)
    with target:
        mod = dlight.ApplyDefaultSchedule(dlight.gpu.Matmul())(tvm.IRModule({"main": func}))
    return mod["main"]


def cuda_target(arch):
    return Target({"kind": "cuda", "arch": arch})


@cuda_kernel.required
@pytest.mark.parametrize("arch", BOARDS)
def test_nvrtc_compiles_for_every_board(arch):
    found = cuda.resources(REVERSE, arch, cuda_kernel.nvrtc_12())
    assert list(found) == ["reverse"]
    kernel = found["reverse"]
    assert kernel.shared_bytes == 64 * 4
    assert 0 < kernel.registers < 32
    assert kernel.spill_bytes == kernel.stack_bytes == 0


@cuda_kernel.required
@pytest.mark.parametrize("dtype", ["float32", "float16"])
def test_the_source_of_tvm_compiles_and_fits(dtype):
    for arch in BOARDS:
        found = cuda_kernel.assert_fits(matmul(dtype, cuda_target(arch)), cuda_target(arch))
        assert [kernel.shared_bytes > 0 for kernel in found.values()] == [True]


@cuda_kernel.required
def test_spills_and_indexed_arrays_are_noticed():
    found = cuda.resources(HUNGRY + INDEXED, "sm_53", cuda_kernel.nvrtc_12())
    assert found["hungry"].spill_bytes > 0
    assert found["indexed"].stack_bytes >= 32 * 4
    assert found["indexed"].spill_bytes == 0


@cuda_kernel.required
def test_a_kernel_with_too_much_shared_memory_is_an_error_that_names_it():
    with pytest.raises(TargetError, match=r"sm_53: .*'reverse' uses too much shared data"):
        cuda.compile_source(TOO_MUCH_SHARED, "sm_53")


@cuda_kernel.required
def test_source_that_is_no_cuda_is_an_error_with_its_line():
    with pytest.raises(TargetError, match=r"rejects a kernel for sm_53: kernels.cu\(1\): error"):
        cuda.compile_source("nonsense", "sm_53")


@pytest.mark.skipif(
    len(cuda.compilers()) < 2, reason="nvcc (with g++) and NVRTC 12 are not both here"
)
def test_nvcc_and_nvrtc_agree():
    library, nvcc = sorted(cuda.compilers(), key=lambda compiler: compiler.name)
    arch = nvcc.architectures[0]
    one = cuda.resources(REVERSE + INDEXED, arch, nvcc)
    other = cuda.resources(REVERSE + INDEXED, arch, library)
    assert one.keys() == other.keys()
    for name in one:
        assert one[name].shared_bytes == other[name].shared_bytes
        assert one[name].stack_bytes == other[name].stack_bytes
    with pytest.raises(TargetError, match=r"nvcc .* rejects a kernel for .*: kernels.cu\(1\): "):
        cuda.resources("nonsense", arch, nvcc)


def fake(name, *architectures):
    return cuda.Compiler(name, architectures, lambda source, arch: (name.encode(), ""))


@pytest.mark.parametrize(
    ("toolkit", "chosen"), [("nvcc 13.0", "NVRTC 12.9"), ("nvcc 12.6", "nvcc 12.6")]
)
def test_the_oldest_cuda_that_knows_the_architecture_compiles(monkeypatch, toolkit, chosen):
    monkeypatch.setattr(cuda_compilers, "_toolkit", lambda: [fake(toolkit, "sm_75", "sm_130")])
    monkeypatch.setattr(cuda_compilers, "_pip", lambda: [fake("NVRTC 12.9", "sm_53", "sm_75")])
    monkeypatch.setattr(cuda, "check_architecture", lambda arch: None)
    assert cuda.compiler_for("sm_75").name == chosen
    assert cuda.compiler_for("sm_75a").name == chosen
    assert cuda.compiler_for("sm_130").name == toolkit
    assert cuda.compiler_for("sm_53").name == "NVRTC 12.9"


@pytest.mark.parametrize(
    ("found", "nvrtc_there", "lacks_host_compiler", "message"),
    [
        ([], False, False, r"for sm_53 \(found: none\): pip install .*cuda12"),
        ([], False, True, r"\(found: nvcc without the g\+\+ that it needs\): pip install"),
        (
            [fake("nvcc 13.0", "sm_75", "sm_121")],
            False,
            False,
            r"\(found: nvcc 13.0 for sm_75 to sm_121\): pip install .*cuda12",
        ),
        ([fake("NVRTC 12.9", "sm_60")], True, False, r"NVRTC 12.9 .*: install a newer CUDA"),
    ],
)
def test_nobody_to_compile_is_an_error_with_what_to_install(
    monkeypatch, found, nvrtc_there, lacks_host_compiler, message
):
    monkeypatch.setattr(cuda, "compilers", lambda: found)
    monkeypatch.setattr(cuda, "lacks_host_compiler", lambda: lacks_host_compiler)
    monkeypatch.setattr(nvrtc, "installed", lambda: nvrtc_there or None)
    with pytest.raises(TargetError, match=message):
        cuda.compile_source(REVERSE, "sm_53")


def test_a_toolkit_without_host_compiler_is_left_alone(monkeypatch, tmp_path):
    nvcc = tmp_path / "nvcc"
    nvcc.write_text("#!/bin/sh\n")
    nvcc.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert cuda_compilers.lacks_host_compiler()
    assert cuda_compilers._toolkit.__wrapped__() == []


@pytest.mark.parametrize("arch", ["sm_99", "foo", "sm_35", "", "compute_87"])
def test_an_unknown_architecture_is_an_error_before_anybody_is_asked(monkeypatch, arch):
    monkeypatch.setattr(cuda, "compilers", lambda: pytest.fail("asked for a compiler"))
    with pytest.raises(TargetError, match=f"architecture '{arch}'"):
        cuda.compile_source(REVERSE, arch)


@pytest.fixture
def registered():
    """TVM with our compiler; afterwards as before."""
    name = "tvm_callback_cuda_compile"
    before = tvm_ffi.get_global_func(name)
    cuda.register()
    yield
    tvm_ffi.register_global_func(name, before, override=True)
    tvm_ffi.registry.remove_global_func("tvm_callback_cuda_postproc")


def machine_code_of(source):
    return bytes(tvm_ffi.get_global_func("tvm_callback_cuda_compile")(source))


@cuda_kernel.required
def test_tvm_compiles_for_the_architecture_of_its_target(registered, monkeypatch):
    monkeypatch.setenv("TVM_COMPILE_FORCE_FALLBACK", "1")
    target = cuda_target("sm_62").with_host(Target("llvm"))
    (module,) = tvm.tirx.build(matmul("float32", target), target).imports
    cubin = machine_code_of(module.inspect_source())
    assert cubin[:4] == b"\x7fELF"
    # In the flags of an ELF file of CUDA the lowest byte is the architecture.
    assert int(np.frombuffer(cubin, "uint32", 1, 48)[0]) & 0xFF == 62


def test_a_network_for_an_unknown_architecture_is_an_error_before_it_is_compiled(registered):
    x = relax.Var("x", relax.TensorType((4, 4), "float32"))
    builder = relax.BlockBuilder()
    with builder.function("main", [x]):
        builder.emit_func_output(builder.emit(relax.op.nn.relu(x)))
    with pytest.raises(TargetError, match="unknown CUDA architecture 'sm_99'"):
        relax.build(builder.finalize(), cuda_target("sm_99").with_host(Target("llvm")))


def test_source_for_no_architecture_is_an_error(registered, monkeypatch):
    def no_gpu(_target):
        raise ValueError("No CUDA architecture was specified or GPU detected.")

    monkeypatch.setattr(cuda.stock, "get_target_compute_version", no_gpu)
    with pytest.raises(TargetError, match="CUDA source for no architecture"):
        machine_code_of(REVERSE)
