"""Shapes that exporters compute from the sizes of a tensor, at free sizes."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

MODES = ("constant", "reflect", "edge")
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


def backwards(n):
    """From beyond the end, and from one that lies inside of some sizes, by steps back."""
    half = n("Div", vector(n, 3), n.integers(2))
    whole = n("Slice", "x", vector(n, 2), n.integers(-99), n.integers(2), n.integers(-1))
    return n("Slice", whole, n("Sub", half, n.integers(7)), half, n.integers(3), n.integers(-2))


def backwards_to_a_size(n):
    end = n("Sub", n.integers(2), vector(n, 2))
    return n("Slice", "x", n.integers(-1), end, n.integers(2), n.integers(-2))


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


def gathered(n):
    """Every second row from the last on: places computed from the size, as indices of GatherND."""
    last = n("Sub", size(n, 2), n.given(np.array(1)))
    steps = n("Range", last, n.given(np.array(-1)), n.given(np.array(-2)))
    rows = n("Transpose", "x", perm=[2, 0, 3, 1])
    return n("GatherND", rows, n("Unsqueeze", steps, n.integers(-1)))


def tiled(n):
    whole = n("Shape", "x")
    return n("Tile", "x", n("Div", whole, whole))


def tiled_by_sizes(n):
    whole = n("Concat", n.integers(2, 1), vector(n, 2, 3), axis=0)
    return n("Tile", n("GlobalAveragePool", "x"), whole)


def tiled_along_a_free_axis(n):
    return n("Tile", "x", n("Concat", n.integers(1, 2, 3), vector(n, 0), axis=0))


def remainders(n):
    rest = n(
        "Mod", n("Sub", n.integers(8), n("Mod", vector(n, 2, 3), n.integers(8))), n.integers(8)
    )
    return n("Max", n("Neg", rest), n("Min", vector(n, 2, 3), n.integers(-3)))


def padded_to_a_multiple(mode):
    """Behind the image, as transformers pad to their window."""

    def way(n):
        left_over = n("Mod", vector(n, 2, 3), n.integers(4))
        rest = n("Mod", n("Sub", n.integers(4), left_over), n.integers(4))
        return n("Pad", "x", n("Concat", n.integers(*[0] * 6), rest, axis=0), mode=mode)

    return way


def padded_or_cropped(mode):
    """On both sides of the height by as much as it lacks to 5, or has more than that."""

    def way(n):
        width = n("Sub", n.integers(5), vector(n, 2))
        zeros = n.integers(0, 0)
        pads = n("Concat", zeros, width, n.integers(1), zeros, width, n.integers(0), axis=0)
        return n("Pad", "x", pads, mode=mode)

    return way


def padded_to_a_skip_connection(n):
    """As U-Nets do, in the operators of PyTorch's tracing exporter."""
    pooled = n("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    x = n.nearest(pooled, 2)
    lacking = n("Sub", vector(n, 2, 3), n("Gather", n("Shape", x), n.integers(2, 3), axis=0))
    half = n("Div", lacking, n.integers(2))
    sides = n("Concat", half, n("Sub", lacking, half), axis=0)
    pairs = n("Transpose", n("Reshape", sides, n.integers(2, 2)), perm=[1, 0])
    whole = n("Concat", n("Reshape", pairs, n.integers(-1)), n.integers(0, 0, 0, 0), axis=0)
    # Pairs of an axis, of the last axes first, to all begins before all ends.
    table = n("Reshape", whole, n.integers(4, 2))
    ordered = n("Gather", n("Transpose", table, perm=[1, 0]), n.integers(3, 2, 0, 1), axis=1)
    pads = n("Cast", n("Reshape", ordered, n.integers(-1)), to=TensorProto.INT64)
    return n("Concat", "x", n("Pad", x, pads, n.given(np.float32(0.5))), axis=1)


WAYS = (
    doubled,
    first_half,
    last_four,
    backwards,
    backwards_to_a_size,
    expanded_as_pytorch_writes_it,
    resized_by_products_of_floats,
    flattened_by_int32,
    counted,
    gathered,
    tiled,
    tiled_by_sizes,
    tiled_along_a_free_axis,
    lambda n: n("Add", "x", n("ConstantOfShape", n("Shape", "x"))),
    lambda n: n("Mul", "x", n("Cast", n("Size", "x"), to=TensorProto.FLOAT)),
    remainders,
    lambda n: size(n, 3),
    *(pad(m) for pad in (padded_to_a_multiple, padded_or_cropped) for m in MODES),
    padded_to_a_skip_connection,
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
    assert_same_as_onnx_runtime(proto, *SIZES, rtol=1e-5, atol=1e-5)


def test_a_reflection_that_a_size_makes_too_wide_is_an_error_when_run():
    proto = model(padded_to_a_multiple("reflect"))
    main = compiled(proto)
    assert main(tvm.runtime.tensor(np.zeros((1, 4, 3, 4), "float32"))).shape == (1, 4, 4, 4)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(tvm.runtime.tensor(np.zeros((1, 4, 4, 1), "float32")))


def enlarged_again(n):
    """A map and one of half its size, enlarged: of one size wherever that was even."""
    a = n("MaxPool", "x", kernel_shape=[2, 2], strides=[2, 2])
    b = n("MaxPool", a, kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1])
    return a, n.nearest(b, 2)


def enlarged_to_the_input(n):
    """As above, and the first has the free sizes of the input themselves."""
    return "x", n.nearest(n("MaxPool", "x", kernel_shape=[3, 3], strides=[4, 4]), 4)


@pytest.mark.parametrize("maps", [enlarged_again, enlarged_to_the_input])
@pytest.mark.parametrize(
    "joined", [lambda n, a, b: n("Add", a, b), lambda n, a, b: n("Concat", b, a, axis=1)]
)
def test_maps_of_one_size_where_a_multiple_comes_in_are_joined(joined, maps):
    proto = model(lambda n: joined(n, *maps(n)))
    main = compiled(proto)
    assert_same_as_onnx_runtime(proto, (2, 4, 8, 12), (1, 4, 12, 4), main=main)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(tvm.runtime.tensor(np.zeros((1, 4, 6, 8), "float32")))


def every_second(n, row, column):
    """Of the rows and columns, from ``row`` and ``column`` on."""
    far, both = n.integers(2**31, 2**31), n.integers(2, 2)
    return n("Slice", "x", n.integers(row, column), far, n.integers(2, 3), both)


@pytest.mark.parametrize(
    "joined", [lambda n, *maps: n("Sum", *maps), lambda n, *maps: n("Concat", *maps, axis=1)]
)
def test_maps_of_every_second_row_and_column_are_joined_where_all_are_of_one_size(joined):
    """As detectors begin: two sizes that a column has in turns must both be one and the same."""
    proto = model(
        lambda n: joined(n, *(every_second(n, row, column) for row in (0, 1) for column in (0, 1)))
    )
    main = compiled(proto)
    assert_same_as_onnx_runtime(proto, (2, 4, 6, 10), main=main, rtol=1e-6, atol=1e-6)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(tvm.runtime.tensor(np.zeros((1, 4, 6, 9), "float32")))


@pytest.mark.parametrize("skip", [("h2", "w2"), (12, "w2")])
def test_maps_of_two_inputs_are_joined_where_they_are_of_one_size(skip):
    """As a decoder takes what an encoder of its own file computed."""
    net = Net(dims=("n", 4, "h", "w"))
    joined = net("Concat", net.nearest("x", 2), "skip", axis=1)
    proto = net.model(joined)
    kind = helper.make_tensor_value_info("skip", TensorProto.FLOAT, ("n", 3, *skip))
    proto.graph.input.append(kind)
    main = compiled(proto)
    rng = np.random.default_rng(0)
    for n, width in ((2, 5), (1, 4)):
        x = rng.standard_normal((n, 4, 6, width)).astype("float32")
        beside = rng.standard_normal((n, 3, 12, 2 * width)).astype("float32")
        assert_same_as_onnx_runtime(proto, {"x": x, "skip": beside}, main=main)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(*map(tvm.runtime.tensor, (x, np.zeros((1, 3, 12, 9), "float32"))))


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
            lambda n: n("Range", size(n, 2), size(n, 3), size(n, 0)),
            "delta is n: it must be a constant other than 0",
        ),
        (
            lambda n: n("Tile", "x", n("Concat", vector(n, 0), n.integers(1, 0, 2), axis=0)),
            r"repeats are \[n, 1, 0, 2\]: all must be at least 1",
        ),
        (
            lambda n: n("Tile", "x", vector(n, 0, 2)),
            r"repeats are \[n, h\]: 4 are needed",
        ),
    ],
)
def test_a_shape_that_cannot_be_told_is_refused_by_name(way, words):
    proto = model(way)
    node = proto.graph.node[-1]
    with pytest.raises(ModelError, match=f"{node.op_type} '{node.output[0]}'.*{words}"):
        load(proto)


@pytest.mark.parametrize("align", [0, 1])
def test_an_image_is_moved_to_places_of_its_own_size(align):
    """A spatial transformer, as F.affine_grid and F.grid_sample are exported."""
    net = Net((1, 2, 5, 6), dims=(1, 2, "h", "w"))
    theta = net.given(np.float32([[[0.9, 0.2, 0.1], [-0.3, 1.1, -0.2]]]))
    grid = net("AffineGrid", theta, net("Shape", "x"), align_corners=align)
    model = net.model(net("GridSample", "x", grid, align_corners=align))
    model.opset_import[0].version = 20
    assert_same_as_onnx_runtime(model, (1, 2, 5, 6), (1, 2, 9, 4), atol=2e-5)
