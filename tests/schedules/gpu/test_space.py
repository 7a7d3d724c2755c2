"""The tuner's space on GPUs: limits are verified before anything is built, and points are right.

Each kind of GPU has a space of its own; that of Mali stages nothing in shared memory.
"""

from __future__ import annotations

from dataclasses import replace

import kernel
import opencl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel import has_output, layers, square
from space_points import check_default, feasible
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import VariantError
from tvm_deconv.schedules.gpu.tile import COPY, READ, SHARED, GpuTile
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.space import (
    fields,
    parameters_of,
    parameters_refusal,
    point_of,
    tuning_refusal,
)
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.workloads import ALL

OPENCL = {
    "opencl": Target({"kind": "opencl"}),
    "mali": Target({"kind": "opencl", "device": "mali"}),
    "adreno": Target({"kind": "opencl", "device": "adreno"}),
}
TARGETS = {**OPENCL, "cuda": Target({"kind": "cuda", "arch": "sm_87"})}
MACHINES = {name: machine_of(target) for name, target in TARGETS.items()}
CUDA, MALI, ADRENO = MACHINES["cuda"], MACHINES["mali"], MACHINES["adreno"]

every_variant = pytest.mark.parametrize("variant", GPU_VARIANTS)

SIZES = Sizes(1, 64, 64)
PLAIN = ConvTranspose2d(64, 64, *square(Axis, 3, 1, 1, 1))
NEAREST = ConvTranspose2d(32, 64, *square(axis_of_resize, ConvAxis(3, 1, 1), 2))
GROUPS = ConvTranspose2d(8, 12, *square(Axis, 3, 1, 1, 1), groups=2)


def computes(variant, conv):
    return GPU_VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


@every_variant
@settings(max_examples=15)
@given(layers(), st.sampled_from(["", "hw", "nhw"]), st.sampled_from(sorted(MACHINES)))
def test_what_a_variant_chooses_itself_is_in_its_space(variant, layer, free, name):
    conv, shape = layer
    sizes = Sizes(*(None if axis in free else n for axis, n in zip("nhw", shape, strict=True)))
    if has_output(conv, shape) and computes(variant, conv):
        check_default(GPU_VARIANTS[variant], conv, sizes, MACHINES[name])


def test_what_is_chosen_for_the_workloads_is_in_the_space():
    specs = [spec for workload in ALL for spec in workload.layers if spec.stride == 1]
    layers = sorted({(spec.geometry(), spec.geometry_shape) for spec in specs}, key=str)
    assert len(layers) > 60
    for index, (conv, (n, _, h, w)) in enumerate(layers):
        machine = list(MACHINES.values())[index % len(MACHINES)]
        check_default(GPU_VARIANTS["revd2"], conv, Sizes(n, h, w), machine)


@st.composite
def tuned_layers(draw, name):
    """(layer, input size, target, parameters) of a feasible point."""
    conv, shape = draw(layers())
    assume(has_output(conv, shape) and computes(name, conv))
    target = draw(st.sampled_from(sorted(OPENCL)))
    sizes, machine = Sizes(*shape), MACHINES[target]
    parameters = feasible(draw, GPU_VARIANTS[name], conv, sizes, machine)
    return conv, shape, target, parameters


@opencl.required
@every_variant
@settings(max_examples=3)
@given(st.data(), st.sampled_from(["float32"] if opencl.MISSING_HALF else ["float32", "float16"]))
def test_a_feasible_point_computes_the_layer(variant, data, dtype):
    conv, shape, target, parameters = data.draw(tuned_layers(variant))
    if variant == "revd":
        # PoCL takes minutes for its many tests where they stand between two barriers.
        parameters = replace(parameters, stage_input=READ, stage_weights=0)

    def run(built, x, packed, shape):
        return built.run([x, packed], (shape, x.dtype.name))[0]

    kernel.check(
        variant,
        conv,
        shape,
        dtype,
        target=OPENCL[target],
        parameters=parameters,
        compile=opencl.build,
        run=run,
    )


TILE = GpuTile(
    channels=4,
    rows=2,
    lanes=1,
    channel_threads=4,
    row_threads=2,
    column_threads=16,
    reduction=8,
    stage_input=SHARED,
    stage_weights=1,
)
COPIED = replace(TILE, reduction=1, stage_input=COPY, stage_weights=0)

IMPOSSIBLE = [
    ("revd2", PLAIN, CUDA, {"lanes": 4}, "vectors of 4 columns on a machine that loads none"),
    ("revd2", PLAIN, ADRENO, {"lanes": 3}, "no vectors of 3 columns: there are 1, 2, 4, 8, 16"),
    ("revd2", PLAIN, CUDA, {"stage_input": 3}, "unknown staging 3, 1"),
    ("revd2", PLAIN, MALI, {}, "shared memory of mali is ordinary memory: nothing is staged"),
    ("tdc", PLAIN, MALI, {"stage_input": READ}, "nothing is staged there"),
    ("revd2", PLAIN, CUDA, {"reduction": 7}, "64 input channels are not divisible by reduction 7"),
    ("revd2", GROUPS, CUDA, {"reduction": 4}, "6 output channels of a group are not divisible by"),
    ("revd2", PLAIN, CUDA, {"column_threads": 256}, "2048 threads of a block, more than 1024"),
    ("revd2", PLAIN, ADRENO, {"column_threads": 64}, "512 threads of a block, more than 256"),
    ("revd2", PLAIN, ADRENO, {"reduction": 32}, "32256 bytes of shared memory, more than 16384"),
]

