"""Every GPU variant against a float64 scatter: its CUDA source is executed on the processor.

The machine that executes it refuses what a GPU would not forgive: tests/cuda_on_cpu/machine.cpp.
"""

from __future__ import annotations

import cuda_on_cpu
import kernel
import numpy as np
import pytest
from cuda_on_cpu.program import Program
from drawn import gpu_tiles
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
from tvm_deconv.schedules.gpu.variants import GPU_VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

pytestmark = cuda_on_cpu.required

ORIN = Target({"kind": "cuda", "arch": "sm_87"})
every_variant = pytest.mark.parametrize("variant", GPU_VARIANTS)


def run(built, x, packed, shape):
    return built.run([x, packed], (shape, x.dtype.name))[0]


def refusal(variant, conv):
    return GPU_VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE)


def check(variant, conv, shape, **options):
    options = {"target": ORIN, "compile": cuda_on_cpu.build, "run": run, **options}
    kernel.check(variant, conv, shape, **options)


LAYERS = {
    "sub-pixel by 2": ConvTranspose2d(3, 5, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2)),
    "stride 3, groups": ConvTranspose2d(
        4, 6, axis_of_resize(ConvAxis(3, 1, 1), 3), Axis(5, 3, 2, 2), groups=2
    ),
    "stride 4, asymmetric padding": ConvTranspose2d(2, 3, Axis(3, 1, 2, 0), Axis(6, 4, 0, 3, 2)),
    "dilation, inputs staged one by one": ConvTranspose2d(
        17, 3, Axis(3, 2, 1, 1, 0, 3), Axis(3, 3, 2, 0, 0, 2)
    ),
}
SIZES = (2, 5, 13)


@every_variant
@pytest.mark.parametrize("layer", LAYERS)
def test_layers_equal_the_scatter_definition(variant, layer):
    if refusal(variant, LAYERS[layer]):
        pytest.skip(f"{variant}: {refusal(variant, LAYERS[layer])}")
    dtype, symbolic = [("float32", ""), ("float16", ""), ("float32", "nhw"), ("float32", "w")][
        list(LAYERS).index(layer)
    ]
    check(variant, LAYERS[layer], SIZES, dtype=dtype, symbolic=symbolic)


@st.composite
def small_layers(draw):
    """A layer and a size of which few blocks are made; there may be no output."""
    conv, (batch, height, width) = draw(layers())
    return conv, (batch, 1 + height % 9, 1 + width % 37)


@every_variant
@settings(max_examples=2)
@given(small_layers(), st.sampled_from(["float32", "float16"]), st.sampled_from(["", "hw", "n"]))
def test_any_layer_equals_the_scatter_definition(variant, layer, dtype, symbolic):
    conv, shape = layer
    assume(has_output(conv, shape) and not refusal(variant, conv))
    check(variant, conv, shape, dtype=dtype, symbolic=symbolic)


@pytest.mark.parametrize("variant", sorted(set(GPU_VARIANTS) - {"winograd"}))
@settings(max_examples=2)
@given(st.data())
def test_any_tile_gives_the_same_sums(variant, data):
    conv, shape = data.draw(small_layers())
    assume(has_output(conv, shape) and not refusal(variant, conv))
    symbolic = data.draw(st.sampled_from(["", "nhw"]))
    check(variant, conv, shape, symbolic=symbolic, parameters=data.draw(gpu_tiles(conv, lanes=[1])))


def activated(y):
    """A bias of each channel, ReLU and tanh."""

    def element(n, c, h, w):
        biased = y[n, c, h, w] + c.astype(y.dtype) * tirx.const(0.25, y.dtype)
        return te.tanh(te.max(biased, tirx.const(0, y.dtype)))

    return te.compute(y.shape, element, name="activated")


def activated_array(y):
    biased = y + 0.25 * np.arange(y.shape[1]).reshape(-1, 1, 1)
    return np.tanh(np.maximum(biased, 0))


@every_variant
def test_an_epilogue_is_fused_into_the_store(variant):
    conv, dtype = LAYERS["sub-pixel by 2"], "float32" if variant == "revd2" else "float16"
    check(variant, conv, SIZES, dtype=dtype, epilogue=activated, then=activated_array)


def test_rows_of_whole_vectors_are_stored_as_vectors():
    conv = ConvTranspose2d(2, 3, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 4))
    for dtype, vector in (("float32", "float4"), ("float16", "half4")):

        def build(func, target, vector=vector):
            built = cuda_on_cpu.build(func, target)
            assert f"*({vector}*)(store_ptr + " in built.source
            return built

        check("revd2", conv, SIZES, dtype=dtype, compile=build)


def test_a_kernel_of_free_size_computes_every_size():
    conv = LAYERS["sub-pixel by 2"]
    func, parameters = kernel.function("revd2", conv, SIZES, target=ORIN, symbolic="nhw")
    built, weight = cuda_on_cpu.build(func, ORIN), kernel.weights_of(conv, "float32")
    packed = GPU_VARIANTS["revd2"].pack_weights(weight, conv, parameters)
    grids = set()
    for n, h, w in ((1, 1, 1), (3, 2, 70), (1, 41, 7)):
        x = kernel.random((n, conv.in_channels, h, w), "float32", 0)
        y = run(built, x, packed, conv.output_shape(n, h, w))
        np.testing.assert_allclose(y, kernel.expected_output(conv, x, weight), rtol=0, atol=1e-5)
        grids.add(built.launches[0].grid)
    assert len(grids) == 3


@pytest.mark.parametrize(
    ("part", "broken", "reason"),
    [
        ("__syncthreads();", "", "without a barrier between"),
        ("*)(store_ptr + ", "*)(store_ptr + 1 + ", "bytes at byte 4 of store_ptr: misaligned"),
        ("x_ptr[", "x_ptr[1 + ", "of x_ptr, which has"),
    ],
)
def test_a_kernel_that_is_broken_is_noticed(part, broken, reason):
    conv, (n, h, w) = LAYERS["sub-pixel by 2"], SIZES
    func, parameters = kernel.function("revd2", conv, SIZES, target=ORIN)
    x = np.ones((n, conv.in_channels, h, w), "float32")
    packed = np.ones(GPU_VARIANTS["revd2"].packed_shape(conv, parameters), "float32")
    y = np.empty(conv.output_shape(n, h, w), "float32")
    built = cuda_on_cpu.build(func, ORIN)
    run(built, x, packed, y.shape)
    (launch,) = built.launches
    assert part in built.source
    memory = {array.ctypes.data: array.nbytes for array in (x, packed, y)}
    program = Program(built.source.replace(part, broken), memory)
    with pytest.raises(AssertionError, match=reason):
        program.launch(
            launch.kernel, [a.ctypes.data for a in (y, packed, x)], launch.grid, launch.block
        )
