"""TFLite networks that compute on the size of their input: LiteRT's result at any size."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_net import Net, check
from tflite_rows import compiled, floats

SIZES = [(1, 5, 7, 3), (1, 1, 2, 3), (1, 16, 9, 3)]


def sizes_of(net, *, begin, end):
    """Sizes of the input along the axes from ``begin`` to ``end``, as the network computes them."""
    whole = net("SHAPE", net.input, kind="Shape", dtype=np.int32, shape=(4,), outType=2)
    ends = (net.integers(begin), net.integers(end), net.integers(1))
    shape = (end - begin,)
    return net("STRIDED_SLICE", whole, *ends, kind="StridedSlice", dtype=np.int32, shape=shape)


def resized(operator, kind, **fields):
    def build(net):
        hw = sizes_of(net, begin=1, end=3)
        wanted = net("MUL", hw, net.integers(2, 3), kind="Mul", dtype=np.int32, shape=(2,))
        return net.conv(net(operator, net.input, wanted, kind=kind, **fields), 3, 4)

    return build


def reshaped(net):
    """Rows become columns, by a shape that is put together from numbers."""
    h, w = (sizes_of(net, begin=axis, end=axis + 1) for axis in (1, 2))
    parts = (net.integers(1), w, h, net.integers(3))
    wanted = net("CONCATENATION", *parts, kind="Concatenation", dtype=np.int32, shape=(4,))
    return net.conv(net("RESHAPE", net.input, wanted, kind="Reshape"), 3, 4)


def filled(net):
    whole = sizes_of(net, begin=0, end=4)
    ones = net("FILL", whole, net.constant(np.float32(1.5)))
    return net.conv(net("ADD", ones, net.input, kind="Add"), 3, 4)


@pytest.mark.parametrize(
    "build",
    [
        resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor"),
        resized("RESIZE_NEAREST_NEIGHBOR", "ResizeNearestNeighbor", halfPixelCenters=True),
        resized("RESIZE_BILINEAR", "ResizeBilinear"),
        resized("RESIZE_BILINEAR", "ResizeBilinear", alignCorners=True),
        reshaped,
        filled,
    ],
    ids=["nearest", "nearest at centers", "bilinear", "bilinear to corners", "reshape", "fill"],
)
def test_a_convolution_follows_what_gets_its_size_from_the_input(build, tmp_path):
    net = Net((1, -1, -1, 3))
    check(net.file(tmp_path, build(net)), *SIZES)


def test_a_mirrored_border_may_repeat_the_edge_at_any_size(tmp_path):
    net = Net((1, -1, -1, 3))
    widths = net.constant(np.array([[0, 0], [2, 1], [0, 4], [0, 3]], np.int32))
    padded = net("MIRROR_PAD", net.input, widths, kind="MirrorPad", mode=1)
    path = net.file(tmp_path, net.conv(padded, 6, 4))

    check(path, (1, 5, 7, 3), (1, 2, 4, 3), (1, 16, 9, 3))
    run = compiled(path)
    for narrow in ((1, 1, 7, 3), (1, 5, 3, 3)):
        with pytest.raises(RuntimeError, match="match_cast error"):
            run([floats(*narrow)])


def joined(net, *parts, **fields):
    """Of vectors of int32, or of matrices along ``axis``."""
    shape = fields.pop("shape")
    return net("CONCATENATION", *parts, kind="Concatenation", dtype=np.int32, shape=shape, **fields)


def dilated(net, *, is_causal):
    """Rows with dilation 2 as converters write them, around them, or before them as in sounds.

    They are padded to whole blocks: by as many as their number lacks, which is computed.
    """
    blocks, reach = net.integers(2, 1), 4
    before = reach if is_causal else reach // 2
    lacks = net("FLOOR_MOD", sizes_of(net, begin=1, end=2), net.integers(2), shape=(1,),
                dtype=np.int32)  # fmt: skip
    after = net.integers(reach - before)
    end = net("ADD", lacks, after, kind="Add", dtype=np.int32, shape=(1,))
    margins = [
        net("RESHAPE", joined(net, *pair, net.integers(0, 0), shape=(4,)), net.integers(2, 2),
            dtype=np.int32, shape=(2, 2))
        for pair in ((net.integers(before), end), (net.integers(0), lacks))
    ]  # fmt: skip
    x = net("SPACE_TO_BATCH_ND", net.input, blocks, margins[0])
    how = {"padding": 1, "strideH": 1, "strideW": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    operands = net.constant(floats(4, 3, 1, 3)), net.constant(floats(4))
    y = net("CONV_2D", x, *operands, kind="Conv2D", **how)
    return net("BATCH_TO_SPACE_ND", y, blocks, margins[1])


@pytest.mark.parametrize("is_causal", [False, True])
def test_blocks_of_free_sizes_are_batches(is_causal, tmp_path):
    net = Net((-1, -1, -1, 3))
    path = net.file(tmp_path, dilated(net, is_causal=is_causal))
    check(path, (1, 6, 7, 3), (2, 9, 4, 3), (1, 5, 1, 3))


def test_slices_between_bounds_of_free_sizes(tmp_path):
    """All but the last row and the first two columns."""
    net = Net((1, -1, -1, 3))
    whole = sizes_of(net, begin=0, end=4)
    end = net("SUB", whole, net.integers(0, 1, 0, 0), kind="Sub", dtype=np.int32, shape=(4,))
    bounds = net.integers(0, 0, 2, 0), end, net.integers(1, 1, 1, 1)
    y = net("STRIDED_SLICE", net.input, *bounds, kind="StridedSlice", endMask=1)
    check(net.file(tmp_path, net.conv(y, 3, 4)), (1, 5, 7, 3), (1, 2, 3, 3), (1, 16, 9, 3))


def test_a_slice_of_a_free_length(tmp_path):
    """LiteRT refuses to run it where its result was declared with other sizes."""
    net = Net((1, -1, -1, 3))
    whole = sizes_of(net, begin=0, end=4)
    size = net("SUB", whole, net.integers(0, 1, 2, 0), kind="Sub", dtype=np.int32, shape=(4,))
    run = compiled(net.file(tmp_path, net("SLICE", net.input, net.integers(0, 0, 2, 0), size)))
    for shape in ((1, 5, 7, 3), (1, 2, 3, 3)):
        x = floats(*shape)
        np.testing.assert_array_equal(run([x])[0], x[:, :-1, 2:])


def zeros(net, x, widths):
    return net("PAD", x, widths, kind="Pad")


def mirrored(mode):
    return lambda net, x, widths: net("MIRROR_PAD", x, widths, kind="MirrorPad", mode=mode)


@pytest.mark.parametrize(
    "pad", [zeros, mirrored(0), mirrored(1)], ids=["zeros", "reflected", "with the edge"]
)
def test_paddings_of_free_sizes(pad, tmp_path):
    """To multiples of 4, as decoders need them."""
    net = Net((1, -1, -1, 3))
    hw = sizes_of(net, begin=1, end=3)
    less = net("SUB", net.integers(0, 0), hw, kind="Sub", dtype=np.int32, shape=(2,))
    lacks = net("FLOOR_MOD", less, net.integers(4, 4), dtype=np.int32, shape=(2,))
    ends = joined(net, net.integers(0), lacks, net.integers(0), shape=(4,))
    column = net("RESHAPE", ends, net.integers(4, 1), dtype=np.int32, shape=(4, 1))
    begins = net.constant(np.zeros((4, 1), np.int32))
    widths = joined(net, begins, column, shape=(4, 2), axis=1)
    padded = pad(net, net.input, widths)
    check(net.file(tmp_path, net.conv(padded, 3, 4)), (1, 5, 7, 3), (1, 8, 6, 3), (1, 7, 4, 3))
