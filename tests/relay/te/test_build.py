"""Through ``relay.build``: which kernel a layer gets, what it fuses, what is packed when."""

from __future__ import annotations

import json

import numpy as np
import pytest
import reference
import relay_reference
import tvm
from quick_library import graph_of
from te_kernel import HOST as OPTIMIZED
from tvm import relay

import tvm_deconv.relay
from tvm_deconv.errors import VariantError
from tvm_deconv.schedules.te.variants import TE_VARIANTS

# What is computed is decided before LLVM optimizes it.
HOST = tvm.target.Target(f"{OPTIMIZED} -opt-level=0")
RNG = np.random.default_rng(7)
PADDING = (1, 0, 2, 1)
OPTIONS = {"strides": (2, 3), "padding": PADDING, "output_padding": (1, 1)}
X = RNG.standard_normal((2, 8, 7, 9), "float32")
BIAS = RNG.standard_normal(6, "float32")


def weights(groups=1):
    return RNG.standard_normal((8, 6 // groups, 4, 5), "float32")


def layer(x, weight, groups=1, dilation=(1, 1), **more):
    options = {**OPTIONS, "channels": 6, "kernel_size": (4, 5), **more}
    return relay.nn.conv2d_transpose(x, weight, groups=groups, dilation=dilation, **options)


def expected(x, weight, groups=1, dilation=(1, 1), padding=PADDING, output_padding=(1, 1)):
    x, weight = x.astype("float64"), weight.astype("float64")
    return reference.conv2d_transpose(x, weight, (2, 3), padding, output_padding, dilation, groups)


def build(output, opt_level=3, target=HOST):
    module = tvm.IRModule.from_expr(relay.Function(relay.analysis.free_vars(output), output))
    with tvm.transform.PassContext(opt_level=opt_level):
        return relay.build(module, target=target)


def kernels(library):
    """Names of the functions that run, in order."""
    nodes = json.loads(library.get_graph_json())["nodes"]
    found = [node["attrs"]["func_name"] for node in nodes if node["op"] == "tvm_op"]
    return [name.removeprefix("tvmgen_default_fused_") for name in found]


def run(library, **inputs):
    module = graph_of(library)
    module.run(**inputs)
    return module.get_output(0).numpy()


def assert_close(got, wanted):
    scale = np.abs(wanted).max()
    np.testing.assert_allclose(got / scale, wanted / scale, rtol=0, atol=3e-6)


@pytest.mark.parametrize(
    ("variant", "groups", "dilation"),
    [("auto", 2, (2, 1)), *((name, 1, (1, 1)) for name in TE_VARIANTS)],
)
def test_a_layer_is_one_kernel_with_packed_weights(variant, groups, dilation):
    weight = weights(groups)
    y = layer(relay.var("x", shape=X.shape), relay.const(weight), groups, dilation)
    with tvm_deconv.relay.lowering(variant):
        library = build(y)
    assert kernels(library) == ["tvm_deconv_conv2d_transpose"]
    (packed,) = library.get_params().values()
    assert packed.shape != weight.shape
    assert_close(run(library, x=X), expected(X, weight, groups, dilation))


@pytest.mark.parametrize(
    ("variant", "opt_level", "constant"),
    [("auto", 2, True), *((name, 3, False) for name in TE_VARIANTS)],
)
def test_weights_that_are_not_packed_before_are_packed_by_the_kernel(variant, opt_level, constant):
    weight = weights(2)
    w = relay.const(weight) if constant else relay.var("w", shape=weight.shape)
    with tvm_deconv.relay.lowering(variant):
        library = build(layer(relay.var("x", shape=X.shape), w, 2), opt_level)
    assert kernels(library) == ["nn_conv2d_transpose"]
    inputs = {} if constant else {"w": weight}
    assert_close(run(library, x=X, **inputs), expected(X, weight, 2))


def bias(y):
    return relay.nn.bias_add(y, relay.const(BIAS))


EPILOGUES = {
    "bias, relu": (
        lambda y, r: relay.nn.relu(bias(y)),
        lambda y, r: np.maximum(y + BIAS[:, None, None], 0),
    ),
    "residual, clip": (
        lambda y, r: relay.clip(bias(y) + r, -1.0, 1.0),
        lambda y, r: np.clip(y + BIAS[:, None, None] + r, -1, 1),
    ),
    "prelu": (
        lambda y, r: relay.nn.prelu(y, relay.const(BIAS)),
        lambda y, r: np.where(y > 0, y, y * BIAS[:, None, None]),
    ),
    "leaky relu, scale": (
        lambda y, r: relay.nn.leaky_relu(y, 0.1) * relay.const(3.0),
        lambda y, r: np.where(y > 0, y, 0.1 * y) * 3,
    ),
    "used twice": (
        lambda y, r: relay.nn.relu(y) * relay.const(2.0) + y,
        lambda y, r: np.maximum(y, 0) * 2 + y,
    ),
}


@pytest.mark.parametrize(
    ("name", "columns"), [*((name, 9) for name in EPILOGUES), ("residual, clip", 16)]
)
def test_what_follows_is_fused_into_the_store(name, columns):
    # 53 columns come from 9, which no tile divides, and 96 from 16 without the output padding.
    options = {"padding": (1, 1, 1, 1), "output_padding": (0, 0)} if columns == 16 else {}
    x, weight = RNG.standard_normal((2, 8, 7, columns), "float32"), weights()
    y = layer(relay.var("x", shape=x.shape), relay.const(weight), **options)
    emit, compute = EPILOGUES[name]
    plain = expected(x, weight, **options)
    residual = RNG.standard_normal(plain.shape, "float32")
    output = emit(y, relay.var("r", shape=plain.shape))
    library = build(output)
    (kernel,) = kernels(library)
    assert kernel.startswith("tvm_deconv_conv2d_transpose_")
    inputs = {"r": residual} if len(relay.analysis.free_vars(output)) > 1 else {}
    assert_close(run(library, x=x, **inputs), compute(plain, residual))


@pytest.mark.parametrize("layout", ["NCHW", "NHWC"])
@pytest.mark.parametrize("columns", [9, 16])
def test_values_per_phase_are_fused_into_the_store(columns, layout):
    place = last if layout == "NHWC" else np.asarray
    x, weight = RNG.standard_normal((1, 8, 7, columns), "float32"), weights()[..., :4]
    y = layer(
        relay.var("x", shape=place(x).shape),
        relay.const(weight),
        strides=(2, 2),
        padding=(1, 1),
        output_padding=(0, 0),
        kernel_size=(4, 4),
        data_layout=layout,
    )
    split, whole = (1, 6, 7, 2, columns, 2), (1, 6, 14, 2 * columns)
    add, scale = (RNG.standard_normal((1, 6, 1, 2, 1, 2), "float32") for _ in range(2))
    phases = relay.reshape(y, place(np.empty(split)).shape)
    phases = phases * relay.const(place(scale)) + relay.const(place(add))
    merged = relay.reshape(relay.nn.relu(phases), place(np.empty(whole)).shape)
    library = build(relay.nn.relu(merged))
    (kernel,) = kernels(library)
    assert "phase_like" in kernel and "reshape" not in kernel
    sizes = sum(values.numpy().size for values in library.get_params().values())
    assert sizes < 2 * weight.size
    wanted = reference.conv2d_transpose(
        x.astype("float64"), weight.astype("float64"), (2, 2), (1, 1, 1, 1)
    )
    wanted = np.maximum(wanted.reshape(split) * scale + add, 0).reshape(whole)
    assert_close(run(library, x=place(x)), place(wanted))


def test_a_reshape_of_six_dimensions_that_is_no_phase_stays_right():
    x = RNG.standard_normal((1, 4, 3, 2, 5, 2), "float32")
    library = build(relay.nn.relu(relay.reshape(relay.var("x", shape=x.shape), (1, 4, 6, 10))))
    assert_close(run(library, x=x), np.maximum(x.reshape(1, 4, 6, 10), 0))


def last(values):
    """NCHW values in NHWC."""
    return np.ascontiguousarray(np.moveaxis(values, 1, -1))


@pytest.mark.parametrize(
    ("kernel_layout", "groups", "constant"),
    [("IOHW", 2, True), ("HWOI", 1, True), ("IOHW", 2, False)],
)
def test_nhwc_is_one_kernel_with_what_follows(kernel_layout, groups, constant):
    weight = weights(groups)
    given = weight.transpose(["IOHW".index(name) for name in kernel_layout])
    plain = expected(X, weight, groups)
    w = relay.const(given) if constant else relay.var("w", shape=given.shape)
    residual = RNG.standard_normal(last(plain).shape, "float32")
    x, r = (relay.var(name, shape=v.shape) for name, v in (("x", last(X)), ("r", residual)))
    y = layer(x, w, groups, data_layout="NHWC", kernel_layout=kernel_layout)
    y = relay.nn.prelu(relay.nn.bias_add(y, relay.const(BIAS), 3), relay.const(BIAS), 3)
    library = build(relay.clip(y + r, -1.0, 1.0))
    (kernel,) = kernels(library)
    assert kernel.startswith("tvm_deconv_conv2d_transpose" if constant else "nn_conv2d_transpose")
    inputs = {} if constant else {"w": given}
    biased = last(plain) + BIAS
    wanted = np.clip(np.where(biased > 0, biased, biased * BIAS) + residual, -1, 1)
    assert_close(run(library, x=last(X), r=residual, **inputs), wanted)


def test_an_nhwc_network_is_one_kernel_a_layer_after_the_rewrite():
    x = relay.var("x", shape=(1, 7, 9, 4))
    weight = RNG.standard_normal((3, 3, 4, 12), "float32")
    options = {"padding": 1, "data_layout": "NHWC", "kernel_layout": "HWIO"}
    y = relay.nn.conv2d(x, relay.const(weight), channels=12, kernel_size=(3, 3), **options)
    y = relay.nn.bias_add(y, relay.const(np.tile(BIAS, 2)), 3)
    slope = np.abs(np.tile(BIAS, 2))
    y = relay.nn.depth_to_space(relay.nn.prelu(y, relay.const(slope), 3), 2, "NHWC")
    y = relay.nn.relu(y)
    y = relay.nn.upsampling(y, 2.0, 2.0, "NHWC")
    weight = RNG.standard_normal((3, 3, 3, 5), "float32")
    y = relay.nn.conv2d(y, relay.const(weight), channels=5, kernel_size=(3, 3), **options)
    y = relay.sigmoid(relay.nn.bias_add(y, relay.const(BIAS[:5]), 3))
    mod = relay.transform.InferType()(tvm.IRModule.from_expr(relay.Function([x], y)))
    new, report = tvm_deconv.relay.rewrite_upsampling(mod)
    assert len(report.rewritten) == 2, report
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(new, target=HOST)
    assert len(kernels(library)) == 2
    assert not any("transpose" in name.replace("conv2d_transpose", "") for name in kernels(library))
    value = RNG.standard_normal((1, 7, 9, 4), "float32")
    assert_close(run(library, x=value), relay_reference.evaluate(mod, value.astype("float64")))


def test_nhwc_is_left_to_tvm_where_we_have_no_kernel():
    weight = weights().astype("float64")
    x = relay.var("x", shape=last(X).shape, dtype="float64")
    library = build(layer(x, relay.const(weight, "float64"), data_layout="NHWC"))
    assert kernels(library) == ["transpose", "nn_conv2d_transpose", "transpose_1"]
    assert_close(run(library, x=last(X).astype("float64")), last(expected(X, weight)))


def test_stock_kernels_are_there_when_asked_for():
    weight = weights()
    y = layer(relay.var("x", shape=X.shape), relay.const(weight))
    with tvm_deconv.relay.stock():
        library = build(y)
    assert kernels(library) == ["nn_conv2d_transpose"]
    assert_close(run(library, x=X), expected(X, weight))
    assert kernels(build(y)) == ["tvm_deconv_conv2d_transpose"]


def test_other_dtypes_are_left_to_tvm():
    weight = weights().astype("float64")
    y = layer(relay.var("x", shape=X.shape, dtype="float64"), relay.const(weight, "float64"))
    library = build(y)
    assert kernels(library) == ["nn_conv2d_transpose"]
    assert_close(run(library, x=X.astype("float64")), expected(X, weight))


def test_a_variant_that_cannot_leaves_the_layer_to_another():
    # 33 x 33 taps are more than STDD writes out.
    weight = RNG.standard_normal((1, 1, 33, 33), "float32")
    x = relay.var("x", shape=(1, 1, 4, 5))
    y = relay.nn.conv2d_transpose(x, relay.const(weight), channels=1, kernel_size=(33, 33))
    with tvm_deconv.relay.lowering("stdd"):
        library = build(y)
    assert kernels(library) == ["tvm_deconv_conv2d_transpose"]


def test_an_unknown_variant_is_refused_by_name():
    wanted = r"unknown variant 'winograd': give one of auto, revd2, tdc, revd, stdd, strd"
    with pytest.raises(VariantError, match=wanted), tvm_deconv.relay.lowering("winograd"):
        pass


ARM = "llvm -device=arm_cpu -mtriple="


@pytest.mark.parametrize(
    ("target", "machine"),
    [
        (ARM + "aarch64-linux-gnu -mattr=+neon", 183),
        (ARM + "armv7l-linux-gnueabihf -mattr=+neon,+vfp4 -mfloat-abi=hard", 40),
        ("llvm -mtriple=riscv64-unknown-linux-gnu -mcpu=generic-rv64 -mattr=+m,+a,+f,+d,+v", 243),
        ("llvm -mtriple=riscv64-unknown-linux-gnu -mcpu=generic-rv64 -mattr=+m,+a,+f,+d", 243),
        ("llvm -mtriple=x86_64-linux-gnu -mcpu=haswell", 62),
    ],
)
def test_objects_for_other_processors_hold_our_kernel(tmp_path, target, machine):
    y = relay.nn.relu(layer(relay.var("x", shape=X.shape), relay.const(weights(2)), 2))
    library = build(y, target=tvm.target.Target(target))
    assert kernels(library) == ["tvm_deconv_conv2d_transpose_nn_relu"]
    library.get_lib().save(str(tmp_path / "kernel.o"))
    header = (tmp_path / "kernel.o").read_bytes()[:20]
    assert int.from_bytes(header[18:20], "little") == machine
