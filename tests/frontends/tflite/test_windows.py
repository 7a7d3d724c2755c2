"""Convolutions, pools, resizes and paddings of TFLite compute what LiteRT's own kernels do."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_rows import Table, c, floats, options, row

SAME, VALID = 0, 1
RELU, RELU_N1_TO_1, RELU6 = 1, 2, 3


def strided(kind, padding, stride=(1, 1), **fields):
    return options(kind, padding=padding, strideH=stride[0], strideW=stride[1], **fields)


def conv(padding, stride=(1, 1), dilation=(1, 1), shape=(1, 11, 14, 6), kernel=(3, 3), **fields):
    how = {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1], **fields}
    weights = c(floats(5, *kernel, shape[3]))
    how = strided("Conv2D", padding, stride, **how)
    return row("CONV_2D", floats(*shape), weights, c(floats(5)), options=how)


def depthwise(padding, stride, multiplier, dilation=(1, 1), kernel=(3, 4)):
    how = {"dilationHFactor": dilation[0], "dilationWFactor": dilation[1]}
    how = strided("DepthwiseConv2D", padding, stride, depthMultiplier=multiplier, **how)
    weights = c(floats(1, *kernel, 3 * multiplier))
    return row("DEPTHWISE_CONV_2D", floats(1, 9, 10, 3), weights, c(floats(3 * multiplier)),
               options=how)  # fmt: skip


def deconv(padding, stride, wanted, size=(7, 5), kernel=(3, 3), bias=True, **fields):
    how = strided("TransposeConv", padding, stride, **fields)
    x, weights = floats(2, *size, 3), c(floats(4, *kernel, 3))
    biases = [c(floats(4))] if bias else []
    return row("TRANSPOSE_CONV", c([2, *wanted, 4]), weights, x, *biases, options=how)


def conv_3d(padding, stride=(1, 1, 1), dilation=(1, 1, 1), kernel=(3, 3, 3), **fields):
    weights = c(floats(*kernel, 3, 5))
    how = volumes(padding, stride, dilation, **fields)
    return row("CONV_3D", floats(1, 5, 7, 6, 3), weights, c(floats(5)), options=how)


def deconv_3d(padding, stride, wanted, kernel=(3, 3, 3), bias=True, dilation=(1, 1, 1), **fields):
    how = volumes(padding, stride, dilation, **fields)
    biases = [c(floats(5))] if bias else []
    operands = c([2, *wanted, 5]), c(floats(*kernel, 5, 4)), floats(2, 3, 4, 5, 4)
    return row("CONV_3D_TRANSPOSE", *operands, *biases, options=how)


def volumes(padding, stride, dilation, **fields):
    for axis, step, far in zip("DHW", stride, dilation, strict=True):
        fields |= {f"stride{axis}": step, f"dilation{axis}Factor": far}
    return options("Conv3D", padding=padding, **fields)


def pool(operator, padding, stride, kernel, **fields):
    how = {"filterHeight": kernel[0], "filterWidth": kernel[1], **fields}
    x = floats(2, 9, 10, 3)
    return row(operator, x, options=strided("Pool2D", padding, stride, **how))


def nearest(size, wanted, **fields):
    how = options("ResizeNearestNeighbor", **fields)
    return row("RESIZE_NEAREST_NEIGHBOR", floats(1, *size, 2), c(wanted), options=how)


def bilinear(size, wanted, **fields):
    how = options("ResizeBilinear", **fields)
    return row("RESIZE_BILINEAR", floats(1, *size, 2), c(wanted), options=how)


def mirror(mode, *widths):
    return row("MIRROR_PAD", floats(2, 6, 5, 3), c(widths), options=options("MirrorPad", mode=mode))


SIZES = [((5, 7), (10, 21)), ((5, 7), (13, 4)), ((4, 3), (1, 1)), ((3, 3), (7, 10))]

TABLE = Table(
    [
        conv(SAME),
        conv(SAME, (2, 3)),
        conv(SAME, (3, 2), fusedActivationFunction=RELU6),
        conv(SAME, (2, 2), kernel=(2, 5)),
        conv(SAME, (3, 3), kernel=(1, 2)),
        conv(SAME, dilation=(2, 3)),
        conv(VALID, (2, 1), fusedActivationFunction=RELU),
        conv(VALID, dilation=(3, 2), fusedActivationFunction=RELU_N1_TO_1),
        row("CONV_2D", floats(1, 5, 6, 8), c(floats(6, 3, 3, 4)), c(floats(6)),
            options=strided("Conv2D", SAME, dilationHFactor=1, dilationWFactor=1)),
        depthwise(SAME, (1, 1), 1),
        depthwise(SAME, (2, 2), 2),
        depthwise(VALID, (1, 1), 2, (2, 2)),
        deconv(SAME, (2, 2), (14, 10)),
        deconv(SAME, (2, 3), (13, 14), fusedActivationFunction=RELU),
        deconv(SAME, (3, 2), (19, 9), kernel=(4, 5), bias=False),
        deconv(SAME, (2, 2), (14, 10), kernel=(1, 2)),
        deconv(SAME, (1, 1), (7, 5), kernel=(4, 4)),
        deconv(SAME, (3, 3), (21, 15), kernel=(9, 9), fusedActivationFunction=RELU6),
        deconv(VALID, (2, 2), (15, 11)),
        deconv(VALID, (3, 3), (21, 15), kernel=(2, 3)),
        deconv(VALID, (2, 1), (16, 7), kernel=(3, 3), bias=False),
        deconv(VALID, (1, 1), (10, 9), kernel=(4, 5)),
        conv_3d(SAME),
        conv_3d(SAME, (2, 1, 3), kernel=(2, 3, 1), fusedActivationFunction=RELU),
        conv_3d(VALID, (1, 2, 1), (2, 1, 2)),
        deconv_3d(SAME, (2, 2, 2), (6, 8, 10), fusedActivationFunction=RELU),
        deconv_3d(SAME, (2, 1, 3), (5, 4, 14), kernel=(4, 3, 2)),
        deconv_3d(VALID, (2, 2, 1), (7, 9, 7), bias=False),
        deconv_3d(VALID, (2, 1, 1), (9, 8, 9), dilation=(2, 2, 1), kernel=(3, 3, 5)),
        deconv_3d(SAME, (2, 2, 1), (6, 7, 5), dilation=(1, 2, 3)),
        pool("AVERAGE_POOL_2D", SAME, (2, 3), (3, 2)),
        pool("AVERAGE_POOL_2D", VALID, (1, 1), (2, 2), fusedActivationFunction=RELU),
        pool("MAX_POOL_2D", SAME, (2, 2), (3, 3)),
        pool("MAX_POOL_2D", VALID, (3, 1), (2, 4), fusedActivationFunction=RELU6),
        pool("L2_POOL_2D", VALID, (2, 2), (3, 3)),
        *(nearest(size, wanted) for size, wanted in SIZES),
        *(nearest(size, wanted, alignCorners=True) for size, wanted in SIZES),
        *(nearest(size, wanted, halfPixelCenters=True) for size, wanted in SIZES),
        *(bilinear(size, wanted) for size, wanted in SIZES),
        *(bilinear(size, wanted, alignCorners=True) for size, wanted in SIZES),
        *(bilinear(size, wanted, halfPixelCenters=True) for size, wanted in SIZES),
        row("PAD", floats(2, 3, 4, 5), c([[0, 1], [2, 0], [1, 3], [0, 2]])),
        row("PAD", floats(3, 4), c([[1, 0], [0, 2]])),
        row("PADV2", floats(1, 3, 4, 2), c([[0, 0], [2, 1], [0, 3], [0, 0]]), c(floats())),
        mirror(0, [0, 0], [3, 2], [1, 4], [0, 0]),
        mirror(1, [0, 0], [3, 6], [5, 0], [0, 2]),
    ]
)  # fmt: skip


@pytest.mark.parametrize("row", TABLE.rows, ids=str)
def test_a_window_is_what_litert_computes(row, tmp_path_factory):
    TABLE.check(row, tmp_path_factory.mktemp("rows"))


def test_nearest_indices_are_those_of_float32():
    """0.1f * 30 is more than 3 in float32, less in exact numbers: floor takes the first."""
    from tvm_deconv.frontends.tflite.convert.resize import nearest_indices

    assert nearest_indices(3, 30, False, False).tolist() == np.repeat([0, 1, 2], 10).tolist()
    assert nearest_indices(5, 3, True, False).tolist() == [0, 2, 4]
    assert nearest_indices(2, 4, True, False).tolist() == [0, 0, 1, 1]
