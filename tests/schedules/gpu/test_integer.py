"""Integer kernels of GPUs against sums in float64: CUDA and OpenCL source, run on the processor."""

from __future__ import annotations

from dataclasses import replace

import cuda_kernel
import cuda_on_cpu
import numpy as np
import opencl
import pytest
from integer_kernel import CROPPED, DILATED, SPARSE, SUB_PIXEL, UNEVEN, of_layer
from kernel import square
from opencl import pocl
from tvm.target import Target

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.backends.opencl import products
from tvm_deconv.schedules.cpu.integer.kernel import Store, Sum
from tvm_deconv.schedules.gpu.integer.dot import dots_of
from tvm_deconv.schedules.gpu.integer.kernel import FORMS, GpuInteger, choose_form
from tvm_deconv.schedules.gpu.tile import COPY, SHARED, GpuTile
from tvm_deconv.schedules.variant import Sizes

TARGETS = {
    "sm_61": Target({"kind": "cuda", "arch": "sm_61"}),
    "sm_87": Target({"kind": "cuda", "arch": "sm_87"}),
    "opencl": Target({"kind": "opencl"}),
    "mali": Target({"kind": "opencl", "device": "mali"}),
}
MARKS = {"sm_87": cuda_on_cpu.required, "mali": opencl.required}


def in_turn(what, cases, first="sm_87"):
    """Parameters ``name``, of a target, and ``what``: each case on one of both, the next on the
    other."""
    second = "mali" if first == "sm_87" else "sm_87"
    names = [(first, second)[i % 2] for i in range(len(cases))]
    return pytest.mark.parametrize(
        f"name, {what}",
        [pytest.param(n, case, marks=MARKS[n]) for n, case in zip(names, cases, strict=True)],
    )


def maker(name, wide=False, form=None, tile=None):
    """Makes the kernel of a target for a layer; ``form`` and ``tile`` stand in for those chosen."""
    machine = machine_of(TARGETS[name])
    dot = dots_of(machine)[wide]

    def make(op, dtype, store, sizes):
        best = choose_form(op, dot, sizes, machine)
        return GpuInteger(op, dtype, dot, form or best[0], tile or best[1], store)

    return make


def run(built, arrays, out):
    return built.run(arrays, (out.shape, str(out.dtype)))[0]


def check(name, op, shape, dtype="uint8", zero_point=3, most_ties=0, *, sources=None, **options):
    """``options`` are those of ``of_layer`` and ``maker``; sources are added to ``sources``."""
    target = TARGETS[name]
    backend_of(target).register_compiler()
    own = {key: options.pop(key) for key in ("wide", "form", "tile") if key in options}

    def build(func, target):
        api = opencl if target.kind.name == "opencl" else cuda_on_cpu
        built = api.build(func, target)
        if sources is not None:
            sources.append(built.source)
        return built

    made = {"make": maker(name, **own), "compile": build, "target": target, "run": run}
    got, expected = of_layer(op, shape, dtype, zero_point, **made, **options)
    if most_ties:
        # A multiplication and an addition may be one, with one rounding.
        assert np.abs(got.astype(int) - expected.astype(int)).max() <= 1
        assert (got != expected).mean() <= most_ties
    else:
        np.testing.assert_array_equal(got, expected)


# Stride 1 and others, groups, crops, dilation, phases without taps, channels that fill no word.
OPS = {
    "uneven": UNEVEN,
    "sub-pixel": SUB_PIXEL,
    "cropped": CROPPED,
    "sparse": SPARSE,
    "dilated": DILATED,
    "depthwise": ConvTranspose2d(3, 6, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 1), groups=3),
}


@in_turn("layer", list(OPS))
def test_every_layer_gives_the_integers_of_the_definition(name, layer):
    turn = list(OPS).index(layer)
    dtype, zero_point = [("uint8", 3), ("int8", -5), ("uint8", 255)][turn % 3]
    op = OPS[layer]
    check(name, op, (2, op.in_channels, 9, 19), dtype, zero_point)


