"""GPU machine descriptions follow a target, and default tiles fit the machine that they are for."""

from __future__ import annotations

import kernel
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.gpu.form import GpuForm
from tvm_deconv.schedules.gpu.model import candidates, choose_tile, kernel_cycles
from tvm_deconv.schedules.gpu.tile import COPY, READ, SHARED
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.variant import Sizes

TARGETS = [
    Target({"kind": "cuda", "arch": "sm_53"}),
    Target({"kind": "cuda", "arch": "sm_87"}),
    Target({"kind": "cuda", "arch": "sm_90a"}),
    Target({"kind": "opencl", "device": "mali"}),
    Target({"kind": "opencl", "device": "adreno"}),
    Target({"kind": "opencl"}),
]
MACHINES = [machine_of(target) for target in TARGETS]


@pytest.mark.parametrize(
    ("config", "name", "threads", "shared", "lanes"),
    [
        ({"kind": "cuda", "arch": "sm_87"}, "sm_87", 1024, 48, 1),
        ({"kind": "opencl", "device": "mali"}, "mali", 256, 16, 4),
        ({"kind": "opencl", "device": "adreno"}, "adreno", 256, 16, 4),
        ({"kind": "opencl"}, "opencl", 256, 16, 4),
    ],
)
def test_a_machine_has_the_limits_of_its_target(config, name, threads, shared, lanes):
    machine = machine_of(Target(config))
    assert (machine.name, machine.max_threads, machine.lanes) == (name, threads, lanes)
    assert machine.shared_bytes == shared * 1024


def test_a_caller_can_lower_the_limits():
    limits = {"max_threads_per_block": 128, "max_shared_memory_per_block": 8192}
    machine = machine_of(Target({"kind": "cuda", "arch": "sm_87", **limits}))
    assert (machine.max_threads, machine.shared_bytes) == (128, 8192)


def test_a_larger_limit_than_tvm_launches_with_does_not_count():
    config = {"kind": "cuda", "arch": "sm_90", "max_shared_memory_per_block": 232448}
    assert machine_of(Target(config)).shared_bytes == 48 * 1024


@pytest.mark.parametrize("config", [{"kind": "vulkan"}, {"kind": "cuda", "arch": "sm_next"}])
def test_a_target_without_schedules_is_refused_by_name(config):
    with pytest.raises(TargetError, match=r"vulkan|sm_next"):
        machine_of(Target(config))


def test_each_kind_of_machine_has_its_variants_and_a_tie_is_decided_alike():
    assert variants_for(machine_of(Target("llvm"))) is VARIANTS
    assert variants_for(MACHINES[0]) is GPU_VARIANTS
    both = [name for name in VARIANTS if name in GPU_VARIANTS]
    assert both == [name for name in GPU_VARIANTS if name in VARIANTS] != []


@given(kernel.layers(), st.sampled_from(MACHINES), st.sampled_from(["revd2", "tdc"]), st.booleans())
@settings(max_examples=60)
def test_a_default_tile_keeps_every_rule_of_the_tile_and_every_limit(layer, machine, name, known):
    conv, (n, h, w) = layer
    variant = variants_for(machine)[name]
    tile = variant.choose(conv, Sizes(n, h, w) if known else Sizes(None, None, None), machine)
    phases = conv.h.stride * conv.w.stride if name == "revd2" else 1
    assert tile.threads <= machine.max_threads
    assert tile.shared_bytes(conv, phases) <= machine.shared_bytes
    assert conv.group_inputs % tile.reduction == 0
    assert conv.groups == 1 or conv.group_outputs % tile.block_channels == 0
    assert tile.lanes in (1, machine.lanes)
    sums = tile.channels * tile.rows * tile.lanes * phases
    assert sums <= max(machine.accumulators, phases)


def test_mali_gets_nothing_in_shared_memory_and_cuda_both_operands():
    conv = ConvTranspose2d(64, 64, *kernel.square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    staged = {}
    for machine in MACHINES:
        tile = choose_tile(GpuForm(conv, Sizes(1, 128, 128), 4), machine)
        staged[machine.name] = tile.stage_input, tile.stage_weights
    assert staged["mali"] == (COPY, 0)
    assert staged["sm_87"] == staged["adreno"] == (SHARED, 1)


def test_a_kernel_of_one_tap_reads_the_input_where_it_lies_on_mali():
    conv = ConvTranspose2d(8, 8, *kernel.square(Axis, 1))
    (mali,) = (machine for machine in MACHINES if machine.name == "mali")
    assert choose_tile(GpuForm(conv, Sizes(1, 16, 16), 1), mali).stage_input == READ


def test_there_is_a_tile_for_the_smallest_device():
    limits = {"max_threads_per_block": 1, "max_shared_memory_per_block": 0}
    machine = machine_of(Target({"kind": "opencl", **limits}))
    conv = ConvTranspose2d(7, 3, *kernel.square(Axis, 5))
    tile = choose_tile(GpuForm(conv, Sizes(1, 9, 9), 1), machine)
    assert (tile.threads, tile.shared_bytes(conv, 1)) == (1, 0)


def test_the_model_prefers_more_sums_to_a_thread_until_they_are_too_many():
    conv = ConvTranspose2d(64, 64, *kernel.square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    machine, sizes = MACHINES[1], Sizes(1, 512, 512)
    best = choose_tile(GpuForm(conv, sizes, 4), machine)
    single = next(t for t in candidates(conv, sizes, machine, 4) if t.channels == t.rows == 1)
    assert best.channels * best.rows > 4
    fast, slow = (kernel_cycles(conv, sizes, tile, machine, 4) for tile in (best, single))
    assert slow > 1.5 * fast


@pytest.mark.parametrize("name", ["revd2", "tdc", "strd", "winograd"])
def test_the_default_for_a_tall_image_keeps_to_the_blocks_that_cuda_can_start(name):
    conv = ConvTranspose2d(1, 1, *kernel.square(axis_of_resize, ConvAxis(3, 1, 1), 2))
    cuda, sizes = MACHINES[1], Sizes(1, 300_000, 4)
    variant = variants_for(cuda)[name]
    said = variant.space.refusal(conv, sizes, variant.choose(conv, sizes, cuda), cuda)
    # The planes of tdc are read an output row at a time, whatever its tile is.
    assert said == (None if name != "tdc" else "600000 blocks along y, more than 65535")
    assert choose(conv, sizes, "float32", cuda).variant.name != "tdc"
