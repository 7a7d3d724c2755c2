"""The default CPU schedule computes what the operators say, in parallel and in vectors."""

from __future__ import annotations

from functools import partial
from math import prod

import numpy as np
import pytest
import torch
import torch.nn.functional as tf
import tvm
import tvm_ffi
from default_schedules import (
    HOST,
    arrays_of,
    check,
    check_each,
    functions_of,
    loops_of,
    module_of,
    run,
    scheduled,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import relax, s_tir, tirx
from tvm.relax import op as ops
from tvm.relax.backend.cpu_generic import pipeline as stock

from tvm_deconv.backends.passes import ScheduleRemaining
from tvm_deconv.pads import pad_by_sizes
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest import default as cpu_default
from tvm_deconv.schedules.rest.default import SCHEDULED
from tvm_deconv.targets import resolve_target


def conv(**attrs):
    return lambda x, w: ops.nn.conv2d(x, w, **attrs)


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


def sizes(*names):
    return [tirx.Var(name, "int64") for name in names]


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


BIG = {
    "strided convolution": (conv(strides=2, padding=1), [(1, 32, 57, 59), (48, 32, 3, 3)]),
    "depthwise convolution": (conv(padding=1, groups=32), [(1, 32, 57, 59), (32, 1, 3, 3)]),
    "channels last": (
        conv(strides=2, padding=1, data_layout="NHWC", kernel_layout="OHWI"),
        [(1, 57, 59, 32), (48, 3, 3, 32)],
    ),
    "matmul": (ops.matmul, [(57, 129), (129, 201)]),
    "relu": (ops.nn.relu, [(1, 32, 57, 59)]),
    "bias": (ops.add, [(1, 32, 57, 59), (1, 32, 1, 1)]),
    "concat": (lambda x, y: ops.concat([x, y], axis=1), [(1, 32, 57, 59), (1, 7, 57, 59)]),
    "mean": (lambda x: ops.mean(x, [2, 3]), [(1, 32, 57, 59)]),
    "instance norm": (
        lambda x, g, b: ops.nn.instance_norm(x, g, b, channel_axis=1, axes=[2, 3]),
        [(1, 32, 57, 59), (32,), (32,)],
    ),
}


@pytest.mark.parametrize("name", BIG)
def test_large_functions_run_in_parallel_and_in_vectors(name):
    emit, shapes = BIG[name]
    for func in functions_of(scheduled(module_of(emit, shapes))):
        assert loops_of(func, tirx.ForKind.PARALLEL)
        assert loops_of(func, tirx.ForKind.VECTORIZED)


@pytest.mark.parametrize("name", ["strided convolution", "matmul", "relu"])
def test_functions_of_symbolic_size_run_in_parallel_and_in_vectors(name):
    emit, shapes = BIG[name]
    symbolic = [(*shapes[0][:-1], tirx.Var("w", "int64")), *shapes[1:]]
    if name == "matmul":
        symbolic = [(tirx.Var("m", "int64"), 129), (129, 201)]
    for func in functions_of(scheduled(module_of(emit, symbolic))):
        assert loops_of(func, tirx.ForKind.PARALLEL)
        assert loops_of(func, tirx.ForKind.VECTORIZED)


def test_small_functions_stay_on_one_thread():
    (func,) = functions_of(scheduled(module_of(ops.nn.relu, [(1, 3, 9, 9)])))
    assert not loops_of(func, tirx.ForKind.PARALLEL)


def updates_of(func):
    """The realized blocks that accumulate, with all conditions that stand around them."""
    found = []

    def visit(node, inside):
        if isinstance(node, tirx.SeqStmt):
            for child in node.seq:
                visit(child, inside)
        elif isinstance(node, tirx.For):
            visit(node.body, inside)
        elif isinstance(node, tirx.IfThenElse):
            visit(node.then_case, [*inside, node.condition])
            if node.else_case is not None:
                visit(node.else_case, [*inside, node.condition])
        elif isinstance(node, s_tir.SBlockRealize):
            if node.block.name_hint.endswith("_update"):
                found.append((node, inside))
            visit(node.block.body, inside)

    visit(func.body, [])
    return found


def conditions_in(node):
    found = []

    def note(call):
        if getattr(call.op, "name", "") == "prim.if_then_else":
            found.append(call)

    tvm_ffi.structural_walk(node, (tvm.ir.Call, note))
    return found


@pytest.mark.parametrize(
    "name, is_symbolic",
    [
        ("strided convolution", False),
        ("strided convolution", True),
        ("depthwise convolution", False),
        ("depthwise convolution", True),
        ("channels last", False),
        ("channels last", True),
        ("matmul", True),
    ],
)
def test_no_condition_stands_in_a_reduction(name, is_symbolic):
    """57 x 59 divides by no tile: with a predicate here the loops are 2 to 50 times slower."""
    emit, shapes = BIG[name]
    if is_symbolic and name != "matmul":
        axes = (1, 2) if name == "channels last" else (2, 3)
        first = [
            tirx.Var("hw"[axes.index(d)], "int64") if d in axes else s
            for d, s in enumerate(shapes[0])
        ]
        shapes = [tuple(first), *shapes[1:]]
    elif is_symbolic:
        m, k, n = sizes("m", "k", "n")
        shapes = [(m, k), (k, n)]
    (func,) = functions_of(scheduled(module_of(emit, shapes)))
    updates = updates_of(func)
    assert updates
    for realize, inside in updates:
        assert not inside
        assert realize.predicate.value == 1
        assert not conditions_in(realize.block.body)


def test_accumulators_are_local_and_few_enough_for_the_registers():
    emit, shapes = BIG["strided convolution"]
    (func,) = functions_of(scheduled(module_of(emit, shapes)))
    buffers = func.body.block.alloc_buffers
    assert [buffer.name for buffer in buffers if buffer.scope() == "local"]


def test_a_chain_of_maxima_that_is_written_out_stays_short():
    """LLVM takes twice as long for each further one: 35 took longer than a minute."""
    module = module_of(partial(ops.max, axis=[0, 1, 2]), [(32, 5, 7, 8)])
    (func,) = functions_of(scheduled(module))
    extents = [int(loop.extent) for loop in loops_of(func, tirx.ForKind.UNROLLED)]
    assert 1 < prod(extents) <= 16


def test_functions_marked_as_scheduled_are_left_alone():
    mod = module_of(ops.nn.relu, [(1, 32, 57, 59)])
    with HOST:
        mod = tvm.transform.Sequential(stock.legalize_passes(HOST))(mod)
    for name, func in list(mod.functions_items()):
        if isinstance(func, tirx.PrimFunc):
            mod[name] = func.with_attr(SCHEDULED, True)
    tvm.ir.assert_structural_equal(ScheduleRemaining(HOST)(mod), mod)


def test_the_pass_is_idempotent():
    once = scheduled(module_of(*BIG["strided convolution"]))
    tvm.ir.assert_structural_equal(ScheduleRemaining(HOST)(once), once)


def test_a_schedule_that_fails_gives_way_to_a_simpler_one(monkeypatch, caplog):
    def fail(*_args):
        raise s_tir.ScheduleError("tile\ndoes not fit")

    monkeypatch.setattr(cpu_default, "schedule_contraction", fail)
    caplog.set_level("INFO", logger=cpu_default.__name__)
    emit, shapes = BIG["strided convolution"]
    (func,) = functions_of(scheduled(module_of(emit, shapes)))
    assert loops_of(func, tirx.ForKind.PARALLEL)
    assert "does not fit" in caplog.text
    attrs, torch_attrs, x, w = CONVOLUTIONS["strided"]
    check(conv(**attrs), torch_conv(**torch_attrs), [x, w])


def test_a_function_of_unusual_form_is_left_alone():
    i = tirx.Var("i", "int32")
    out = tirx.decl_buffer([8], "int32", "out")
    loop = tirx.For(i, 0, 8, tirx.ForKind.SERIAL, tirx.BufferStore(out, i, [i]))
    func = tirx.PrimFunc([out], loop)
    assert cpu_default.schedule_function(func, cpu_machine(HOST)) == (None, {})


@pytest.mark.parametrize(("low", "high"), [(1, 1), (3, 0), (0, 20)])
def test_padded_rows_are_cut_where_the_padding_begins(low, high):
    check(
        lambda x: ops.nn.pad(x, (0, 0, 0, 0, 1, 2, low, high), pad_value=3.5),
        lambda x: tf.pad(x, (low, high, 1, 2), value=3.5),
        [(1, 16, 57, 61)],
    )
    mod = scheduled(
        module_of(lambda x: ops.nn.pad(x, (0, 0, 0, 0, 1, 2, low, high)), [(1, 16, 57, 61)])
    )
    (func,) = functions_of(mod)
    assert loops_of(func, tirx.ForKind.VECTORIZED)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_rows_that_are_padded_by_themselves_are_copied_between_their_edges(mode):
    shapes = [(1, 16, 57, 61)]

    def pad(x):
        return relax.BlockBuilder.current().call_te(
            pad_by_sizes, x, [0, 0, 1, 3], [1, 16, 60, 70], mode
        )

    check(pad, lambda x: tf.pad(x, (3, 6, 1, 2), mode=mode), shapes)
    (func,) = functions_of(scheduled(module_of(pad, shapes)))
    assert loops_of(func, tirx.ForKind.VECTORIZED)


@pytest.mark.parametrize(
    "target",
    [
        {"kind": "llvm", "mcpu": "haswell", "mtriple": "x86_64-linux-gnu"},
        {"kind": "llvm", "mcpu": "cortex-a72", "mtriple": "aarch64-linux-gnu"},
        {"kind": "llvm", "mtriple": "x86_64-linux-gnu"},
    ],
)
def test_other_processors_get_code_too(target):
    target = tvm.target.Target(target)
    for emit, shapes in BIG.values():
        assert tvm.tirx.build(functions_module(scheduled(module_of(emit, shapes), target)), target)


def functions_module(mod):
    return tvm.IRModule(
        {
            name: func.with_attr("global_symbol", name.name_hint)
            for name, func in mod.functions_items()
            if isinstance(func, tirx.PrimFunc)
        }
    )


def test_conditions_are_found_where_there_are_some():
    """The search of the test above would pass for ever if TVM renamed the operator."""
    mod = scheduled(module_of(lambda x: ops.tril(x), [(9, 9)]))
    padded = scheduled(module_of(lambda x, y: ops.concat([x, y], axis=1), [(2, 8, 5), (2, 7, 5)]))
    assert conditions_in(functions_of(padded)[0].body) or conditions_in(functions_of(mod)[0].body)
