"""Stride-1 ``nn.conv2d``: which layers our kernels take from TVM, and what they compute."""

from __future__ import annotations

import io

import numpy as np
import pytest
import relay_reference
import tvm
from relay_helpers import assert_close, module, operators
from tvm import autotvm, relay
from tvm.contrib.graph_executor import GraphModule

import tvm_deconv.relay
from tvm_deconv.relay import tasks
from tvm_deconv.relay.packed import NAME

SSE = "llvm -mtriple=x86_64-linux-gnu -opt-level=0"
AVX2 = "llvm -mtriple=x86_64-linux-gnu -mcpu=haswell"
AVX512 = "llvm -mtriple=x86_64-linux-gnu -mcpu=skylake-avx512"
RISC_V = "llvm -mtriple=riscv64-unknown-linux-gnu -mcpu=generic-rv64 -mattr=+m,+a,+f,+d"
ARM = "llvm -device=arm_cpu -mtriple=aarch64-linux-gnu -mattr=+neon"


@pytest.fixture(autouse=True)
def no_tophub(monkeypatch):
    """TVM's own records of ARM's convolutions are a file that it would fetch."""
    monkeypatch.setenv("TOPHUB_LOCATION", "NONE")


def network(shape, kernel, layout="NCHW", kernel_layout="OIHW", **options):
    """A convolution of ``shape``, in ``layout``, with random weights of OIHW shape ``kernel``."""
    weight = np.random.default_rng(0).standard_normal(kernel).astype("float32")
    weight = weight.transpose(["OIHW".index(name) for name in kernel_layout])

    def body(x):
        return relay.nn.conv2d(
            x,
            relay.const(weight),
            channels=kernel[0],
            kernel_size=kernel[2:],
            data_layout=layout,
            kernel_layout=kernel_layout,
            **{"padding": 1, **options},
        )

    return module(body, shape)


def is_ours(mod, target):
    with tvm.transform.PassContext(opt_level=3):
        altered = relay.optimize(mod, target=tvm.target.Target(target))[0]
    return NAME in operators(altered)


LAYERS = {
    "whole vectors and tiles": ((1, 32, 8, 128), (64, 32, 3, 3), {}),
    "few channels in": ((1, 3, 8, 128), (64, 3, 3, 3), {}),
    "few channels out": ((1, 32, 8, 128), (3, 32, 3, 3), {}),
    "a prime width": ((1, 32, 8, 101), (32, 32, 3, 3), {}),
    "half the width is prime": ((1, 32, 8, 106), (32, 32, 3, 3), {}),
    "depthwise": ((1, 32, 8, 128), (32, 1, 3, 3), {"groups": 32}),
    "NHWC": ((1, 8, 128, 32), (32, 32, 3, 3), {"layout": "NHWC", "kernel_layout": "HWIO"}),
}


@pytest.mark.parametrize("name", LAYERS)
def test_ours_are_taken_where_they_were_faster(name):
    shape, kernel, options = LAYERS[name]
    mod = network(shape, kernel, **options)
    if name == "whole vectors and tiles":
        assert is_ours(mod, AVX2)
        assert not is_ours(mod, AVX512)
    else:
        assert is_ours(mod, AVX512)


def test_ours_are_taken_where_llvm_ends_at_tvms_vectors():
    assert is_ours(network((1, 32, 8, 128), (64, 32, 3, 3)), RISC_V)


def test_arms_convolutions_are_left_to_tvm():
    assert not is_ours(network((1, 3, 8, 9), (64, 3, 3, 3)), ARM)


