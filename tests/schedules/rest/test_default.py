"""The default CPU schedule computes what the operators say."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import torch.nn.functional as tf
from default_schedules import (
    arrays_of,
    check,
    check_each,
    conv,
    functions_of,
    loops_of,
    module_of,
    run,
    scheduled,
    sizes,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax, tirx
from tvm.relax import op as ops

from tvm_deconv.targets import resolve_target


def torch_conv(**attrs):
    return lambda x, w: tf.conv2d(x, w, **attrs)


CONVOLUTIONS = {
    "strided": (
        {"strides": 2, "padding": 1},
        {"stride": 2, "padding": 1},
        (1, 5, 23, 29),
        (7, 5, 3, 3),
    ),
    "strided by three, 5x5": (
        {"strides": 3, "padding": 2},
        {"stride": 3, "padding": 2},
        (1, 3, 31, 40),
        (6, 3, 5, 5),
    ),
    "strided, even kernel": ({"strides": 2}, {"stride": 2}, (1, 4, 20, 33), (5, 4, 4, 4)),
    "dilated": (
        {"padding": 2, "dilation": 2},
        {"padding": 2, "dilation": 2},
        (1, 4, 17, 31),
        (9, 4, 3, 3),
    ),
    "strided and dilated": (
        {"strides": 2, "padding": 2, "dilation": 2},
        {"stride": 2, "padding": 2, "dilation": 2},
        (1, 4, 17, 31),
        (9, 4, 3, 3),
    ),
    "1x1": ({}, {}, (1, 16, 17, 31), (33, 16, 1, 1)),
    "1x1 strided": ({"strides": 2}, {"stride": 2}, (1, 16, 17, 31), (8, 16, 1, 1)),
    "depthwise": (
        {"padding": 1, "groups": 8},
        {"padding": 1, "groups": 8},
        (1, 8, 37, 41),
        (8, 1, 3, 3),
    ),
    "depthwise, two per channel, strided": (
        {"padding": 1, "strides": 2, "groups": 8},
        {"padding": 1, "stride": 2, "groups": 8},
        (1, 8, 37, 41),
        (16, 1, 3, 3),
    ),
    "grouped": (
        {"padding": 1, "groups": 3},
        {"padding": 1, "groups": 3},
        (1, 12, 13, 21),
        (15, 4, 3, 3),
    ),
    "batch of three": (
        {"strides": 2, "padding": 1},
        {"stride": 2, "padding": 1},
        (3, 5, 9, 11),
        (7, 5, 3, 3),
    ),
    "one channel": ({"padding": 1}, {"padding": 1}, (1, 1, 9, 50), (1, 1, 3, 3)),
    "one pixel": ({"padding": 1}, {"padding": 1}, (1, 6, 1, 1), (5, 6, 3, 3)),
}


@pytest.mark.parametrize("name", CONVOLUTIONS)
def test_a_convolution_equals_torch(name):
    attrs, torch_attrs, x, w = CONVOLUTIONS[name]
    check(conv(**attrs), torch_conv(**torch_attrs), [x, w])


@pytest.mark.parametrize("name", ["strided", "depthwise", "grouped"])
def test_a_convolution_in_half_precision_sums_in_single_precision(name):
    attrs, torch_attrs, x, w = CONVOLUTIONS[name]
    check(conv(**attrs), torch_conv(**torch_attrs), [x, w], dtype="float16")


def test_a_convolution_of_symbolic_size_serves_every_size():
    n, h, w = sizes("n", "h", "w")
    check_each(
        conv(strides=2, padding=1),
        torch_conv(stride=2, padding=1),
        [[(2, 5, *size), (7, 5, 3, 3)] for size in [(1, 1), (5, 7), (16, 32), (33, 47)]],
        symbolic=[(n, 5, h, w), (7, 5, 3, 3)],
    )


@settings(max_examples=12)
@given(
    batch=st.integers(1, 2),
    group=st.integers(1, 3),
    ins=st.integers(1, 4),
    outs=st.integers(1, 9),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.tuples(st.integers(1, 3), st.integers(1, 3)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
    pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
    size=st.tuples(st.integers(8, 20), st.integers(8, 40)),
)
def test_any_convolution_equals_torch(batch, group, ins, outs, kernel, stride, dilation, pad, size):
    check(
        conv(strides=stride, dilation=dilation, padding=pad, groups=group),
        torch_conv(stride=stride, dilation=dilation, padding=pad, groups=group),
        [(batch, group * ins, *size), (group * outs, ins, *kernel)],
    )


def channels_last(x, w):
    strided = tf.conv2d(x.permute(0, 3, 1, 2), w.permute(0, 3, 1, 2), stride=2, padding=1)
    return strided.permute(0, 2, 3, 1)


def bias_and_relu(x, w, b):
    biased = ops.add(ops.nn.conv2d(x, w, strides=2, padding=1), b)
    return ops.nn.relu(biased)


def silu_residual(x, w, y):
    return ops.add(ops.nn.silu(ops.nn.conv2d(x, w, strides=2, padding=1)), y)


def padded(x, w):
    return ops.nn.pad(ops.nn.conv2d(x, w, strides=2), (0, 0, 0, 0, 0, 1, 0, 2), pad_value=3.5)


def cropped(x, w):
    return ops.strided_slice(ops.nn.conv2d(x, w, strides=2), [1, 3], [0, 0], [4, 9])


def joined(x, w, y):
    return ops.concat([ops.nn.conv2d(x, w, strides=2), y], axis=1)


X = (1, 6, 37, 41)
OPERATORS = {
    "channels last": (
        conv(strides=2, padding=1, data_layout="NHWC", kernel_layout="OHWI"),
        channels_last,
        [(1, 15, 18, 5), (11, 3, 3, 5)],
    ),
    "bias and relu": (
        bias_and_relu,
        lambda x, w, b: tf.relu(tf.conv2d(x, w, stride=2, padding=1) + b),
        [(1, 5, 23, 29), (7, 5, 3, 3), (1, 7, 1, 1)],
    ),
    "silu and residual": (
        silu_residual,
        lambda x, w, y: tf.silu(tf.conv2d(x, w, stride=2, padding=1)) + y,
        [(1, 5, 23, 29), (7, 5, 3, 3), (1, 7, 12, 15)],
    ),
    "convolution, then padding": (
        padded,
        lambda x, w: tf.pad(tf.conv2d(x, w, stride=2), (0, 2, 0, 1), value=3.5),
        [(1, 5, 23, 29), (7, 5, 3, 3)],
    ),
    "convolution, then a crop": (
        cropped,
        lambda x, w: tf.conv2d(x, w, stride=2)[:, :4, :, :9],
        [(1, 5, 23, 29), (7, 5, 3, 3)],
    ),
    "convolution, then a concatenation": (
        joined,
        lambda x, w, y: torch.cat([tf.conv2d(x, w, stride=2), y], 1),
        [(1, 5, 23, 29), (7, 5, 3, 3), (1, 3, 11, 14)],
    ),
    "conv1d": (
        lambda x, w: ops.nn.conv1d(x, w, padding=1),
        lambda x, w: tf.conv1d(x, w, padding=1),
        [(1, 6, 101), (7, 6, 3)],
    ),
    "conv3d": (
        lambda x, w: ops.nn.conv3d(x, w, padding=1),
        lambda x, w: tf.conv3d(x, w, padding=1),
        [(1, 3, 5, 9, 18), (4, 3, 3, 3, 3)],
    ),
    "conv2d_transpose as TVM lowers it": (
        lambda x, w: ops.nn.conv2d_transpose(x, w, strides=2, padding=1),
        lambda x, w: tf.conv_transpose2d(x, w, stride=2, padding=1),
        [(1, 5, 11, 13), (5, 6, 4, 4)],
    ),
    "max pool": (
        lambda x: ops.nn.max_pool2d(x, (3, 3), (2, 2), (1, 1, 1, 1)),
        lambda x: tf.max_pool2d(x, 3, 2, 1),
        [X],
    ),
    "max pool, stride 1": (
        lambda x: ops.nn.max_pool2d(x, (3, 3), (1, 1), (1, 1, 1, 1)),
        lambda x: tf.max_pool2d(x, 3, 1, 1),
        [X],
    ),
    "average pool": (
        lambda x: ops.nn.avg_pool2d(x, (2, 2), (2, 2)),
        lambda x: tf.avg_pool2d(x, 2),
        [X],
    ),
    "global average pool": (
        lambda x: ops.nn.adaptive_avg_pool2d(x, (1, 1)),
        lambda x: tf.adaptive_avg_pool2d(x, 1),
        [X],
    ),
    "mean over the last axis": (lambda x: ops.mean(x, axis=-1), lambda x: x.mean(-1), [X]),
    "sum over channels": (lambda x: ops.sum(x, axis=1), lambda x: x.sum(1), [X]),
    "maximum of all": (lambda x: ops.max(x), lambda x: x.max(), [X]),
    "average pool, one large window": (
        lambda x: ops.nn.avg_pool2d(x, (8, 8), (8, 8)),
        lambda x: tf.avg_pool2d(x, 8),
        [(1, 6, 32, 48)],
    ),
    "sum over rows": (lambda x: ops.sum(x, axis=0), lambda x: x.sum(0), [(129, 101)]),
    "strided to one channel": (
        conv(strides=2, padding=1),
        torch_conv(stride=2, padding=1),
        [(1, 16, 33, 35), (1, 16, 3, 3)],
    ),
    "matrix transposed times vector": (
        lambda x, w: ops.matmul(x, ops.permute_dims(w)),
        lambda x, w: x @ w.T,
        [(1, 65), (97, 65)],
    ),
    "product of three": (lambda x: ops.prod(x, axis=-1), lambda x: x.prod(-1), [(5, 7, 3)]),
    "variance": (
        lambda x: ops.variance(x, axis=[2, 3]),
        lambda x: x.var((2, 3), correction=0),
        [X],
    ),
    "softmax over the last axis": (
        lambda x: ops.nn.softmax(x, axis=-1),
        lambda x: x.softmax(-1),
        [X],
    ),
    "softmax over channels": (lambda x: ops.nn.softmax(x, axis=1), lambda x: x.softmax(1), [X]),
    "layer norm": (
        lambda x, g, b: ops.nn.layer_norm(x, g, b, axes=[-1]),
        lambda x, g, b: tf.layer_norm(x, (41,), g, b),
        [X, (41,), (41,)],
    ),
    "instance norm": (
        lambda x, g, b: ops.nn.instance_norm(x, g, b, channel_axis=1, axes=[2, 3]),
        lambda x, g, b: tf.instance_norm(x, weight=g, bias=b),
        [X, (6,), (6,)],
    ),
    "group norm": (
        lambda x, g, b: ops.nn.group_norm(x, g, b, num_groups=2, channel_axis=1, axes=[2, 3]),
        lambda x, g, b: tf.group_norm(x, 2, g, b),
        [X, (6,), (6,)],
    ),
    "matmul": (ops.matmul, torch.matmul, [(13, 29), (29, 43)]),
    "batched matmul": (ops.matmul, torch.matmul, [(3, 13, 29), (3, 29, 43)]),
    "matrix times vector": (ops.matmul, torch.matmul, [(1, 65), (65, 96)]),
    "dense": (
        lambda x, w: ops.matmul(x, ops.permute_dims(w)),
        lambda x, w: x @ w.T,
        [(9, 29), (43, 29)],
    ),
    "concat": (
        lambda x, y: ops.concat([x, y], axis=1),
        lambda x, y: torch.cat([x, y], 1),
        [X, (1, 2, 37, 41)],
    ),
    "concat along rows": (
        lambda x, y: ops.concat([x, y], axis=3),
        lambda x, y: torch.cat([x, y], 3),
        [X, (1, 6, 37, 5)],
    ),
    "permute": (
        lambda x: ops.permute_dims(x, [0, 2, 3, 1]),
        lambda x: x.permute(0, 2, 3, 1),
        [X],
    ),
    "constant padding": (
        lambda x: ops.nn.pad(x, (0, 0, 0, 0, 1, 2, 3, 4)),
        lambda x: tf.pad(x, (3, 4, 1, 2)),
        [X],
    ),
    "reflect padding": (
        lambda x: ops.nn.pad(x, (0, 0, 0, 0, 1, 2, 3, 4), pad_mode="reflect"),
        lambda x: tf.pad(x, (3, 4, 1, 2), mode="reflect"),
        [X],
    ),
    "take": (
        lambda x: ops.take(x, relax.const([4, 0, 4], "int64"), axis=1),
        lambda x: x[:, [4, 0, 4]],
        [X],
    ),
    "strided slice": (
        lambda x: ops.strided_slice(x, [2, 3], [0, 1], [36, 40], [2, 3]),
        lambda x: x[:, :, 0:36:2, 1:40:3],
        [X],
    ),
    "repeat": (
        lambda x: ops.repeat(x, 2, axis=3),
        lambda x: x.repeat_interleave(2, 3),
        [X],
    ),
    "bilinear resize": (
        lambda x: ops.image.resize2d(x, relax.ShapeExpr((74, 82)), method="linear"),
        lambda x: tf.interpolate(x, (74, 82), mode="bilinear"),
        [X],
    ),
    "one long row": (ops.nn.relu, tf.relu, [(100003,)]),
    "bias per channel": (ops.add, torch.add, [(2, 8, 61, 67), (1, 8, 1, 1)]),
    "a single value": (ops.nn.relu, tf.relu, [(1,)]),
    "hyperbolic tangent": (ops.tanh, torch.tanh, [X]),
    # ThresholdedRelu, as TVM imports it.
    "hyperbolic tangent of a product with a boolean": (
        lambda x: ops.tanh(x * ops.astype(ops.greater(x, relax.const(0.3)), "float32")),
        lambda x: torch.tanh(x * (x > 0.3)),
        [X],
    ),
}


@pytest.mark.parametrize("name", OPERATORS)
def test_an_operator_equals_torch(name):
    emit, reference, shapes = OPERATORS[name]
    check(emit, reference, shapes)


@pytest.mark.parametrize(
    "name", ["layer norm", "matmul", "variance", "instance norm", "bias per channel", "max pool"]
)
def test_an_operator_in_half_precision_equals_torch(name):
    emit, reference, shapes = OPERATORS[name]
    check(emit, reference, shapes, dtype="float16")


@pytest.mark.parametrize(
    "name", ["max pool", "instance norm", "softmax over the last axis", "constant padding"]
)
def test_an_operator_of_symbolic_size_serves_every_size(name):
    emit, reference, (_, *others) = OPERATORS[name]
    n, h, w = sizes("n", "h", "w")
    given = [[(2, 6, *size), *others] for size in [(9, 4), (32, 50)]]
    check_each(emit, reference, given, symbolic=[(n, 6, h, w), *others])


def test_a_symbolic_row_of_whole_vectors_reads_no_rest():
    # Nothing but negative values: whatever is read from a rest that was never set is larger.
    h, w = sizes("h", "w")
    check_each(
        lambda x: ops.max(ops.negative(ops.exp(x)), axis=-1),
        lambda x: (-x.exp()).max(-1).values,
        [[(5, 64)]],
        symbolic=[(h, w)],
    )


def test_a_matmul_of_symbolic_size_serves_every_size():
    m, k, n = sizes("m", "k", "n")
    given = [[(a, b), (b, c)] for a, b, c in [(1, 1, 1), (3, 70, 5), (33, 17, 64)]]
    check_each(ops.matmul, torch.matmul, given, symbolic=[(m, k), (k, n)])


def test_a_sum_of_free_length_stays_a_loop_in_the_smallest_tile():
    """It was to be unrolled, which TVM refused."""
    k = tirx.Var("k", "int64")
    sse = resolve_target({"kind": "llvm", "mcpu": "nehalem", "mtriple": "x86_64-linux-gnu"})
    (func,) = functions_of(scheduled(module_of(ops.matmul, [(1, k), (k, 4)], "float64"), sse))
    unrolled = loops_of(func, tirx.ForKind.UNROLLED)
    assert unrolled and all(isinstance(loop.extent, tirx.IntImm) for loop in unrolled)


def test_an_argmax_equals_numpy():
    x = arrays_of([(4, 57, 33)])[0]
    found = run(module_of(lambda v: ops.argmax(v, axis=1), [x.shape]), [x])
    np.testing.assert_array_equal(found, x.argmax(1))
