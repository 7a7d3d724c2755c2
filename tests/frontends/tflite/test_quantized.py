"""Operators of quantised TFLite files against LiteRT: the same integers, counted ones a unit off.

LiteRT multiplies by numbers of 31 bits and rounds twice, so that a value near the middle of two
integers may go either way. What only moves or compares integers, pools and resizes by powers of 2
is the same everywhere; ``ties`` bounds the part of the others that is a unit off.
"""

from __future__ import annotations

import numpy as np
import pytest
from tflite_quantized import Row, Scaled, drawer, file_of, fixed
from tflite_rows import c, compiled, floats, litert, options

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.tflite import from_tflite

integers = drawer(3)

IMAGE = (1, 6, 7, 8)
SCALES = {"int8": ("int8", 0.05, 3), "uint8": ("uint8", 0.05, 120)}
OTHER = {"int8": ("int8", 0.04, -4), "uint8": ("uint8", 0.04, 113)}
INT8, OTHER8 = SCALES["int8"], OTHER["int8"]


def row(operator, *operands, to=INT8, kind=None, ties=0.0, **fields):
    results = to if isinstance(to[0], tuple) else (to,)
    return Row(operator, operands, results, options(kind, **fields) if kind else None, ties)


def x(dtype="int8", *shape):
    return Scaled(integers(*(shape or IMAGE), dtype=dtype), 0.05, SCALES[dtype][2])


def y(dtype="int8", *shape):
    return Scaled(integers(*(shape or IMAGE), dtype=dtype), 0.031, SCALES[dtype][2] - 9)


def weights(*shape, axis=0):
    """With a scale for each output channel."""
    scales = np.linspace(0.001, 0.004, shape[axis])
    return fixed(integers(*shape).clip(-127), scales, 0, axis)


