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