@in_turn("form", list(FORMS), "mali")
def test_sizes_may_be_free_in_both_forms(name, form):
    check(name, UNEVEN, (2, 6, 5, 19), "int8", -7, free="nhw", form=form)


@cuda_on_cpu.required
def test_more_phases_than_a_thread_holds_are_computed_one_by_one():
    op = ConvTranspose2d(2, 3, Axis(10, 9, 0, 1), Axis(9, 9))
    assert maker("sm_87")(op, "uint8", Store("uint8"), Sizes(1, 4, 5)).form == "tdc"
    check("sm_87", op, (1, 2, 4, 5))


STRIDED = {
    "cropped": (CROPPED, (2, 2)),
    "1x1": (ConvTranspose2d(8, 6, Axis(1), Axis(1), groups=2), (2, 2)),
    "7 by 4": (ConvTranspose2d(3, 4, Axis(3, 1, 0, 1), Axis(7, 1, 1, 3)), (2, 4)),
    "dilated": (DILATED, (3, 2)),
}


@in_turn("layer", list(STRIDED))
def test_a_convolution_with_strides_computes_every_so_many_outputs(name, layer):
    op, step = STRIDED[layer]
    free = "nhw" if layer in ("7 by 4", "dilated") else ""
    check(name, op, (2, op.in_channels, 12, 43), "int8", -9, step=step, free=free)


@in_turn("stage_input", [SHARED, COPY], "mali")
def test_a_tile_of_several_rows_and_channels_gives_the_same_integers(name, stage_input):
    tile = GpuTile(3, 2, 1, 2, 2, 8, 2, stage_input, int(stage_input == SHARED))
    check(name, SUB_PIXEL, (2, 5, 7, 30), tile=tile, form="revd2")


@in_turn("dtype", ["uint8", "int8"])
def test_weights_of_two_bytes_are_multiplied_in_pairs(name, dtype):
    check(name, UNEVEN, (1, 6, 4, 9), dtype, 77, weights="int16", wide=True)


STORES = {
    "bounds": (Store("int8"), {"zero_point": -20, "low": 0, "high": 90}, 0),
    "shift and slope": (Store("uint8", has_shift=True, has_slope=True), {"zero_point": 9}, 2e-3),
    "values": (Store("uint8", is_value=True), {"zero_point": 99, "scale": 0.3, "low": 0}, 0),
    "floats": (Store("float32"), {}, 0),
    "sum": (Store("uint8", sum=Sum("uint8", "int8")), {"zero_point": 120}, 0),
    "other sum": (Store("uint8", sum=Sum("int8", "uint8")), {"zero_point": 120}, 0),
}


@in_turn("what", list(STORES), "mali")
def test_what_follows_is_in_the_store(name, what):
    store, own, ties = STORES[what]
    form = "tdc" if what in ("values", "other sum") else "revd2"
    check(name, SUB_PIXEL, (2, 5, 6, 19), most_ties=ties, store=store, own=own, form=form)


@opencl.required
def test_nothing_saturates_on_the_way():
    op = ConvTranspose2d(64, 1, *square(Axis, 3, 1, 1, 1))
    check("mali", op, (1, 64, 4, 5), store=Store("float32"), extreme=True)


@cuda_on_cpu.required
@pytest.mark.parametrize(("wide", "function"), [(False, "__dp4a("), (True, "__dp2a_lo(")])
def test_cuda_adds_products_to_a_sum_in_one_instruction(wide, function):
    sources: list[str] = []
    check("sm_61", SUB_PIXEL, (1, 5, 4, 6), wide=wide, sources=sources)
    calls = [line for line in sources[0].splitlines() if function in line]
    assert calls
    assert all(line.count("phases") == 2 and ", 0)" not in line for line in calls), calls[0]


LAYERS = {
    "sub-pixel r2 64->64": ConvTranspose2d(64, 64, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 2)),
    "nearest r2 256->256": ConvTranspose2d(256, 256, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
    "K9 s3 56->1": ConvTranspose2d(56, 1, *square(Axis, 9, 3, 4, 4)),
}


