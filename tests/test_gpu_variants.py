"""Every GPU variant against a float64 scatter: its OpenCL is executed on the processor by PoCL.

Right or wrong is all that this shows. That CUDA can be assembled is in test_gpu_cuda.py.
"""

from __future__ import annotations

import kernel
import opencl
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from kernel import has_output, layers, square
from tvm.target import Target

from tvm_deconv.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize, axis_of_subpixel
from tvm_deconv.schedules.gpu.tile import COPY, READ, SHARED, GpuTile
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

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


CORNERS = {
    "kernel smaller than the stride": ConvTranspose2d(2, 3, Axis(2, 3), Axis(1, 4)),
    "kernel no multiple of the stride": ConvTranspose2d(3, 5, Axis(5, 2, 2, 2), Axis(7, 3, 2, 1)),
    "output padding": ConvTranspose2d(3, 2, Axis(3, 2, 1, 1, 1), Axis(4, 3, 1, 1, 2)),
    "stride 1": ConvTranspose2d(4, 3, Axis(3, 1, 1, 1), Axis(5, 1, 2, 0)),
    "groups": ConvTranspose2d(6, 9, *square(Axis, 4, 2, 1, 1), groups=3),
    "asymmetric padding": ConvTranspose2d(2, 4, Axis(4, 2, 0, 3), Axis(6, 3, 5, 1)),
    "dilation": ConvTranspose2d(2, 3, Axis(3, 2, 1, 1, 0, 3), Axis(3, 3, 2, 0, 0, 2)),
    "taps known to be zero": ConvTranspose2d(
        2, 3, axis_of_subpixel(ConvAxis(3, 2, 2, 2), 2), axis_of_resize(ConvAxis(3, 2, 2, 2), 3)
    ),
}


@every_variant
@pytest.mark.parametrize("corner", CORNERS)
def test_corner_cases_equal_the_scatter_definition(variant, corner):
    conv = CORNERS[corner]
    if not computes(variant, conv):
        pytest.skip(f"{variant}: {GPU_VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE)}")
    index = list(CORNERS).index(corner)
    target = list(TARGETS)[index % len(TARGETS)]
    check(variant, conv, (2, 9, 21), target, symbolic="nhw" if index % 2 else "")


@every_variant
@settings(deadline=None, max_examples=6)
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


@st.composite
def tiles(draw, conv):
    """Parameters as a tuner samples them: any that are valid, small enough to compile quickly."""
    per_group = conv.group_outputs
    channels = draw(st.sampled_from([1, 2, 3]))
    channel_threads = draw(st.sampled_from([1, 2]))
    if conv.groups > 1 and per_group % (channels * channel_threads):
        channels = channel_threads = 1
    return GpuTile(
        channels=channels,
        rows=draw(st.sampled_from([1, 2])),
        lanes=draw(st.sampled_from([1, 2, 4])),
        channel_threads=channel_threads,
        row_threads=draw(st.sampled_from([1, 2, 3])),
        column_threads=draw(st.sampled_from([2, 5, 8])),
        reduction=draw(st.sampled_from([n for n in (1, 2, 3) if conv.group_inputs % n == 0])),
        stage_input=draw(st.sampled_from([READ, SHARED, COPY])),
        stage_weights=draw(st.sampled_from([0, 1])),
    )


@pytest.mark.parametrize("variant", sorted(set(GPU_VARIANTS) - {"winograd"}))
@settings(deadline=None, max_examples=6)
@given(st.data())
def test_any_tile_gives_the_same_sums(variant, data):
    conv, shape = data.draw(layers())
    assume(has_output(conv, shape) and computes(variant, conv))
    tile = data.draw(tiles(conv))
    # PoCL takes time that is exponential in the number of tests between two barriers.
    outputs = tile.rows * conv.h.stride * tile.lanes * conv.w.stride
    assume(variant != "revd" or outputs <= 8)
    symbolic = data.draw(st.sampled_from(["", "nhw"]))
    check(variant, conv, shape, symbolic=symbolic, parameters=tile)
