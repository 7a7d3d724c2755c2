"""Every GPU variant against a float64 scatter: its OpenCL is executed on the processor by PoCL.

Right or wrong is all that this shows. That CUDA can be assembled is in test_gpu_cuda.py.
"""

from __future__ import annotations

import kernel
import numpy as np
import opencl
import pytest
from drawn import AXES, gpu_tiles
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel import has_output, layers, square
from tvm import te, tirx
from tvm.target import Target

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.backends import machine_of
from tvm_deconv.schedules.choice import choose
from tvm_deconv.schedules.gpu import steps
from tvm_deconv.schedules.gpu.stdd import shared_bytes
from tvm_deconv.schedules.gpu.tile import READ, SHARED, GpuTile
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.gpu.winograd.tile import GpuWinogradTile
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes

pytestmark = opencl.required

TARGETS = {
    "opencl": Target({"kind": "opencl"}),
    "mali": Target({"kind": "opencl", "device": "mali"}),
    "adreno": Target({"kind": "opencl", "device": "adreno"}),
}
every_variant = pytest.mark.parametrize("variant", GPU_VARIANTS)


def build(func, target):
    return opencl.build(func, target)


def run(built, x, packed, shape):
    return built.run([x, packed], (shape, x.dtype.name))[0]


def check(variant, conv, shape, target="opencl", **options):
    kernel.check(variant, conv, shape, target=TARGETS[target], compile=build, run=run, **options)


def computes(variant, conv):
    return GPU_VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE) is None


# What the layers of tests/backends/test_cuda_source.py do not have, where the same nests are
# computed: theirs have groups, asymmetric padding, output padding and dilation.
CORNERS = {
    "kernel smaller than the stride": ConvTranspose2d(2, 3, Axis(2, 3), Axis(1, 4)),
    "kernel no multiple of the stride": ConvTranspose2d(3, 5, Axis(5, 2, 2, 2), Axis(7, 3, 2, 1)),
    "stride 1": ConvTranspose2d(4, 3, Axis(3, 1, 1, 1), Axis(5, 1, 2, 0)),
    "taps known to be zero": ConvTranspose2d(
        2, 3, axis_of_subpixel(ConvAxis(3, 2, 2, 2), 2), axis_of_resize(ConvAxis(3, 2, 2, 2), 3)
    ),
}


# Every second corner for each variant, every corner for half of them.
TURNS = [
    (variant, corner, i + j)
    for i, variant in enumerate(GPU_VARIANTS)
    for j, corner in enumerate(CORNERS)
    if (i + j) % 2 == 0 and computes(variant, CORNERS[corner])
]


@pytest.mark.parametrize(("variant", "corner", "turn"), TURNS)
def test_corner_cases_equal_the_scatter_definition(variant, corner, turn):
    target = list(TARGETS)[turn % len(TARGETS)]
    # PoCL takes two seconds more for Winograd's kernels of free sizes: the random layers have some.
    symbolic = "nhw" if turn % 4 and variant != "winograd" else ""
    check(variant, CORNERS[corner], (2, 9, 21), target, symbolic=symbolic)


@every_variant
def test_more_planes_than_a_grid_has_along_z_share_x_with_the_columns(variant, monkeypatch):
    monkeypatch.setattr(steps, "MOST_BLOCKS", 1)
    conv = ConvTranspose2d(4, 6, *square(Axis, 4, 2, 1, 1))
    launches = []

    def noting(built, *given):
        y = run(built, *given)
        launches.extend(built.launches)
        return y

    target = TARGETS["opencl"]
    kernel.check(variant, conv, (2, 5, 40), target=target, compile=build, run=noting)
    assert max(launch.grid[2] for launch in launches) == 1
    assert max(launch.grid[0] for launch in launches) > 3


@every_variant
@settings(max_examples=2)
@given(
    layers(),
    st.sampled_from(["float32", "float16"] if not opencl.MISSING_HALF else ["float32"]),
    st.sampled_from(["", "hw", "nhw", "w"]),
    st.sampled_from(sorted(TARGETS)),
)
def test_any_layer_equals_the_scatter_definition(variant, layer, dtype, symbolic, target):
    conv, shape = layer
    assume(has_output(conv, shape) and computes(variant, conv))
    check(variant, conv, shape, target, dtype=dtype, symbolic=symbolic)


