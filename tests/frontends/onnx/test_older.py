"""Operators of opsets before 7 against the same in the words of opset 13."""

from __future__ import annotations

import numpy as np
import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SHAPE = (2, 4, 6, 8)


def results(net, outputs, opset):
    model = net.model(outputs[0])
    del model.graph.output[:]
    kinds = [helper.make_tensor_value_info(o, TensorProto.FLOAT, None) for o in outputs]
    model.graph.output.extend(kinds)
    model.opset_import[0].version, model.ir_version = opset, 8 if opset > 6 else 3
    return model


def of_channels(n, x):
    return n("Reshape", x, n.integers(1, -1, 1, 1))


# How opset 6 has it, and how opset 13 does: of a network that has not yet any weights.
SIX = [
    (lambda n: n("Add", "x", n.constant(4), broadcast=1, axis=1),
     lambda n: n("Add", "x", of_channels(n, n.constant(4)))),
    (lambda n: n("Mul", "x", n.constant(4, 6), broadcast=1, axis=-3),
     lambda n: n("Mul", "x", n("Reshape", n.constant(4, 6), n.integers(4, 6, 1)))),
    (lambda n: n("Sub", "x", n.constant(8), broadcast=1),
     lambda n: n("Sub", "x", n.constant(8))),
    (lambda n: n("Div", "x", n("Exp", "x"), broadcast=0, axis=1),
     lambda n: n("Div", "x", n("Exp", "x"))),
    (lambda n: n("Pow", n("Exp", "x"), n.given(np.float32(2)), broadcast=1),
     lambda n: n("Pow", n("Exp", "x"), n.given(np.float32(2)))),
    (lambda n: n("PRelu", "x", n.constant(4)),
     lambda n: n("PRelu", "x", n("Reshape", n.constant(4), n.integers(4, 1, 1)))),
    (lambda n: n("PRelu", "x", n.constant(1)), lambda n: n("PRelu", "x", n.constant(1))),
    (lambda n: n("Gemm", n("Flatten", "x"), n.constant(192, 5), n.constant(5), broadcast=1),
     lambda n: n("Gemm", n("Flatten", "x"), n.constant(192, 5), n.constant(5))),
    (lambda n: n("Dropout", "x", is_test=1, ratio=0.3), lambda n: n("Identity", "x")),
    (lambda n: n("BatchNormalization", "x", *(n.ones(4) for _ in range(4)), is_test=1),
     lambda n: n("BatchNormalization", "x", *(n.ones(4) for _ in range(4)))),
    (lambda n: n("Cast", n("Cast", "x", to=TensorProto.INT32), to=TensorProto.FLOAT),
     lambda n: n("Cast", n("Cast", "x", to=TensorProto.INT32), to=TensorProto.FLOAT)),
]  # fmt: skip

# As opset 1 has it.
ONE = [
    (lambda n: n("Upsample", "x", mode="nearest", height_scale=2.0, width_scale=3.0),
     lambda n: n.nearest("x", 2, 3)),
    (lambda n: n("Reshape", n("Relu", "x", consumed_inputs=[0]), shape=[0, -1, 4]),
     lambda n: n("Reshape", n("Relu", "x"), n.integers(0, -1, 4))),
    (lambda n: n("Cast", n("Cast", "x", to="INT32"), to="FLOAT"),
     lambda n: n("Cast", n("Cast", "x", to=TensorProto.INT32), to=TensorProto.FLOAT)),
    (lambda n: n("Concat", "x", n("Selu", "x")),
     lambda n: n("Concat", "x", n("Selu", "x", alpha=1.6732, gamma=1.0507), axis=1)),
    (lambda n: n("Pad", "x", paddings=[0, 0, 1, 2, 0, 0, 3, 4], value=0.5),
     lambda n: n("Pad", "x", n.integers(0, 0, 1, 2, 0, 0, 3, 4), n.given(np.float32(0.5)))),
]  # fmt: skip


@pytest.mark.parametrize(("opset", "pairs"), [(6, SIX), (1, ONE)])
@pytest.mark.parametrize("dims", [SHAPE, ("n", 4, 6, 8)])
def test_what_older_opsets_say_otherwise_is_computed_as_they_say(opset, pairs, dims):
    old, new = Net(SHAPE, dims=dims), Net(SHAPE, dims=dims)
    main = compiled(results(old, [pair[0](old) for pair in pairs], opset))
    modern = results(new, [pair[1](new) for pair in pairs], 13)
    assert_same_as_onnx_runtime(modern, SHAPE, main=main, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize(
    ("opset", "node", "words"),
    [
        (6, lambda n: n("Dropout", "x", is_test=0), r"Dropout 't1' \(opset 6\): is_test is 0"),
        (6, lambda n: n("Add", "x", n.constant(6, 8), broadcast=1, axis=3), "2 axes over 1"),
        (1, lambda n: n("Cast", "x", to="WORDS"), "to is 'WORDS', which is no element type"),
        (1, lambda n: n("Tile", "x", n.integers(2), n.integers(1)), "has 3 inputs, as only opset"),
        (0, lambda n: n("Relu", "x"), "is of opset 0: the standard begins with 1"),
    ],
)
def test_what_cannot_be_said_in_opset_7_is_refused(opset, node, words):
    net = Net(SHAPE)
    with pytest.raises(ModelError, match=words):
        load(results(net, [node(net)], opset))
