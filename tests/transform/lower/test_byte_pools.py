"""Averages between the layers of a quantized network read and write bytes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx_net import Net
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime, quantized
from tvm import relax

import tvm_deconv
from tvm_deconv.compiler import before_schedules
from tvm_deconv.importer import load
from tvm_deconv.options import Options
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform import LowerBytePools

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
    executable = tvm_deconv.compile(model)
    got = relax.VirtualMachine(executable, tvm.cpu())["main"](tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(model, x))


def test_averages_of_floats_stay_as_they_are():
    net = Net(SHAPE)
    mod = load(net.model(net("AveragePool", "x", kernel_shape=[2, 2])))
    tvm.ir.assert_structural_equal(LowerBytePools()(mod), mod)