@pytest.mark.parametrize("variant", sorted(set(GPU_VARIANTS) - {"winograd"}))
@settings(max_examples=2)
@given(st.data())
def test_any_tile_gives_the_same_sums(variant, data):
    conv, shape = data.draw(layers())
    assume(has_output(conv, shape) and computes(variant, conv))
    tile = data.draw(gpu_tiles(conv))
    # PoCL takes time that is exponential in the number of tests between two barriers.
    outputs = tile.rows * conv.h.stride * tile.lanes * conv.w.stride
    assume(variant != "revd" or outputs <= 6)
    # What a tuner would not build.
    assume(variant != "stdd" or shared_bytes(conv, tile) <= 16 * 1024)
    symbolic = data.draw(st.sampled_from(["", "nhw"]))
    check(variant, conv, shape, symbolic=symbolic, parameters=tile)


@settings(max_examples=2)
@given(st.data())
def test_any_tile_of_winograd_gives_the_same_sums(data):
    # Each axis by itself: of pairs of any axes few are computed. Tiles of more taps have so many
    # points that PoCL takes seconds; tests/schedules/gpu/test_space.py and CUDA's have them.
    axes = AXES.filter(
        lambda axis: axis.max_taps <= 3 and computes("winograd", ConvTranspose2d(1, 1, axis, axis))
    )
    conv, (n, h, w) = data.draw(layers(axes))
    shape = n, 1 + h % 11, 1 + w % 23
    assume(has_output(conv, shape) and computes("winograd", conv))
    tile = GpuWinogradTile(
        outputs=tuple(data.draw(st.integers(2, 3)) for axis in (conv.h, conv.w)),
        channels=data.draw(st.sampled_from([1, 2, 3])),
        lanes=data.draw(st.sampled_from([1, 2, 4])),
        channel_threads=data.draw(st.sampled_from([1, 2])),
        column_threads=data.draw(st.sampled_from([2, 5, 8])),
        reduction=data.draw(st.sampled_from([n for n in (1, 2, 3) if conv.group_inputs % n == 0])),
        stage_input=data.draw(st.sampled_from([READ, SHARED])),
        stage_weights=data.draw(st.sampled_from([0, 1])),
    )
    symbolic = data.draw(st.sampled_from(["", "nhw"]))
    check("winograd", conv, shape, symbolic=symbolic, parameters=tile)


def test_the_phases_of_a_fused_loop_read_their_own_columns():
    # TVM simplifies (z % 3 + 2) // 3 to 0 where z counts phases among other things.
    conv = ConvTranspose2d(2, 1, Axis(2, 2), Axis(6, 3, 2, 3))
    check("tdc", conv, (1, 1, 2), "mali", parameters=GpuTile(1, 1, 1, 1, 1, 2, 1, READ, 0))


@every_variant
def test_an_epilogue_is_stored_with_the_sums(variant):
    conv = ConvTranspose2d(4, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2))

    def epilogue(y):
        # A value per channel and phase, then an activation: two stages to inline.
        added = te.compute(
            y.shape,
            lambda n, c, i, j: y[n, c, i, j] + (c + 2 * (i % 2) + 4 * (j % 2)).astype(y.dtype),
            name="add",
        )
        zero = tirx.const(0, y.dtype)
        return te.compute(y.shape, lambda *i: tirx.max(added(*i), zero), name="relu")

    def then(y):
        _, c, i, j = np.ogrid[tuple(slice(n) for n in y.shape)]
        return np.maximum(y + c + 2 * (i % 2) + 4 * (j % 2), 0)

    check(variant, conv, (1, 7, 19), "adreno", epilogue=epilogue, then=then)


@pytest.mark.parametrize("target", ["sm_53", "sm_87", *TARGETS])
@pytest.mark.parametrize("free", [False, True])
def test_only_forms_that_can_pay_are_chosen_without_a_measurement(target, free):
    kind = TARGETS.get(target) or Target({"kind": "cuda", "arch": target})
    for origin in (axis_of_subpixel, axis_of_resize):
        for channels in ((64, 64), (32, 1), (256, 256)):
            conv = ConvTranspose2d(*channels, *square(origin, ConvAxis(3, 1, 1), 2))
            sizes = Sizes(None, None, None) if free else Sizes(1, 64, 64)
            chosen = choose(conv, sizes, "float32", machine_of(kind))
            assert chosen.variant.name in ("revd2", "tdc"), chosen.reason


@opencl.half_required
@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("target", ["mali", "adreno"])
@pytest.mark.parametrize("corner", CORNERS)
def test_sums_of_float16_are_right_but_for_their_rounding(corner, target, dtype):
    sources = []

    def noting(func, on):
        built = build(func, on)
        sources.append(built.source)
        return built

    kernel.check(
        "revd2",
        CORNERS[corner],
        (2, 9, 21),
        dtype,
        target=TARGETS[target],
        accumulate="float16",
        compile=noting,
        run=run,
    )
    assert "float phases" not in sources[0] and "half" in sources[0]