@pytest.mark.parametrize(
    ("kernel", "options"),
    [
        ((6, 4, 3, 3), {"strides": 2}),
        ((6, 4, 3, 3), {"padding": 3}),
        ((6, 4, 3, 3), {"out_dtype": "float64"}),
        ((8, 1, 3, 3), {"groups": 4, "layout": "NHWC", "kernel_layout": "HWOI"}),
    ],
    ids=["stride", "padding beyond the kernel", "another dtype", "a depth multiplier"],
)
def test_what_is_none_of_our_layers_is_left_to_tvm(kernel, options):
    shape = (1, 7, 9, 4) if options.get("layout") == "NHWC" else (1, 4, 7, 9)
    if options.get("kernel_layout") == "HWOI":
        # With a multiplier of 2, Relay calls the 4 inputs O.
        weight = relay.const(np.ones((3, 3, 4, 2), "float32"))
        fixed = {"channels": 8, "kernel_size": (3, 3), "groups": 4, "kernel_layout": "HWOI"}
        mod = module(lambda x: relay.nn.conv2d(x, weight, data_layout="NHWC", **fixed), shape)
    else:
        mod = network(shape, kernel, **options)
    assert not is_ours(mod, AVX2)


def test_weights_that_are_parameters_are_left_to_tvm():
    def body(x, w):
        return relay.nn.conv2d(x, w, padding=1, channels=6, kernel_size=(3, 3))

    assert not is_ours(module(body, (1, 4, 7, 9), w=(6, 4, 3, 3)), AVX2)


def test_stock_and_a_variant_by_name_leave_convolutions_to_tvm():
    mod = network((1, 4, 7, 9), (6, 4, 3, 3))
    for context in (tvm_deconv.relay.stock(), tvm_deconv.relay.lowering("tdc")):
        with context:
            assert not is_ours(mod, AVX2)
    assert is_ours(mod, AVX2)


def test_a_layer_that_autotvm_has_a_record_of_stays_with_tvm():
    mod = network((1, 4, 7, 9), (6, 4, 3, 3))
    target = tvm.target.Target(AVX2)
    (task,) = (t for t in autotvm.task.extract_from_program(mod, {}, target) if "NCHWc" in t.name)
    measured = autotvm.MeasureInput(target, task, task.config_space.get(0))
    line = autotvm.record.encode(measured, autotvm.MeasureResult((1e-3,), 0, 0.1, 0.0))
    rows = list(autotvm.record.load_from_buffer(io.StringIO(line)))
    with autotvm.apply_history_best(rows):
        assert not is_ours(mod, AVX2)
        assert is_ours(network((1, 4, 7, 8), (6, 4, 3, 3)), AVX2)


def test_they_are_tuned_with_the_others():
    ((*found,),) = tasks.layers_of(
        network((1, 4, 7, 9), (6, 4, 3, 3)), None, tvm.target.Target(AVX2)
    )
    assert "conv2d_transpose_revd2.tvm_deconv" in {task.name for task in found}


@pytest.mark.parametrize(
    ("shape", "kernel", "options"),
    [
        ((2, 4, 7, 9), (6, 4, 3, 4), {"padding": (2, 0, 1, 3)}),
        ((1, 6, 9, 17), (9, 2, 3, 2), {"groups": 3, "dilation": (2, 3), "padding": (4, 1, 0, 2)}),
        ((1, 8, 6, 16), (8, 1, 3, 3), {"groups": 8}),
        ((1, 7, 9, 4), (6, 4, 3, 3), {"layout": "NHWC", "kernel_layout": "HWIO"}),
        ((1, 7, 9, 6), (6, 1, 3, 5), {"layout": "NHWC", "kernel_layout": "HWOI", "groups": 6}),
        ((1, 4, 5, 8), (5, 4, 1, 1), {"padding": 0}),
    ],
    ids=["asymmetric", "groups, dilated", "depthwise", "NHWC", "NHWC depthwise", "pointwise"],
)
def test_a_convolution_equals_float64(shape, kernel, options):
    mod = network(shape, kernel, **options)
    with tvm.transform.PassContext(opt_level=3):
        library = relay.build(mod, SSE)
    assert NAME.replace(".", "_") in library.get_graph_json()
    run = GraphModule(library["default"](tvm.cpu()))
    x = np.random.default_rng(1).standard_normal(shape).astype("float32")
    run.run(x=x)
    assert_close(run.get_output(0).numpy(), relay_reference.evaluate(mod, x.astype("float64")))