@cuda_kernel.required
@pytest.mark.parametrize(
    ("layer", "name"), list(zip(LAYERS, ("sm_87", "sm_61", "sm_87"), strict=True))
)
def test_no_kernel_of_a_layer_spills(layer, name):
    op, wide = LAYERS[layer], layer.startswith("nearest")
    target = Target({**TARGETS[name].export(), "max_shared_memory_per_block": 48 * 1024})
    kernel = maker(name, wide)(op, "uint8", Store("uint8"), Sizes(1, 64, 64))
    cuda_kernel.assert_fits(kernel.write((1, op.in_channels, 64, 64)), target)


@pytest.mark.parametrize(
    ("arch", "has"), [("sm_53", 0), ("sm_60", 0), ("sm_61", 1), ("sm_62", 0), ("sm_90a", 1)]
)
def test_cuda_has_products_of_bytes_since_pascal_but_for_some(arch, has):
    machine = machine_of(Target({"kind": "cuda", "arch": arch}))
    assert (dots_of(machine) is not None) == has


# What a device may say that it has, and the functions that come with it.
DEVICES = {
    "khronos": (
        "#define __opencl_c_integer_dot_product_input_4x8bit_packed 1\n"
        "int dot_4x8packed_ss_int(uint a, uint b);\n"
        "int dot_4x8packed_ss_int(uint a, uint b) {"
        " int4 p = convert_int4(as_char4(a)) * convert_int4(as_char4(b));"
        " return p.x + p.y + p.z + p.w; }\n",
        "dot_4x8packed_ss_int(as_uint",
    ),
    "arm": (
        "#define cl_arm_integer_dot_product_accumulate_int8 1\n"
        "int arm_dot_acc(char4 a, char4 b, int sum);\n"
        "int arm_dot_acc(char4 a, char4 b, int sum) {"
        " int4 p = convert_int4(a) * convert_int4(b); return sum + p.x + p.y + p.z + p.w; }\n",
        "arm_dot_acc(as_char4",
    ),
    "arm of before": (
        "#define cl_arm_integer_dot_product_int8 1\n"
        "int arm_dot(char4 a, char4 b);\n"
        "int arm_dot(char4 a, char4 b) {"
        " int4 p = convert_int4(a) * convert_int4(b); return p.x + p.y + p.z + p.w; }\n",
        "arm_dot(as_char4",
    ),
    "none": ("", "tvm_deconv_sum4(as_char4"),
}
KERNEL = """
__kernel void k(__global int* x, __global int* w, __global int* y) {
  int i = get_global_id(0);
  y[i] = tvm_deconv_dot4(x[i], w[i], i) - tvm_deconv_dot2(x[i], w[i], i);
}
"""


@opencl.required
@pytest.mark.parametrize("device", DEVICES)
def test_opencl_multiplies_by_what_the_device_has(device):
    has, called = DEVICES[device]
    source = products.with_products(KERNEL, TARGETS["opencl"])
    assert called in source
    rng = np.random.default_rng(0)
    x, w = rng.integers(-128, 128, (2, 64, 4)).astype("int8")
    x[0], w[0] = -128, -128
    y = np.zeros(64, "int32")
    arguments = [array.ctypes.data for array in (x, w, y)]
    pocl.program(has + source).launch("k", arguments, (1, 1, 1), (64, 1, 1))
    pairs = w.copy().view("<i2").astype(int)
    expected = (x.astype(int) * w).sum(1) - (x[:, :2].astype(int) * pairs).sum(1)
    np.testing.assert_array_equal(y, expected)


def test_source_without_products_stays_as_it_is():
    assert products.with_products("nothing", TARGETS["opencl"]) == "nothing"


def test_a_word_that_is_shifted_is_said_so_to_the_border():
    """Zero point 0 of uint8 is -128 in each byte of a word."""
    kernel = maker("sm_87")(SUB_PIXEL, "uint8", Store("uint8"), Sizes(1, 4, 4))
    assert kernel.points(0).view("int8").tolist()[:4] == [-128] * 4
    assert replace(kernel, dtype="int8").points(-3, 9).tolist()[1] == 9
