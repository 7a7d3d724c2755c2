"""What a scheduled PrimFunc takes of an NVIDIA GPU, by the compiler that every machine can have."""

from __future__ import annotations

import os

import pytest
import tvm
from opencl.device import host_of
from tvm.target import Target

from tvm_deconv.backends.cuda import nvrtc
from tvm_deconv.backends.cuda import source as cuda
from tvm_deconv.backends.lowering import lean_lowering

MISSING = "" if nvrtc.installed() else "no NVRTC 12: pip install 'tvm-deconv[cuda12]'"
if MISSING and os.environ.get("TVM_DECONV_REQUIRE_BOARD") == "1":
    # Continuous integration has to run these tests, as it has to run those on the emulated board.
    raise RuntimeError(f"TVM_DECONV_REQUIRE_BOARD=1, but {MISSING}")
required = pytest.mark.skipif(bool(MISSING), reason=MISSING)


def source(func: tvm.tirx.PrimFunc, target: Target) -> str:
    """The CUDA C++ that TVM generates for a scheduled function."""
    mod = tvm.IRModule({"main": func.with_attr("global_symbol", "main")})
    host = host_of(target)
    with pytest.MonkeyPatch.context() as patch:
        # Where there is a driver, TVM would compile the source at once.
        patch.setenv("TVM_COMPILE_FORCE_FALLBACK", "1")
        with lean_lowering(target):
            (module,) = tvm.tirx.build(mod, host).imports
    return str(module.inspect_source())


def nvrtc_12() -> cuda.Compiler:
    """The compiler that every machine can have; there need not be a toolkit."""
    return next(one for one in cuda.compilers() if one.name.startswith("NVRTC"))


def resources(func: tvm.tirx.PrimFunc, target: Target) -> dict[str, cuda.Resources]:
    """What each kernel of the function takes; NVRTC 12, 0.1 to 0.5 s for a kernel."""
    return cuda.resources(source(func, target), str(target.attrs["arch"]), nvrtc_12())


def assert_fits(func: tvm.tirx.PrimFunc, target: Target) -> dict[str, cuda.Resources]:
    """Assert that no kernel spills, and that a block's shared memory and registers are enough."""
    found = resources(func, target)
    assert found
    for name, kernel in found.items():
        assert kernel.spill_bytes == 0, f"{name} spills: {kernel}"
        assert kernel.stack_bytes == 0, f"{name} indexes an array in local memory: {kernel}"
        limit = int(target.attrs.get("max_shared_memory_per_block", 48 * 1024))
        assert kernel.shared_bytes <= limit, f"{name} has more than {limit} shared bytes: {kernel}"
    return found