def bias(channels, of_weights=None):
    scales = np.linspace(0.001, 0.004, channels) if of_weights is None else of_weights
    return fixed(integers(channels, dtype="int16").astype("int32") // 16, 0.05 * scales)


WINDOW = {"padding": 0, "strideH": 1, "strideW": 1}
UNDILATED = {"dilationHFactor": 1, "dilationWFactor": 1}
BYTES = fixed(integers(12, 3, 3, 8, dtype="uint8"), 0.002, 130)

LAYERS = [
    row("CONV_2D", x(), weights(12, 3, 3, 8), bias(12), to=OTHER8, ties=0.01,
        kind="Conv2D", fusedActivationFunction=1, **WINDOW, **UNDILATED),
    row("CONV_2D", x("uint8"), BYTES, bias(12, 0.002), to=OTHER["uint8"], ties=0.01,
        kind="Conv2D", fusedActivationFunction=3, **WINDOW, **UNDILATED),
    row("CONV_2D", x(), weights(4, 3, 2, 8), bias(4), to=OTHER8, ties=0.01,
        kind="Conv2D", padding=1, strideH=2, strideW=1, **UNDILATED),
    row("DEPTHWISE_CONV_2D", x(), weights(1, 3, 3, 16, axis=3), bias(16), to=OTHER8, ties=0.01,
        kind="DepthwiseConv2D", depthMultiplier=2, **WINDOW, **UNDILATED),
    row("TRANSPOSE_CONV", c([1, 12, 14, 5]), weights(5, 3, 3, 8), x(), bias(5), to=OTHER8,
        ties=0.01, kind="TransposeConv", padding=0, strideH=2, strideW=2),
    row("TRANSPOSE_CONV", c([1, 14, 22, 5]), weights(5, 4, 3, 8), x(), to=OTHER8,
        ties=0.01, kind="TransposeConv", padding=1, strideH=2, strideW=3),
    row("FULLY_CONNECTED", x("int8", 3, 8), weights(5, 8), bias(5), to=OTHER8, ties=0.1,
        kind="FullyConnected", fusedActivationFunction=1),
    row("BATCH_MATMUL", x("int8", 2, 3, 4), y("int8", 2, 4, 5), to=("int8", 0.2, 3), ties=0.05,
        kind="BatchMatMul"),
]  # fmt: skip


def moving(dtype):
    """Nothing of these may differ."""
    to = SCALES[dtype]
    pool = {"padding": 0, "filterHeight": 3, "filterWidth": 2, "strideH": 2, "strideW": 1}
    far = {"padding": 0, "filterHeight": 2, "filterWidth": 2, "strideH": 2, "strideW": 3}
    around = c([[0, 0], [1, 2], [0, 1], [0, 0]])
    return [
        row("DEPTH_TO_SPACE", x(dtype), to=to, kind="DepthToSpace", blockSize=2),
        row("SPACE_TO_DEPTH", x(dtype, 1, 6, 8, 3), to=to, kind="SpaceToDepth", blockSize=2),
        row("RESIZE_NEAREST_NEIGHBOR", x(dtype), c([12, 14]), to=to, kind="ResizeNearestNeighbor"),
        row("RESIZE_NEAREST_NEIGHBOR", x(dtype), c([9, 10]), to=to, kind="ResizeNearestNeighbor",
            halfPixelCenters=True),
        row("RESIZE_BILINEAR", x(dtype), c([12, 14]), to=to, kind="ResizeBilinear",
            halfPixelCenters=True),
        row("RESIZE_BILINEAR", x(dtype), c([24, 14]), to=to, kind="ResizeBilinear"),
        row("CONCATENATION", x(dtype), x(dtype), to=to, kind="Concatenation", axis=3),
        row("PAD", x(dtype), around, to=to, kind="Pad"),
        row("MIRROR_PAD", x(dtype), around, to=to, kind="MirrorPad"),
        row("MIRROR_PAD", x(dtype), around, to=to, kind="MirrorPad", mode=1),
        row("MAX_POOL_2D", x(dtype), to=to, kind="Pool2D", **pool),
        row("MAX_POOL_2D", x(dtype), to=to, kind="Pool2D", fusedActivationFunction=1, **far),
        row("AVERAGE_POOL_2D", x(dtype), to=to, kind="Pool2D", **pool),
        row("AVERAGE_POOL_2D", x(dtype), to=to, kind="Pool2D", fusedActivationFunction=3, **far),
        row("RESHAPE", x(dtype), c([1, 42, 8]), to=to),
        row("TRANSPOSE", x(dtype), c([0, 3, 1, 2]), to=to),
        row("STRIDED_SLICE", x(dtype), c([0, 1, 2, 0]), c([1, 6, 7, 8]), c([1, 2, 3, 1]), to=to,
            kind="StridedSlice"),
        row("SPLIT", c(3), x(dtype), to=(to, to), kind="Split", numSplits=2),
        row("PACK", x(dtype, 3, 5), x(dtype, 3, 5), to=to, kind="Pack", axis=1, valuesCount=2),
        row("SPACE_TO_BATCH_ND", x(dtype), c([2, 2]), c([[0, 0], [1, 0]]), to=to),
        row("GATHER", x(dtype), c([3, 1]), to=to, kind="Gather", axis=3),
        row("MAXIMUM", x(dtype), x(dtype), to=to),
        row("REDUCE_MAX", x(dtype), c([3]), to=to, kind="Reducer"),
        row("ARG_MAX", x(dtype), c(3), to=("int32", None, 0), kind="ArgMax", outputType=2),
        row("CAST", x(dtype), to=("float32", None, 0)),
        row("DEQUANTIZE", x(dtype), to=("float32", None, 0)),
        row("QUANTIZE", floats(2, 50), to=OTHER[dtype]),
        row("QUANTIZE", x(dtype), to=({"int8": "uint8", "uint8": "int8"}[dtype], 0.05, 0)),
    ]  # fmt: skip


def computing(dtype):
    to, same = OTHER[dtype], SCALES[dtype]
    low = np.iinfo(dtype).min
    unit, both = (dtype, 1 / 256, low), (dtype, 1 / 128, low + 128)
    half = {"ties": 0.1}
    return [
        row("ADD", x(dtype), y(dtype), to=to, kind="Add", **half),
        row("ADD", x(dtype), Scaled(integers(8, dtype=dtype), 0.031, same[2], is_constant=True),
            to=to, kind="Add", fusedActivationFunction=1, **half),
        row("SUB", x(dtype), y(dtype), to=to, kind="Sub", **half),
        row("MUL", x(dtype), y(dtype), to=to, kind="Mul", **half),
        *(row(f"RELU{kind}", x(dtype), to=to, **half) for kind in ("", "6", "_0_TO_1")),
        row("PRELU", x(dtype), fixed(integers(1, 1, 8, dtype=dtype), 0.004, same[2]), to=to,
            **half),
        row("LEAKY_RELU", x(dtype), to=to, kind="LeakyRelu", alpha=0.2, ties=0.25),
        row("LOGISTIC", x(dtype), to=unit, **half),
        row("TANH", x(dtype), to=both, **half),
        row("HARD_SWISH", x(dtype), to=to, **half),
        row("SOFTMAX", x(dtype), to=unit, kind="Softmax", beta=1.0, **half),
        row("MEAN", x(dtype), c([3]), to=to, kind="Reducer", keepDims=True, ties=0.25),
        row("QUANTIZE", x(dtype), to=to, **half),
    ]  # fmt: skip


POSITIVE = Scaled(integers(*IMAGE) // 2 + 64, 0.02, -20)
FURTHER = [
    row("CONCATENATION", x("uint8"), y("uint8"), to=SCALES["uint8"], kind="Concatenation", axis=3,
        ties=0.02),
    row("ELU", x(), to=OTHER8, ties=0.1),
    row("ABS", x(), to=OTHER8, ties=0.1),
    row("GELU", x(), to=OTHER8, kind="Gelu", ties=0.1),
    row("EXP", y(), to=("int8", 0.3, -120), ties=0.1),
    row("RSQRT", POSITIVE, to=("int8", 0.03, -120), ties=0.1),
    row("SQUARED_DIFFERENCE", x(), y(), to=("int8", 0.5, 3), ties=0.1),
    row("SUM", x(), c([1, 2]), to=("int8", 0.8, 3), kind="Reducer", ties=0.25),
    row("L2_NORMALIZATION", x(), to=("int8", 1 / 128, 0), kind="L2Norm", ties=0.1),
    row("LOG_SOFTMAX", x(), to=("int8", 16 / 256, 127), ties=0.1),
    row("DIV", x("uint8"), Scaled(integers(*IMAGE, dtype="uint8") | 128, 0.03, 100),
        to=OTHER["uint8"], kind="Div", ties=0.1),
]  # fmt: skip


def wide(*shape):
    """int16, whose zero point is 0."""
    return Scaled(integers(*(shape or IMAGE), dtype="int16"), 0.0002, 0)


INT16, WIDE = ("int16", 0.0002, 0), ("int16", 0.00015, 0)
LONG = fixed(integers(6, dtype="int16").astype("int64") * 50, 0.0002 * np.linspace(0.001, 0.004, 6))
SIXTEEN = [
    row("CONV_2D", wide(), weights(6, 3, 3, 8), LONG, to=("int16", 0.0001, 0), ties=0.2,
        kind="Conv2D", fusedActivationFunction=1, **WINDOW, **UNDILATED),
    row("TRANSPOSE_CONV", c([1, 12, 14, 6]), weights(6, 3, 3, 8), wide(), LONG, to=INT16,
        ties=0.2, kind="TransposeConv", padding=0, strideH=2, strideW=2),
    row("ADD", wide(), wide(), to=("int16", 0.0005, 0), kind="Add", ties=0.1),
    row("MUL", wide(), wide(), to=("int16", 0.002, 0), kind="Mul", ties=0.1),
    row("RELU", wide(), to=WIDE, ties=0.1),
    row("CONCATENATION", wide(), wide(), to=INT16, kind="Concatenation", axis=3),
    row("RESIZE_NEAREST_NEIGHBOR", wide(), c([12, 14]), to=INT16, kind="ResizeNearestNeighbor"),
    row("MAX_POOL_2D", wide(), to=INT16, kind="Pool2D", filterHeight=3, filterWidth=2, **WINDOW),
    row("AVERAGE_POOL_2D", wide(), to=INT16, kind="Pool2D", filterHeight=3, filterWidth=2,
        **WINDOW),
    row("PAD", wide(), c([[0, 0], [1, 2], [0, 1], [0, 0]]), to=INT16, kind="Pad"),
    row("QUANTIZE", floats(2, 50), to=("int16", 0.0002, 0)),
    row("DEQUANTIZE", wide(), to=("float32", None, 0)),
]  # fmt: skip

ROWS = [*LAYERS, *FURTHER, *SIXTEEN]
for _dtype in SCALES:
    ROWS += [*moving(_dtype), *computing(_dtype)]


@pytest.fixture(scope="module")
def results(tmp_path_factory):
    """What we compute and what LiteRT does, of all rows in one file."""
    path = tmp_path_factory.mktemp("rows") / "rows.tflite"
    content, values = file_of(ROWS)
    path.write_bytes(content)
    pairs = iter(zip(compiled(path)(values), litert(content, values), strict=True))
    return {id(one): [next(pairs) for _ in one.results] for one in ROWS}


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_computes_the_integers_of_litert(one, results):
    for got, expected in results[id(one)]:
        assert (got.shape, got.dtype) == (expected.shape, expected.dtype)
        apart = np.abs(got.astype("float64") - expected.astype("float64"))
        if got.dtype.kind == "f":
            assert apart.max() <= 1e-6
        else:
            assert apart.max() <= 1
            assert (apart > 0).mean() <= one.ties


REFUSED = [
    (row("COS", x()), "COS 0 't1': reads or makes tensor 0 't0' of int8 with scale 0.05 and zero"),
    (row("RESHAPE", x(), c([-1]), to=OTHER8),
     "moves tensor 0 't0' of int8 with scale 0.05 and zero point 3 to tensor 2 't2' of int8 with"),
    (row("RELU", Scaled(integers(2, 3, dtype="int32"), 0.1)), "of int32 with scale 0.1"),
    (row("RELU", Scaled(integers(2, 3), [0.1, 0.2])), "of int8 with 2 scales along axis 0: only"),
    (row("RELU", Scaled(integers(2, 3), [0.1, 0.2, 0.3])), "of shape [2, 3] has 3 scales"),
    (row("RELU", Scaled(integers(2, 3), 0.0)), "has the scale 0.0: scales are positive numbers"),
    (row("RELU", Scaled(integers(2, 3), 1.0, 200)), "has a zero point that int8 does not hold"),
    (row("QUANTIZE", floats(3), to=("int8", None, 0)), "its result has no scale"),
    (row("DEQUANTIZE", integers(3), to=("float32", None, 0)), "its input is int8 without a scale"),
    (row("CONV_2D", floats(*IMAGE), c(floats(4, 3, 3, 8)), c(np.arange(4)), kind="Conv2D",
         to=("float32", None, 0), **WINDOW, **UNDILATED), "its bias is int32, its input or its"),
]  # fmt: skip


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_not_understood_is_named(one, reason, tmp_path):
    path = tmp_path / "net.tflite"
    path.write_bytes(file_of([one])[0])
    with pytest.raises(ModelError) as caught:
        from_tflite(path)
    assert str(caught.value).startswith(str(path)) and "\n" not in str(caught.value)
    assert reason in str(caught.value)
