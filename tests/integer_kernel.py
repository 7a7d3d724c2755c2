"""Compiles one integer kernel and computes the same in float64; shared by tests of processors."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import tvm
from kernel import HOST, compile_here, compile_quickly
from reference import conv2d_transpose
from tvm import tirx

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.schedules.cpu.dot import dot_of
from tvm_deconv.schedules.cpu.integer.kernel import Integer, Store
from tvm_deconv.schedules.cpu.integer.tile import choose_tile
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.transform.lower.integer_choice import function_of

UNEVEN = ConvTranspose2d(6, 10, Axis(4, 2, 1, 1), Axis(5, 3, 1, 0, 1), groups=2)
SUB_PIXEL = ConvTranspose2d(5, 2, Axis(6, 2, 2, 2), Axis(6, 2, 2, 2))
CROPPED = ConvTranspose2d(3, 7, Axis(3, 1, 5, 2), Axis(3, 1, 7, 0))
# A kernel that is shorter than its stride: phases without taps.
SPARSE = ConvTranspose2d(3, 4, Axis(2, 3, 0, 0, 1), Axis(2, 3, 1, 0))
DILATED = ConvTranspose2d(4, 6, Axis(3, 1, 2, 0, dilation=2), Axis(2, 1, 0, 0))
# Of a store's own bytes, of what is added to them, and of the sum; powers of 2: no rounding.
SUM_SCALES = (0.5, 0.25, 1.0)


def run_here(built, arrays, out):
    result = tvm.runtime.tensor(out)
    built["main"](*map(tvm.runtime.tensor, arrays), result)
    return result.numpy()


def drawn(dtype, shape, rng):
    bounds = np.iinfo(dtype)
    return rng.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


def of_layer(op, shape, dtype="uint8", zero_point=3, dot=None, store=None, **options):
    """What the kernel computes of random integers, and what float64 does.

    ``run`` takes a compiled module, the arrays and an empty result, and gives the result. ``make``
    gives another kernel than the direct one: it takes layer, dtype, store and sizes; ``compile``
    compiles it. ``weight`` are integers in place of random ones.
    """
    rng, dot = np.random.default_rng(0), dot or dot_of(HOST)
    x, kind = drawn(dtype, shape, rng), options.get("weights", "int8")
    most = np.iinfo(kind).max
    weight = drawn(kind, op.weight_shape, rng).clip(-most)
    if options.get("extreme"):
        x, weight = np.full_like(x, np.iinfo(dtype).max), np.full_like(weight, most)
    if "weight" in options:
        weight = options["weight"]
        most = np.abs(weight).max()
    store, own = store or Store("uint8"), options.get("own", {"zero_point": 7})
    if store.dtype == "float32":
        own = {}
    n, _, h, w = shape
    down, right = step = options.get("step", (1, 1))
    sizes, stepped = Sizes(n, h, w), replace(op, step=step)
    make = options.get("make")
    if make is None:
        tile = options.get("tile") or choose_tile(stepped, dot, sizes, machine_of(HOST))
        kernel = Integer(stepped, dtype, dot, tile, store)
    else:
        kernel = make(stepped, dtype, store, sizes)
    free = [tirx.Var(name, "int64") if name in options.get("free", "") else size
            for name, size in zip("nchw", shape, strict=True)]  # fmt: skip
    func = function_of(kernel, free).with_attr("global_symbol", "main")
    bias = rng.integers(-5000, 5000, op.out_channels)
    scales = rng.uniform(0.5, 1, (op.out_channels, *op.strides)) / most
    scales = (scales / np.sqrt(op.group_inputs * op.h.useful_taps)).astype("float32")
    offsets = bias[:, None, None] - kernel.corrections(weight, zero_point)
    every = np.s_[:, :, ::down, ::right]
    out = np.zeros(op.output_shape(n, h, w), store.result)[every].copy()
    numbers = store.numbers(**own)
    arrays = [x, kernel.pack(weight), kernel.points(zero_point, own.get("zero_point", 0))]
    arrays += [kernel.lines(offsets).astype("int32"), kernel.lines(scales), numbers]
    slopes = np.linspace(-0.5, 0.5, scales.size, dtype="float32").reshape(scales.shape)
    arrays += [kernel.lines(values) for values, has in
               ((scales * 1000, store.has_shift), (slopes, store.has_slope)) if has]  # fmt: skip
    if store.sum is not None:
        other = drawn(store.sum.other, out.shape, rng)
        arrays += [other, store.sum.values(SUM_SCALES, (own["zero_point"], 5, 11), 0, np.inf)]
    compiled = options.get("compile", compile_here if "target" in options else compile_quickly)
    built = compiled(func, options.get("target", HOST))
    got = options.get("run", run_here)(built, arrays, out)
    sums = conv2d_transpose(
        x.astype("float64") - zero_point,
        weight.astype("float64"),
        op.strides,
        op.padding,
        op.output_padding,
        op.dilation,
        op.groups,
    )
    sums = (sums + bias[:, None, None])[every]

    def phases(values):
        rows, columns = sums.shape[2:]
        rh, rw = op.strides
        tiled = np.tile(values, (1, -(-rows // rh), -(-columns // rw)))
        return tiled[:, :rows, :columns]

    value = sums.astype("float32") * phases(scales)
    if store.has_shift:
        value = value + phases(scales * 1000)
    if store.has_slope:
        value = np.where(value < 0, value * phases(slopes), value)
    value = value.clip(*numbers[:2])
    if store.dtype != "float32":
        value = np.rint(value) + own["zero_point"]
    if store.is_value:
        value = (value - own["zero_point"]).astype("float32") * np.float32(own["scale"])
    if store.sum is not None:
        s_own, s_other, s_y = SUM_SCALES
        added = (other.astype("float64") - 5) * s_other
        value = ((value - own["zero_point"]) * s_own + added) / s_y
        bounds = np.iinfo(store.result)
        value = (np.rint(np.maximum(value, 0)) + 11).clip(bounds.min, bounds.max)
    return got, value.astype(store.result)
