"""Functions of bytes as tables: the same bytes as the chain gives, and no chain that is none."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pytest
import tvm
from kernel import HOST
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from quick_network import built, compiled
from tvm import relax, tirx

from tvm_deconv.schedules.cpu.integer.lookup import has_lookup, write_lookup, write_lookups
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import KeepBytes, LowerLookups
from tvm_deconv.transform.graph import op_name, shape_of

SHAPE = (1, 6, 20, 67)
ICELAKE = resolve_target(
    {"kind": "llvm", "mtriple": "x86_64-linux-gnu", "mcpu": "icelake-server", "num-cores": 2}
)
here = pytest.mark.skipif(not has_lookup(HOST), reason="this processor has no AVX-512 VBMI")


def number(value):
    return relax.const(value, "float32")


def per_channel(*shape):
    return relax.const(np.linspace(-1, 1, 6, dtype="float32").reshape(shape), "float32")


def module(function, shape=SHAPE, dtype="int8", quantize=True):
    """``main(x, y)``: a function of dequantized x and y, as bytes."""
    builder = relax.BlockBuilder()
    given = [relax.Var(name, relax.TensorType(shape, dtype)) for name in "xy"]
    zero = relax.const(-5 if dtype == "int8" else 9, dtype)
    with builder.function("main", given):
        with builder.dataflow():
            emit = builder.emit
            floats = [emit(relax.op.dequantize(x, number(0.05), zero, 0, "float32")) for x in given]
            result = function(emit, *floats)
            if quantize:
                scale, zero = number(0.02), relax.const(100, "uint8")
                result = emit(relax.op.quantize(result, scale, zero, 0, "uint8"))
            result = builder.emit_output(result)
        builder.emit_func_output(result)
    return builder.get()


CHAINS = {
    "tanh": lambda emit, x, y: emit(relax.op.tanh(x)),
    "another scale": lambda emit, x, y: x,
    "hard swish": lambda emit, x, y: emit(
        relax.op.multiply(x, emit(relax.op.clip(emit(relax.op.add(x, number(3.0))), 0, 6)))
    ),
    "a slope a channel": lambda emit, x, y: emit(relax.op.nn.prelu(x, per_channel(6), axis=1)),
    "factors of channels": lambda emit, x, y: emit(
        relax.op.maximum(emit(relax.op.multiply(x, per_channel(1, 6, 1, 1))), number(-0.5))
    ),
}
OTHERS = {
    "a sum of two": lambda emit, x, y: emit(relax.op.add(x, y)),
    "values of columns": lambda emit, x, y: emit(
        relax.op.add(x, relax.const(np.arange(67, dtype="float32")))
    ),
    "as many columns as channels": lambda emit, x, y: emit(relax.op.add(x, per_channel(6))),
    "a row for each channel": lambda emit, x, y: emit(
        relax.op.add(x, relax.const(np.ones((6, 20, 1), "float32")))
    ),
    "slopes of columns": lambda emit, x, y: emit(
        relax.op.nn.prelu(x, relax.const(np.ones(67, "float32")), axis=3)
    ),
    "movement": lambda emit, x, y: emit(relax.op.tanh(emit(relax.op.flip(x, 3)))),
    "a mean": lambda emit, x, y: emit(
        relax.op.add(x, emit(relax.op.mean(x, [2, 3], keepdims=True)))
    ),
}


def lookups(mod):
    return [name.name_hint for name, _ in mod.functions_items() if "lookup" in name.name_hint]


@pytest.mark.parametrize("name", CHAINS)
def test_a_chain_of_one_tensor_is_looked_up(name):
    lowered = LowerLookups(ICELAKE)(module(CHAINS[name]))
    assert lookups(lowered) == ["lookup"]
    bindings = lowered["main"].body.blocks[0].bindings
    whole = [op_name(b.value) for b in bindings if shape_of(b.var) == SHAPE and op_name(b.value)]
    assert whole == ["relax.call_tir"]


@here
@pytest.mark.parametrize(("name", "dtype"), [*zip(CHAINS, ["uint8", "int8"] * 3, strict=False)])
def test_a_table_gives_what_the_chain_does(name, dtype):
    mod = module(CHAINS[name], dtype=dtype)
    bounds = np.iinfo(dtype)
    rng = np.random.default_rng(0)
    given = [
        tvm.runtime.tensor(rng.integers(bounds.min, bounds.max, SHAPE, dtype, endpoint=True))
        for _ in "xy"
    ]
    expected, got = (built(one)(*given).numpy() for one in (mod, LowerLookups(HOST)(mod)))
    # A vector's tanh may be another float than a scalar's.
    apart = np.abs(got.astype(int) - expected)
    assert apart.max() <= (1 if name == "tanh" else 0)
    assert len(np.unique(got)) > 10


@pytest.mark.parametrize("name", OTHERS)
def test_what_is_no_function_of_one_byte_stays(name):
    shape = (1, 6, 20, 6) if name == "as many columns as channels" else SHAPE
    mod = module(OTHERS[name], shape)
    tvm.ir.assert_structural_equal(LowerLookups(ICELAKE)(mod), mod)


def test_small_maps_floats_and_other_processors_have_no_tables():
    tanh = CHAINS["tanh"]
    haswell = resolve_target({**ICELAKE.export(), "mcpu": "haswell"})
    for mod, target in [
        (module(tanh, (1, 6, 8, 8)), ICELAKE),
        (module(tanh, quantize=False), ICELAKE),
        (module(tanh), haswell),
    ]:
        assert LowerLookups(target)(mod).same_as(mod)


def test_vectors_of_bytes_are_looked_up_by_one_instruction():
    func = write_lookup((1, 4, 9, 9), ("uint8", "uint8"), 4).with_attr("global_symbol", "main")
    assembly = tvm.compile(func, target=ICELAKE).mod.inspect_source("asm")
    # Of which the operands differ in what is overwritten.
    assert assembly.count("vpermi2b") + assembly.count("vpermt2b") >= 2


@cache
def lookup_of(channels):
    n, h, w = (tirx.Var(name, "int64") for name in "nhw")
    func = write_lookup((n, 3, h, w), ("int8", "uint8"), channels)
    return tvm.compile(func.with_attr("global_symbol", "main"), target=HOST)["main"]


@here
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("sizes", [(5, 7), (11, 64), (200, 190)])
def test_every_byte_of_any_size_is_looked_up(channels, sizes):
    rng = np.random.default_rng(0)
    x = rng.integers(-128, 127, (2, 3, *sizes), "int8", endpoint=True)
    table = rng.integers(0, 255, (channels, 256), "uint8", endpoint=True)
    y = tvm.runtime.empty(x.shape, "uint8")
    lookup_of(channels)(tvm.runtime.tensor(x), tvm.runtime.tensor(table), y)
    rows = np.arange(3)[:, None, None] % channels
    np.testing.assert_array_equal(y.numpy(), table[rows, x.view("uint8")])


def test_activations_of_a_network_give_what_onnx_runtime_does(tmp_path):
    net = Net((1, 3, 24, 40), dims=(1, 3, "h", "w"))
    x = net("Tanh", net.conv("x", 3, 8))
    x = net("PRelu", net.conv(x, 8, 6), net.constant(6, 1, 1))
    model = quantized(net, net.conv(net("HardSwish", net.conv(x, 6, 5)), 5, 3), tmp_path)
    x = np.random.default_rng(5).random(net.shape, "float32")
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def test_chains_behind_what_moves_bytes_are_looked_up_as_well():
    mod = KeepBytes()(module(OTHERS["movement"]))
    assert lookups(LowerLookups(ICELAKE)(mod)) == ["lookup"]


def _joined(emit, x, y, other=False):
    """Tanh of 4 channels of x, and all of y in another scale, side by side; or y as it was."""
    few = emit(relax.op.strided_slice(x, [1], [0], [4]))
    scale, zero = number(0.02), relax.const(100, "uint8")
    parts = [emit(relax.op.quantize(emit(relax.op.tanh(few)), scale, zero, 0, "uint8"))]
    own = number(0.05), relax.const(9, "uint8")
    parts.append(emit(relax.op.quantize(y, *(own if other else (scale, zero)), 0, "uint8")))
    return emit(relax.op.concat(parts, axis=1))


@here
def test_all_inputs_of_a_concat_are_looked_up_by_one_function():
    mod = KeepBytes()(module(_joined, dtype="uint8", quantize=False))
    lowered = LowerLookups(HOST)(mod)
    assert lookups(lowered) == ["lookup"]
    kept = [op_name(b.value) for b in lowered["main"].body.blocks[0].bindings]
    assert "relax.concat" not in kept
    rng = np.random.default_rng(0)
    given = [tvm.runtime.tensor(rng.integers(0, 256, SHAPE).astype("uint8")) for _ in "xy"]
    expected, got = (built(one)(*given).numpy() for one in (mod, lowered))
    assert got.shape == (1, 10, *SHAPE[2:])
    apart = np.abs(got.astype(int) - expected)
    # A vector's tanh may be another float than a scalar's.
    assert apart[:, :4].max() <= 1
    assert apart[:, 4:].max() == 0


def test_a_concat_of_bytes_that_are_not_looked_up_stays():
    mod = KeepBytes()(module(partial(_joined, other=True), dtype="uint8", quantize=False))
    lowered = LowerLookups(ICELAKE)(mod)
    assert lookups(lowered) == ["lookup"]
    bindings = lowered["main"].body.blocks[0].bindings
    assert "relax.concat" in [op_name(b.value) for b in bindings]


@here
@pytest.mark.parametrize("sizes", [(7001,), (5, 11, 13)], ids=["a line", "a volume"])
def test_lines_and_volumes_are_looked_up(sizes):
    rng = np.random.default_rng(0)
    given = [rng.integers(0, 256, (2, count, *sizes), "uint8") for count in (3, 4)]
    tables = [rng.integers(0, 256, (count, 256), "uint8") for count in (3, 1)]
    func = write_lookups([x.shape for x in given], ["uint8"] * 2, "uint8", [3, 1])
    y = tvm.runtime.empty((2, 7, *sizes), "uint8")
    built = tvm.compile(func.with_attr("global_symbol", "main"), target=HOST)["main"]
    built(*map(tvm.runtime.tensor, (*given, *tables)), y)
    rows = np.arange(3).reshape(3, *[1] * len(sizes))
    expected = [tables[0][rows, given[0]], tables[1][0][given[1]]]
    np.testing.assert_array_equal(y.numpy(), np.concatenate(expected, axis=1))
