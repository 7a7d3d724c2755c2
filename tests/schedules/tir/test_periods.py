"""Remainders in addresses: LLVM 22 must not take them for indices that only rise."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled
from tvm import te, tirx

from tvm_deconv.schedules.tir.periods import with_whole_periods
from tvm_deconv.targets import resolve_target


def table_function(length, period, step, offset, shift):
    """y[i] = table[(step * i + offset) % period + shift[0] * period], with 32-bit indices."""
    table = te.placeholder((4 * period,), "float32", "table")
    shifts = te.placeholder((1,), "int32", "shift")
    y = te.compute(
        (length,),
        lambda i: table[(i * step + offset) % period + shifts[0] * period],
        name="y",
    )
    func = te.create_prim_func([table, shifts, y])
    return func.with_attr("tirx.noalias", True), np.int32([shift])


def remainders(func):
    found = []
    tvm_ffi.structural_walk(func.body, (tirx.FloorMod, found.append))
    return found


CASES = [
    (24, 4, 1, 0),  # whole periods
    (50, 4, 1, 0),  # and a rest
    (3, 4, 1, 0),  # less than one
    (48, 8, 1, 3),  # something added: unrolled
    (45, 16, 1, 5),
    (96, 8, 3, 1),  # every third
    (200, 64, 1, 0),
    (200, 128, 1, 0),
    ("n", 4, 1, 0),  # any length
    ("n", 8, 1, 3),
]


@pytest.mark.parametrize(("length", "period", "step", "offset"), CASES)
def test_a_loop_over_whole_periods_reads_the_same(length, period, step, offset):
    size = te.var("n", "int32") if length == "n" else length
    func, shift = table_function(size, period, step, offset, 2)
    changed = with_whole_periods(func)
    target = resolve_target({**resolve_target("host").export(), "opt-level": 3})
    run = tvm.tirx.build(tvm.IRModule({"main": changed.with_attr("global_symbol", "main")}), target)
    table = np.arange(4 * period, dtype="float32")
    for n in (1, 7, 40) if length == "n" else (length,):
        y = tvm.runtime.tensor(np.full(n, np.nan, "float32"))
        run["main"](tvm.runtime.tensor(table), tvm.runtime.tensor(shift), y)
        expected = table[(np.arange(n) * step + offset) % period + 2 * period]
        np.testing.assert_array_equal(y.numpy(), expected)


def test_no_remainder_is_left_where_the_period_divides_the_index():
    func, _ = table_function(24, 4, 1, 0, 1)
    assert remainders(func)
    mod = tvm.IRModule({"main": with_whole_periods(func)})
    lower = tvm.s_tir.transform
    for lowering in (lower.ConvertBlocksToOpaque(), lower.LowerOpaqueBlock(), lower.StmtSimplify()):
        mod = lowering(mod)
    simple = mod["main"]
    assert not remainders(simple)
    assert isinstance(simple.body.body, tirx.For), "one loop over periods, one over the period"


@pytest.mark.parametrize("length", [128, 200, "n"])
def test_a_remainder_within_a_period_is_split_off_without_writing_out(length):
    size = te.var("n", "int32") if length == "n" else length
    x = te.placeholder((64,), "float32", "x")
    y = te.compute((size,), lambda i: x[i % 64 // 8 + i % 8 * 8], name="y")
    func = te.create_prim_func([x, y]).with_attr("tirx.noalias", True)
    changed = with_whole_periods(func)
    kinds = []
    tvm_ffi.structural_walk(changed.body, (tirx.For, lambda loop: kinds.append(loop.kind)))
    assert len(kinds) > 1 and tirx.ForKind.UNROLLED not in kinds
    main = tvm.IRModule({"main": changed.with_attr("global_symbol", "main")})
    run = tvm.tirx.build(main, resolve_target("host"))["main"]
    values = np.arange(64, dtype="float32")
    for n in (1, 71, 200) if length == "n" else (length,):
        got = tvm.runtime.tensor(np.full(n, np.nan, "float32"))
        run(tvm.runtime.tensor(values), got)
        places = np.arange(n)
        np.testing.assert_array_equal(got.numpy(), values[places % 64 // 8 + places % 8 * 8])


@pytest.mark.parametrize(
    "index",
    [lambda i: i % 2, lambda i: i % 3, lambda i: i // 4, lambda i: (i * 4) % 4],
    ids=["by two", "by three", "a quotient", "zero"],
)
def test_other_loops_stay_as_they_are(index):
    x = te.placeholder((24,), "float32", "x")
    func = te.create_prim_func([x, te.compute((24,), lambda i: x[index(i)], name="y")])
    assert tvm_ffi.structural_equal(with_whole_periods(func), func)


def test_a_remainder_in_a_condition_stays_as_it_is():
    x = te.placeholder((24,), "float32", "x")
    y = te.compute((24,), lambda i: tirx.Select(i % 4 == 0, x[i], tirx.const(0.0)), name="y")
    func = te.create_prim_func([x, y])
    assert tvm_ffi.structural_equal(with_whole_periods(func), func)


@pytest.mark.parametrize("dims", [None, ("n", 64, "h", "w")], ids=["fixed", "free"])
def test_constants_per_channel_before_a_shuffle_are_read_where_they_are(dims):
    """Every shuffle that stays behind every operator with a value per channel, in one network."""
    net = Net((1, 64, 6, 10), dims=dims)
    before = {
        "add": lambda: net("Add", "x", net.constant(64, 1, 1)),
        "multiply": lambda: net("Mul", "x", net.constant(64, 1, 1)),
        "prelu": lambda: net("PRelu", "x", net.constant(64, 1, 1)),
        "normalise": lambda: net.batch_norm("x", 64),
        "strided": lambda: net.conv("x", 64, 64, strides=[2, 2]),
    }
    outputs = []
    for name, operator in before.items():
        for factor in (2, 4, 8):
            # An operator of its own before each, so that they are computed together.
            outputs += [
                net("DepthToSpace", operator(), blocksize=factor, mode=mode)
                for mode in ("CRD", "DCR")
            ]
            if dims is None and name != "strided":
                split = net("Reshape", operator(), net.integers(1, -1, factor, factor, 6, 10))
                turned = net("Transpose", split, perm=[0, 1, 4, 3, 5, 2])
                shape = net.integers(1, -1, 6 * factor, 10 * factor)
                outputs.append(net("Reshape", turned, shape))
    model = net.model(*outputs)
    assert_same_as_onnx_runtime(model, net.shape, of_largest=1e-5)


def test_a_loop_of_no_iterations_stays_one():
    """A running sum of one element has such a loop; it became a sequence of nothing."""
    net = Net((8, 3, 32, 1))
    main = compiled(net.model(net("CumSum", "x", net.given(np.array(3)))))
    x = np.random.default_rng(0).standard_normal(net.shape).astype("float32")
    np.testing.assert_array_equal(main(tvm.runtime.tensor(x)).numpy(), x)


def test_a_loop_at_whose_places_another_begins_is_over_periods_too():
    """for i in range(8): for j in range(3 * i, 3 * i + 3): y[j] = table[j % 4]"""
    table, y = (tirx.decl_buffer((n,), "float32") for n in (4, 24))
    i, j = tirx.Var("i", "int32"), tirx.Var("j", "int32")
    value = tirx.BufferLoad(table, [tirx.floormod(j, 4)])
    three, zero = tirx.IntImm("int32", 3), tirx.IntImm("int32", 0)
    serial = tirx.ForKind.SERIAL
    inner = tirx.For(j, i * 3, three, serial, tirx.BufferStore(y, value, [j]))
    func = tirx.PrimFunc([table, y], tirx.For(i, zero, tirx.IntImm("int32", 8), serial, inner))
    extents = []

    def note(loop):
        extents.append(int(loop.extent))

    tvm_ffi.structural_walk(with_whole_periods(func).body, (tirx.For, note))
    assert sorted(extents) == [2, 3, 4]
