"""Default CPU schedules are parallel, in vectors, without conditions, and stay out of the way."""

from __future__ import annotations

from functools import partial
from math import prod

import pytest
import torch.nn.functional as tf
import tvm
import tvm_ffi
from default_schedules import (
    HOST,
    check,
    conv,
    functions_of,
    loops_of,
    module_of,
    scheduled,
    sizes,
)
from tvm import relax, s_tir, tirx
from tvm.relax import op as ops
from tvm.relax.backend.cpu_generic import pipeline as stock

from tvm_deconv.backends.passes import ScheduleRemaining
from tvm_deconv.pads import pad_by_sizes
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest import default as cpu_default
from tvm_deconv.schedules.rest.default import SCHEDULED

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
    check(emit, lambda x, w: tf.conv2d(x, w, stride=2, padding=1), shapes)


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
