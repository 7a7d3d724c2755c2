"""Types of elements that TVM does not round to: weights may be stored in them, nothing else."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_net import Net
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

NARROW = ["BFLOAT16", "FLOAT8E4M3FN", "FLOAT8E5M2", "INT4", "UINT4"]
SHAPE = (2, 1200)


def numbers(shape):
    return np.random.default_rng(0).integers(0, 8, shape)


def stored(net, kind, shape):
    """A weight of these numbers."""
    values = numbers(shape).ravel().tolist()
    tensor = helper.make_tensor("q", getattr(TensorProto, kind), shape, values)
    net.weights.append(tensor)
    return "q"


def model(net, result):
    proto = net.model(result)
    proto.opset_import[0].version, proto.ir_version = 21, 10
    return proto


@pytest.mark.parametrize("kind", NARROW)
def test_weights_are_read_however_large_they_are(kind):
    """More than folding would make of weights that TVM computes with."""
    net = Net(SHAPE)
    weight = stored(net, kind, (SHAPE[1], SHAPE[1]))
    if kind == "BFLOAT16":
        weight = net("Cast", weight, to=TensorProto.FLOAT)
    else:
        weight = net("DequantizeLinear", weight, net.given(np.float32(0.01)))
    proto = model(net, net("MatMul", "x", weight))
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    got = compiled(proto)(tvm.runtime.tensor(x)).numpy()
    wanted = x @ numbers((SHAPE[1], SHAPE[1])) * (1 if kind == "BFLOAT16" else 0.01)
    np.testing.assert_allclose(got, wanted, rtol=1e-4, atol=1e-4 * np.abs(wanted).max())


def cast(net, kind):
    return net("Cast", net("Cast", "x", to=getattr(TensorProto, kind)), to=TensorProto.FLOAT)


def quantize(net, kind):
    scale = net.given(np.float32(0.1))
    bits = net("QuantizeLinear", "x", scale, output_dtype=getattr(TensorProto, kind))
    return net("DequantizeLinear", bits, scale)


def output(net, kind):
    net("Relu", "x")
    return stored(net, kind, (3,))


REFUSED = [
    *(
        (cast, kind, f"Cast 't1' .*: to is {kind}, which TVM does not compute with")
        for kind in NARROW
    ),
    *(
        (quantize, kind, f"QuantizeLinear 't1' .*: its output 't1' holds {kind.lower()} elements")
        for kind in NARROW[1:]
    ),
    *((output, kind, "'q' holds .* elements, which TVM does not compute with") for kind in NARROW),
]


@pytest.mark.parametrize(("build", "kind", "reason"), REFUSED)
def test_what_is_computed_in_them_is_refused(build, kind, reason):
    net = Net(SHAPE)
    proto = model(net, build(net, kind))
    del proto.graph.output[0].type.tensor_type.shape.dim[:]
    if build is output:
        proto.graph.output[0].type.tensor_type.elem_type = getattr(TensorProto, kind)
    with pytest.raises(ModelError, match=reason):
        load(proto)


@pytest.mark.parametrize("kind", NARROW)
def test_an_input_of_them_is_refused(kind):
    proto = model(Net(SHAPE), "x")
    proto.graph.input[0].type.tensor_type.elem_type = getattr(TensorProto, kind)
    with pytest.raises(ModelError, match=f"input 'x' holds {kind.lower()} elements"):
        load(proto)
