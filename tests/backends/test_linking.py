"""A scheduled function becomes a library that TVM's runtime alone loads, device code inside."""

from __future__ import annotations

import shutil

import cuda_kernel
import numpy as np
import pytest
import tvm
from tvm.support import ndk
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.backends.cuda.packing import resources_of
from tvm_deconv.backends.linking import compiled, link, linker
from tvm_deconv.errors import TargetError
from tvm_deconv.targets import resolve_target

HOST = resolve_target("host")
# Of this machine's architecture, but of no processor in particular, as one packs for another.
ORIN = resolve_target(
    {"kind": "cuda", "arch": "sm_87", "host": {**HOST.export(), "mcpu": "generic", "mattr": []}}
)
MALI = resolve_target({"kind": "opencl", "device": "mali"})


def library(target, path):
    """The peak kernel of a target as a library; what was compiled, and the library's bytes."""
    built = compiled(backend_of(target).peak(target).func, target)
    link(built, path, linker(target), target)
    return built, path.read_bytes()


def test_a_library_for_this_machine_is_loaded_and_runs(tmp_path):
    built, _ = library(HOST, tmp_path / "peak.so")
    main = tvm.runtime.load_module(str(tmp_path / "peak.so"))["main"]
    shapes = backend_of(HOST).peak(HOST).shapes
    x, y = (tvm.runtime.tensor(np.full(shape, 0.5, "float32")) for shape in shapes)
    main(x, y)
    # Every chain of x / 2 + 1 / 2 ends at 1.
    np.testing.assert_allclose(y.numpy(), 12, rtol=1e-6)
    assert resources_of(built) == {}


@cuda_kernel.required
def test_a_library_for_cuda_holds_machine_code_and_no_source(tmp_path):
    built, content = library(ORIN, tmp_path / "peak.so")
    # As TVM writes a string: its size, then its bytes.
    assert (5).to_bytes(8, "little") + b"cubin" in content
    assert b"__global__" not in content
    (kernel,) = resources_of(built).values()
    assert kernel.spill_bytes == kernel.stack_bytes == 0
    assert 32 < kernel.registers < 64


def test_a_library_for_opencl_holds_source(tmp_path):
    built, content = library(MALI, tmp_path / "peak.so")
    assert b"__kernel void" in content
    assert resources_of(built) == {}


def test_a_linker_that_fails_is_one_line_with_what_it_said(tmp_path):
    built = compiled(backend_of(HOST).peak(HOST).func, HOST)
    with pytest.raises(TargetError, match=r"^linking with false failed: ") as raised:
        link(built, tmp_path / "peak.so", "false", HOST)
    assert "\n" not in str(raised.value)


def test_a_board_without_its_linker_is_refused_before_anything_is_compiled(monkeypatch):
    monkeypatch.setenv("PATH", "")
    target = Target({"kind": "llvm", "mtriple": "riscv64-linux-gnu"})
    with pytest.raises(TargetError, match="needs riscv64-linux-gnu-gcc to link: install it"):
        linker(target)


@pytest.mark.skipif(not shutil.which("aarch64-linux-gnu-gcc"), reason="stands for the NDK's")
def test_what_a_refusal_for_android_advises_links(monkeypatch, tmp_path):
    phone = resolve_target({"kind": "llvm", "mtriple": "aarch64-linux-android", "num-cores": 4})
    with pytest.raises(TargetError, match=r"TVM_NDK_CC .*ndk\.create_shared"):
        linker(phone)
    monkeypatch.setenv("TVM_NDK_CC", "aarch64-linux-gnu-gcc")
    built = compiled(backend_of(phone).peak(phone).func, phone)
    built.export_library(str(tmp_path / "peak.so"), fcompile=ndk.create_shared)
    # The machine in the header of an ELF file.
    assert int.from_bytes((tmp_path / "peak.so").read_bytes()[18:20], "little") == 183
