"""Quantized operators of ONNX against ONNX Runtime: the same integers, ties included."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_rows import Row, Table, c, floats, model_of, row

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

_RNG = np.random.default_rng(7)


def integers(*shape, dtype="uint8"):
    bounds = np.iinfo(dtype)
    return _RNG.integers(bounds.min, bounds.max, shape, dtype, endpoint=True)


# Ties between even and odd numbers, and what saturates.
HALVES = np.float32([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 127.5, 252.5, -1e9, 1e9, np.inf, -np.inf])
HALVES = HALVES.reshape(1, 2, 6)
HALF, ONE = c(0.5, "float32"), c(1.0, "float32")
PER_CHANNEL = c([0.05, 0.3], "float32"), c([3, 7], "uint8")

LINEAR = [
    *(
        row("QuantizeLinear", HALVES, ONE, c(3, kind), opset=opset)
        for opset in (10, 13, 19, 21)
        for kind in ("uint8", "int8")
    ),
    row("QuantizeLinear", HALVES, ONE),
    row("QuantizeLinear", floats(2, 2, 5), *PER_CHANNEL),
    *(
        row("DequantizeLinear", integers(1, 2, 6, dtype=kind), HALF, c(5, kind), opset=opset)
        for opset in (10, 13, 19, 21)
        for kind in ("uint8", "int8")
    ),
    row("DequantizeLinear", integers(1, 2, 6), *PER_CHANNEL),
    row("DequantizeLinear", integers(5, dtype="int32"), HALF),
]


def conv(kind, weights, *, c_in=5, c_out=6, k=3, scales=1, bias=True, **attributes):
    """A QLinearConv; scales that are powers of 2 make ties, which all have to round alike."""
    groups = attributes.get("group", 1)
    weight = c(integers(c_out, c_in // groups, k, k, dtype=weights))
    scale = np.full(scales, 0.25) if scales == 1 else 2.0 ** -np.arange(2, 2 + scales)
    zero = np.zeros(scales, weights)
    operands = [integers(2, c_in, 7, 8, dtype=kind), HALF, c(9, kind)]
    operands += [weight, c(scale.astype("float32")), c(zero), c(1024.0, "float32"), c(4, kind)]
    operands += [c(integers(c_out, dtype="int32") >> 16)] if bias else []
    return row("QLinearConv", *operands, **attributes)


PRODUCTS = [
    conv("uint8", "int8", pads=[1] * 4),
    conv("int8", "int8", scales=6, pads=[0, 1, 2, 0]),
    conv("uint8", "uint8", strides=[2, 1], bias=False),
    conv("uint8", "int8", c_in=6, group=3, dilations=[1, 2], pads=[1] * 4),
    *(
        row(
            "QLinearMatMul",
            integers(3, 4, dtype=kind),
            c(0.5, "float32"),
            c(2, kind),
            c(integers(4, 5, dtype="int8")),
            c(np.float32([0.25] * n) if n else np.float32(0.25)),
            c(np.int8([0] * n) if n else np.int8(0)),
            c(64.0, "float32"),
            c(1, kind),
        )
        for kind, n in (("uint8", 0), ("int8", 5))
    ),
    *(
        row("ConvInteger", integers(1, 3, 6, 7), c(integers(2, 3, 3, 3, dtype=kind)), *zeros)
        for kind, zeros in (("uint8", ()), ("int8", (c(3, "uint8"), c(-2, "int8"))))
    ),
]

MICROSOFT = "com.microsoft"


def theirs(operator, *operands, **attributes):
    return row(operator, *operands, domain=MICROSOFT, **attributes)


A, B = (integers(2, 4, 5, 6), c(0.5, "float32"), c(120, "uint8")), (integers(4, 1, 1), HALF)
B = (*B, c(100, "uint8"))
TO = c(0.25, "float32"), c(128, "uint8")
SMALL = A[0], c(0.02, "float32"), A[2]
SHARES = c(1 / 256, "float32"), c(0, "uint8")
SIGNED = integers(2, 4, 5, 6, dtype="int8"), HALF, c(-3, "int8")
CHANNELS_LAST = integers(2, 5, 6, 4), *A[1:]
COLUMNS = c(np.float32([0.5, 0.25, 0.125])), c([0, 0, 0], "int8")
FACTORS = integers(3, 4), HALF, c(7, "uint8"), c(integers(4, 3, dtype="int8"))
FLOATS = floats(2, 3, 4)
THEIRS = [
    theirs("QLinearAdd", *A, *B, *TO),
    # Without a zero point of the result.
    theirs("QLinearAdd", *SIGNED, *SIGNED, c(1.0, "float32")),
    theirs("QLinearMul", *A, *B, c(32.0, "float32"), TO[1]),
    # As quantizers write a factor that is one number.
    theirs("QLinearMul", *A, c(np.uint8(200)), *B[1:], c(32.0, "float32"), TO[1]),
    theirs("QLinearConcat", *TO, *A, *A, axis=1),
    theirs("QLinearGlobalAveragePool", *A, *TO),
    theirs("QLinearGlobalAveragePool", *CHANNELS_LAST, *TO, channels_last=1),
    theirs("QLinearAveragePool", *A, *TO, kernel_shape=[3, 2], pads=[1, 0, 1, 1]),
    theirs(
        "QLinearAveragePool",
        *(*A, *TO),
        **{"kernel_shape": [3, 3], "strides": [2, 2], "pads": [1] * 4, "count_include_pad": 1},
    ),
    theirs("QLinearAveragePool", *CHANNELS_LAST, *TO, kernel_shape=[2, 3], channels_last=1),
    theirs("QLinearLeakyRelu", *A, *TO, alpha=0.2),
    theirs("QLinearSigmoid", SMALL[0], c([0.02], "float32"), c([9], "uint8"), *SHARES),
    *(
        Row(
            "QLinearSoftmax",
            (*SMALL, *SHARES),
            opset,
            attributes={"domain": MICROSOFT, "axis": axis, "opset": rules},
        )
        for axis, opset, rules in ((-1, 13, 13), (1, 13, 13), (1, 13, 11), (1, 11, 11), (1, 11, 13))
    ),
    # 1 / 255 in float32 is a bit more than that: 254 wholes are left.
    *(
        Row(
            "QLinearSoftmax",
            (*SMALL, c(scale, "float32"), SHARES[1]),
            attributes={"domain": MICROSOFT, "axis": 1, "opset": 13},
        )
        for scale in (1 / 255, 0.0031)
    ),
    theirs("QLinearWhere", c(integers(2, 4, 1, 6) > 128), *A, *B, *TO),
    theirs("QGemm", *FACTORS, c(0.5, "float32"), c(0, "int8"), None, *TO),
    theirs("QGemm", *FACTORS, *COLUMNS, c([1000, -2, 3], "int32"), c(16.0, "float32"), TO[1]),
    theirs("QGemm", *FACTORS, *COLUMNS, c([1000, -2, 3], "int32"), alpha=0.5),
    theirs(
        "QGemm",
        *(integers(4, 3), HALF, c(7, "uint8"), c(integers(3, 4, dtype="int8")), *COLUMNS),
        *(c([1000, -2, 3], "int32"), c(16.0, "float32"), TO[1]),
        **{"transA": 1, "transB": 1},
    ),
    theirs("MatMulIntegerToFloat", FACTORS[0], FACTORS[3], HALF, COLUMNS[0]),
    theirs(
        "MatMulIntegerToFloat",
        *(FACTORS[0], FACTORS[3], HALF, COLUMNS[0], FACTORS[2], c([1, 2, 3], "int8")),
        c(floats(3)),
    ),
    theirs("DynamicQuantizeMatMul", FLOATS, FACTORS[3], HALF),
    theirs("DynamicQuantizeMatMul", FLOATS, FACTORS[3], *COLUMNS, c(floats(3))),
    theirs("NhwcMaxPool", CHANNELS_LAST[0], kernel_shape=[2, 2], strides=[2, 1]),
    theirs(
        "QLinearConv",
        *(*CHANNELS_LAST, c(integers(3, 4, 3, 3, dtype="int8")), *COLUMNS),
        *(c(512.0, "float32"), TO[1], c([1000, -2000, 3], "int32")),
        **{"channels_last": 1, "pads": [1] * 4},
    ),
]

_TABLE = Table([*LINEAR, *PRODUCTS, *THEIRS])


@pytest.mark.parametrize("one", [*LINEAR, *PRODUCTS, *THEIRS], ids=str)
def test_computes_the_integers_of_onnx_runtime(one):
    _TABLE.check(one)


REFUSED = {
    "give one or axis=0's size": row(
        "QLinearConv",
        *(integers(1, 2, 4, 4), HALF, c(0, "uint8")),
        *(c(integers(3, 2, 1, 1, dtype="int8")), c([1, 2], "float32"), c([0, 0], "int8")),
        *(ONE, c(0, "uint8")),
    ),
    "give one scale and zero point": theirs("QLinearSigmoid", A[0], *PER_CHANNEL, *TO),
    "has several scales, which DequantizeLinear has since opset 13": theirs(
        "QGemm", *FACTORS, *COLUMNS, None, *TO, opset=11
    ),
}


@pytest.mark.parametrize("reason", REFUSED)
def test_refuses_with_a_reason(reason):
    with pytest.raises(ModelError, match=reason):
        load(model_of([REFUSED[reason]])[0])
