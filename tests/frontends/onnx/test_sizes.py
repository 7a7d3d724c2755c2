"""Shapes that exporters compute from the sizes of a tensor, at free sizes."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_net import Net
from tvm import relax

import tvm_deconv
from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SIZES = [(2, 4, 6, 10), (1, 4, 4, 5), (3, 4, 5, 6)]


def size(n, axis):
    return n("Gather", n("Shape", "x"), n.given(np.array(axis)), axis=0)


def vector(n, *axes):
    return n("Gather", n("Shape", "x"), n.integers(*axes), axis=0)


def doubled(n):
    height = n("Mul", vector(n, 2), n.integers(2))
    return n("Reshape", "x", n("Concat", n.integers(0, 2), height, n.integers(-1), axis=0))


def first_half(n):
    half = n("Div", size(n, 2), n.given(np.array(2)))
    return n("Slice", "x", n.integers(0), n("Unsqueeze", half, n.integers(0)), n.integers(2))


def last_four(n):
    begin = n("Sub", vector(n, 3), n.integers(4))
    return n("Slice", "x", begin, n.integers(2**63 - 1), n.integers(3))


def expanded_as_pytorch_writes_it(n):
    whole = n("Shape", "x")
    kept = n("Equal", whole, n.integers(-1))
    wanted = n("Where", kept, n.integers(1, 1, 1, 1), whole)
    return n("Expand", n("GlobalAveragePool", "x"), wanted)


def resized_by_products_of_floats(n):
    scaled = n("Mul", n("Cast", vector(n, 2, 3), to=TensorProto.FLOAT), n.given(np.float32([2, 3])))
    sizes = n("Cast", n("Floor", scaled), to=TensorProto.INT64)
    return n("Resize", "x", "", "", n("Concat", vector(n, 0, 1), sizes, axis=0))


def flattened_by_int32(n):
    narrow = n("Cast", vector(n, 2, 3), to=TensorProto.INT32)
    product = n("ReduceProd", n("Cast", narrow, to=TensorProto.INT64), keepdims=1)
    return n("Reshape", "x", n("Concat", n.integers(0, -1), product, axis=0))


def counted(n):
    steps = n("Range", n.given(np.array(0)), size(n, 3), n.given(np.array(1)))
    return n("Add", "x", n("Cast", steps, to=TensorProto.FLOAT))


def tiled(n):
    whole = n("Shape", "x")
    return n("Tile", "x", n("Div", whole, whole))


def remainders(n):
    rest = n(
        "Mod", n("Sub", n.integers(8), n("Mod", vector(n, 2, 3), n.integers(8))), n.integers(8)
    )
    return n("Max", n("Neg", rest), n("Min", vector(n, 2, 3), n.integers(-3)))


WAYS = (
    doubled,
    first_half,
    last_four,
    expanded_as_pytorch_writes_it,
    resized_by_products_of_floats,
    flattened_by_int32,
    counted,
    tiled,
    lambda n: n("Add", "x", n("ConstantOfShape", n("Shape", "x"))),
    lambda n: n("Mul", "x", n("Cast", n("Size", "x"), to=TensorProto.FLOAT)),
    remainders,
    lambda n: size(n, 3),
)


def model(*ways):
    net = Net(SIZES[0], dims=("n", 4, "h", "w"))
    results = [way(net) for way in ways]
    proto = net.model(results[0])
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in results)
    return proto


def test_shapes_computed_from_free_sizes_are_those_of_onnx_runtime():
    proto = model(*WAYS)
    session = onnxruntime.InferenceSession(proto.SerializeToString())
    main = relax.VirtualMachine(tvm_deconv.compile(proto), tvm.cpu())["main"]
    for shape in SIZES:
        x = np.random.default_rng(0).standard_normal(shape).astype("float32")
        for got, expected in zip(
            main(tvm.runtime.tensor(x)), session.run(None, {"x": x}), strict=True
        ):
            assert (got.numpy().shape, got.numpy().dtype) == (expected.shape, expected.dtype)
            np.testing.assert_allclose(got.numpy(), expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize(
    ("way", "words"),
    [
        (
            lambda n: n(
                "Reshape", "x", n("Cast", n("Reshape", "x", n.integers(-1)), to=TensorProto.INT64)
            ),
            "its shape are computed",
        ),
        (
            lambda n: n("Reshape", "x", n("Concat", vector(n, 2), n.integers(-1, -1), axis=0)),
            r"shape is \[h, -1, -1\]",
        ),
        (
            lambda n: n("Reshape", "x", n("Concat", vector(n, 0, 1, 3, 2, 3), axis=0)),
            r"shape is \[n, 4, w, h, w\], which no input of \[n, 4, h, w\] fits",
        ),
        (
            lambda n: n("Reshape", "x", n("Concat", vector(n, 2, 2, 2, 2), n.integers(0), axis=0)),
            "takes size 4 of an input with 4",
        ),
        (
            lambda n: n("Slice", "x", vector(n, 2), n.integers(-99), n.integers(2), n.integers(-1)),
            "step -1 is computed for bounds that are constants",
        ),
        (
            lambda n: n("Range", size(n, 2), size(n, 3), size(n, 0)),
            "delta is n: it must be a constant other than 0",
        ),
    ],
)
def test_a_shape_that_cannot_be_told_is_refused_by_name(way, words):
    proto = model(way)
    node = proto.graph.node[-1]
    with pytest.raises(ModelError, match=f"{node.op_type} '{node.output[0]}'.*{words}"):
        load(proto)