COSTLY = [
    (
        "revd2",
        PLAIN,
        CUDA,
        {"channels": 16, "rows": 16},
        "272 registers of a thread, more than 255",
    ),
    (
        "revd2",
        PLAIN,
        CUDA,
        {"channels": 16, "rows": 8, "channel_threads": 8, "row_threads": 4, "reduction": 4},
        "73728 registers of a block, more than 65536",
    ),
    ("revd2", PLAIN, CUDA, {"stage_input": READ, "channels": 16, "rows": 8}, "1152 statements"),
    ("revd2", PLAIN, CUDA, {"column_threads": 2}, "16 idle lanes of a block's last warp, more"),
    ("revd2", PLAIN, CUDA, {"stage_input": READ, "stage_weights": 0}, "8 channels at a time where"),
    ("revd2", PLAIN, CUDA, {"channels": 12, "channel_threads": 8}, "34 percent of outputs comp"),
]


@pytest.mark.parametrize(("variant", "conv", "machine", "changes", "reason"), IMPOSSIBLE + COSTLY)
def test_what_is_not_worth_building_is_refused_with_a_reason(
    variant, conv, machine, changes, reason
):
    said = tuning_refusal(GPU_VARIANTS[variant], conv, SIZES, replace(TILE, **changes), machine)
    assert said is not None and reason in said


@pytest.mark.parametrize("row", COSTLY)
def test_what_is_only_dear_is_possible(row):
    variant, conv, machine, changes, _ = row
    assert (
        parameters_refusal(GPU_VARIANTS[variant], conv, SIZES, replace(TILE, **changes), machine)
        is None
    )


def test_the_points_that_the_reasons_start_from_are_feasible():
    assert tuning_refusal(GPU_VARIANTS["revd2"], PLAIN, SIZES, TILE, CUDA) is None
    assert tuning_refusal(GPU_VARIANTS["tdc"], NEAREST, SIZES, COPIED, MALI) is None


def test_a_grid_that_cuda_does_not_launch_is_refused():
    revd2, tdc = GPU_VARIANTS["revd2"], GPU_VARIANTS["tdc"]
    assert tuning_refusal(revd2, PLAIN, Sizes(70000, 4, 64), TILE, CUDA) is None, "they go along x"
    high = Sizes(1, 300000, 4)
    assert "75000 blocks along y" in tuning_refusal(revd2, PLAIN, high, TILE, CUDA)
    # A kernel of an element a thread has a block for each row, whatever the tile is.
    rows, tall = Sizes(1, 66000, 4), replace(TILE, rows=4)
    assert parameters_refusal(revd2, PLAIN, rows, tall, CUDA) is None
    assert "66002 blocks along y" in parameters_refusal(
        revd2, PLAIN, rows, replace(COPIED, rows=4), CUDA
    )
    assert "66000 blocks along y" in parameters_refusal(tdc, PLAIN, rows, tall, CUDA)
    # OpenCL has no such limit, and what a free size will be is not known.
    assert parameters_refusal(tdc, PLAIN, rows, COPIED, MALI) is None
    assert parameters_refusal(tdc, PLAIN, Sizes(1, None, 4), tall, CUDA) is None


@every_variant
def test_vectors_and_staging_depend_on_the_device(variant):
    def values(machine):
        return fields(GPU_VARIANTS[variant], PLAIN, SIZES, machine)

    assert values(CUDA)["lanes"] == (1,)
    assert values(ADRENO)["lanes"] == values(MALI)["lanes"] == (1, 2, 4)
    # What Winograd's products read is in memory already.
    copied = () if variant == "winograd" else (COPY,)
    for machine in (CUDA, ADRENO):
        assert values(machine)["stage_input"] == (READ, SHARED, *copied)
        assert values(machine)["stage_weights"] == (0, 1)
    assert values(MALI)["stage_input"] == (READ, *copied)
    assert values(MALI)["stage_weights"] == (0,)
    # Where nothing is staged, it only matters to those with taps outside how many channels they do.
    assert (values(MALI)["reduction"] == (1,)) == (variant not in ("revd", "stdd"))


def test_lower_limits_of_a_target_make_a_smaller_space():
    small = machine_of(
        Target({"kind": "opencl", "max_num_threads": 64, "max_threads_per_block": 64})
    )
    tile = replace(TILE, stage_input=READ, reduction=1, channels=1)
    assert "128 threads of a block, more than 64" in tuning_refusal(
        GPU_VARIANTS["revd2"], PLAIN, SIZES, tile, small
    )
    assert max(fields(GPU_VARIANTS["revd2"], PLAIN, SIZES, small)["column_threads"]) <= 64


BAD_POINTS = [
    ({"reduction": 0}, "parameter reduction of revd2 must be an integer of at least 1, got 0"),
    ({"stage_input": -1}, "parameter stage_input of revd2 must be an integer of at least 0"),
    ({"parallel": 1}, "parameters of revd2 have an unknown field parallel"),
]


@pytest.mark.parametrize(("changes", "reason"), BAD_POINTS)
def test_a_point_that_is_none_is_an_error_that_names_the_field(changes, reason):
    with pytest.raises(VariantError, match=reason):
        parameters_of(GPU_VARIANTS["revd2"], point_of(TILE) | changes)
