"""A new device API is one subclass and its line in the table: nobody else asks for the kind."""

from __future__ import annotations

import pytest
import tvm
from log_helper import LAYER
from small_networks import leftovers, resized
from tvm import tirx

import tvm_deconv
from tvm_deconv.backends import (
    LibraryDevice,
    backend_of,
    device_for,
    identity_of,
    machine_of,
    missing_runtime,
    registry,
)
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.backends.gpu import Gpu
from tvm_deconv.errors import DeviceError, ModelError, TargetError, TuningError
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.targets import resolve_target
from tvm_deconv.tuning.features import features
from tvm_deconv.tuning.ops import check_rules
from tvm_deconv.tuning.search import default_candidates

KIB = 1024


class Vulkan(Gpu):
    """As much as one has to say of an API; what it guarantees is in Vulkan's "Required Limits"."""

    kind = device_kind = "vulkan"
    name = "Vulkan"
    cure = "build TVM's runtime there with USE_VULKAN=ON"

    def check_target(self, target):
        return None

    def machine(self, target):
        return GpuMachine(
            name="vulkan",
            warp=32,
            max_threads=128,
            shared_bytes=16 * KIB,
            shared_is_real=True,
            registers=128,
            lanes=1,
            units=8,
            unit_registers=64 * KIB,
            unit_shared_bytes=64 * KIB,
            fma_lanes=64,
            accumulators=32,
            extents=tuple((f"blockIdx.{axis}", 65535) for axis in "xyz"),
        ).limited(target)


@pytest.fixture
def vulkan(monkeypatch):
    added = Vulkan()
    for table in (registry._BY_KIND, registry._BY_DEVICE):
        monkeypatch.setitem(table, "vulkan", added)
    return resolve_target("vulkan")


def test_a_network_is_explained_and_every_kernel_gets_a_schedule_that_fits(vulkan):
    report = str(tvm_deconv.explain(resized(), target=vulkan, log=None))
    assert "column_threads=" in report and "4 by variants of ours" in report
    with tvm.transform.PassContext(config={"tirx.disable_cse_tir": True}):
        passes = tvm_deconv.pipeline(vulkan, log=None)
        mod = passes(tvm_deconv.importer.load(leftovers()))
    kernels = [f for _, f in mod.functions_items() if isinstance(f, tirx.PrimFunc)]
    kernels = [func for func in kernels if "tirx.is_host_func" not in func.attrs]
    assert kernels and all(func.attrs["tirx.is_scheduled"] for func in kernels)
    assert all(backend_of(vulkan).refusal(func, vulkan) is None for func in kernels)


def test_the_tuner_has_candidates_features_and_a_peak(vulkan):
    machine = machine_of(vulkan)
    for made in default_candidates(LAYER, machine):
        assert backend_of(vulkan).refusal(made.kernel(), vulkan) is None
        assert features(made, machine).ndim == 1
    assert backend_of(vulkan).refusal(backend_of(vulkan).peak(vulkan).func, vulkan) is None
    assert identity_of(vulkan).device_name == "vulkan"


def test_what_cannot_be_is_said_in_its_name(vulkan):
    backend = backend_of(vulkan)
    with pytest.raises(TargetError, match="threads are those of a CPU: vulkan takes none"):
        tvm_deconv.compile("net.onnx", vulkan, threads=2)
    with pytest.raises(TuningError, match="but none for Vulkan"):
        check_rules(vulkan)
    with pytest.raises(DeviceError, match=r"here has no Vulkan: build TVM's .*USE_VULKAN"):
        backend.check_device(vulkan, lambda kind: DeviceFacts(has_runtime=False), "here")
    error = RuntimeError("created using {vulkan} but a loader")
    assert missing_runtime(error).startswith("it is for Vulkan, and this TVM has no Vulkan runtime")


def test_a_library_for_what_is_not_in_the_table_is_refused():
    with pytest.raises(ModelError, match="is for vulkan, which this version does not know"):
        device_for(LibraryDevice("vulkan"), "net.so")
