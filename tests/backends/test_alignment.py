"""Inputs may begin at any address, as arrays of NumPy do: a vector is not loaded by its alignment.

Without the pass the process ends by a signal here.
"""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto
from onnx_net import Net
from quick_network import compiled

SHAPE = (2, 4, 16, 32)
READERS = {
    "a pool": lambda n: n("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2]),
    "rows": lambda n: n("Softmax", "x"),
    "a transpose": lambda n: n("Transpose", "x", perm=[0, 2, 3, 1]),
    "views": lambda n: n(
        "Softmax", n("Reshape", n("Reshape", "x", n.integers(8, -1)), n.integers(4, -1))
    ),
    "only a view": lambda n: n("Reshape", "x", n.integers(8, -1)),
    "a view and a sum": lambda n: n(
        "Add", n("Reshape", "x", n.integers(2, 4, 512)), n.constant(512)
    ),
    "a convolution": lambda n: n.conv("x", 4, 16),
    "a convolution 1x1": lambda n: n.conv("x", 4, 16, 1),
    "strides": lambda n: n.conv("x", 4, 32, 3, strides=[2, 2]),
    "groups": lambda n: n.conv("x", 4, 4, 3, group=4),
    "a deconvolution": lambda n: n.deconv("x", 4, 8, 4, 2, pads=[1] * 4),
    "a linear resize": lambda n: n.linear("x", 2),
    "a product": lambda n: n("MatMul", "x", n.constant(32, 24)),
}


def shifted(array: np.ndarray, size: int) -> np.ndarray:
    """A copy that begins ``size`` bytes behind a multiple of 64."""
    memory = np.zeros(array.nbytes + 128, np.uint8)
    begin = -memory.ctypes.data % 64 + size
    copy = memory[begin : begin + array.nbytes].view(array.dtype).reshape(array.shape)
    copy[:] = array
    return copy


@pytest.mark.parametrize("dims", [SHAPE, ("n", 4, "h", 32)], ids=["fixed", "free"])
def test_an_input_may_begin_anywhere(dims):
    net = Net(SHAPE, dims=dims)
    main = compiled(net.model(*(reader(net) for reader in READERS.values())))
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    wanted = [each.numpy() for each in main(tvm.runtime.tensor(x))]
    for size in (4, 32):
        found = main(shifted(x, size))
        for name, got, expected in zip(READERS, found, wanted, strict=True):
            np.testing.assert_array_equal(got.numpy(), expected, name)


def test_bytes_may_begin_anywhere():
    net = Net((1, 64, 16, 32))
    weights = net.given(net.rng.integers(-9, 9, (32, 64, 3, 3)).astype("int8"))
    scale = net.given(np.float32(0.05))
    zero = net.given(np.uint8(0))
    bits = net("QuantizeLinear", "x", scale, zero)
    weight = net("DequantizeLinear", weights, scale)
    result = net("Conv", net("DequantizeLinear", bits, scale, zero), weight, pads=[1] * 4)
    proto = net.model(net("QuantizeLinear", result, scale, zero))
    # The bytes themselves are the input.
    proto.graph.node.remove(next(n for n in proto.graph.node if n.op_type == "QuantizeLinear"))
    proto.graph.input[0].name = bits
    for value in (proto.graph.input[0], proto.graph.output[0]):
        value.type.tensor_type.elem_type = TensorProto.UINT8
    main = compiled(proto)
    x = np.random.default_rng(0).integers(0, 256, (1, 64, 16, 32)).astype("uint8")
    wanted = main(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_array_equal(main(shifted(x, 1)).numpy(), wanted)
