"""Averages between the layers of a quantized network read and write bytes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from quick_network import compiled
from tvm import relax

from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import KeepBytes, LowerBytePools
from tvm_deconv.transform.graph import op_name

SHAPE = (2, 4, 13, 20)


def averaged(folder, **attributes):
    net = Net(SHAPE)
    x = net("AveragePool", net("Relu", net.conv("x", 4, 8)), **attributes)
    return quantized(net, net("Relu", x), folder)


@pytest.mark.parametrize(
    "attributes",
    [
        {"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4},
        {"kernel_shape": [3, 5], "pads": [1, 0, 1, 2], "count_include_pad": 1},
        {"kernel_shape": [3, 3], "strides": [2, 3], "ceil_mode": 1},
    ],
    ids=["strides", "padding counts", "ceil"],
)
def test_averages_of_bytes_are_those_of_onnx_runtime(attributes, tmp_path):
    model = averaged(tmp_path, **attributes)
    with resolve_target("host") as target:
        mod = tvm.transform.Sequential(before_schedules(target, Options(log=None)))(load(model))
    bindings = [one for block in mod["main"].body.blocks for one in block.bindings]
    called = [one for one in bindings if isinstance(one.value, relax.Call)]
    assert [str(one.var.ty.dtype) for one in called[:-1]] == ["uint8"] * (len(called) - 1)
    x = np.random.default_rng(0).random(SHAPE, "float32")
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


@pytest.mark.parametrize(
    ("operator", "attributes"),
    [("GlobalAveragePool", {}), ("ReduceMean", {"axes": [1, 3], "keepdims": 0})],
)
def test_means_of_bytes_are_those_of_onnx_runtime(operator, attributes, tmp_path):
    net = Net(SHAPE)
    x = net(operator, net("Relu", net.conv("x", 4, 8)), **attributes)
    x = net("Add", x, net.constant(2, 8, 1, 1)) if not attributes else net("Add", x, x)
    model = quantized(net, x, tmp_path)
    mod = LowerBytePools()(KeepBytes()(load(model)))
    bindings = [one.value for block in mod["main"].body.blocks for one in block.bindings]
    operands = [one.args[1].fields for one in bindings if op_name(one) == "relax.call_tir"]
    assert ["uint8"] in [[str(data.ty.dtype) for data in fields] for fields in operands]
    x = np.random.default_rng(0).random(SHAPE, "float32")
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def test_a_mean_of_more_bytes_than_int32_holds_is_computed_in_float32():
    builder = relax.BlockBuilder()
    x = relax.Var("x", relax.TensorType((1, 1, 4096, 4096), "uint8"))
    with builder.function("main", [x]):
        with builder.dataflow():
            scale, zero = relax.const(0.5, "float32"), relax.const(3, "uint8")
            values = builder.emit(relax.op.dequantize(x, scale, zero, 0, "float32"))
            result = builder.emit_output(relax.op.mean(values, [2, 3]))
        builder.emit_func_output(result)
    mod = builder.get()
    tvm.ir.assert_structural_equal(LowerBytePools()(mod), mod)


def test_averages_of_floats_stay_as_they_are():
    net = Net(SHAPE)
    mod = load(net.model(net("AveragePool", "x", kernel_shape=[2, 2])))
    tvm.ir.assert_structural_equal(LowerBytePools()(mod), mod)


def test_a_mean_over_a_free_size_is_one_of_as_many_bytes(tmp_path):
    net = Net(SHAPE, dims=(2, 4, "h", 20))
    x = net("ReduceMean", net("Relu", net.conv("x", 4, 8)), axes=[2])
    model = quantized(net, net("Add", x, x), tmp_path)
    run = compiled(model)
    for height in (13, 6):
        x = np.random.default_rng(0).random((2, 4, height, 20), "float32")
        assert_equal_but_for_ties(run(tvm.runtime.tensor(x)).numpy(), by_onnx_runtime(model, x))
