"""Single operators of TFLite compute what LiteRT's own kernels do."""

from __future__ import annotations

import numpy as np
import pytest
from tflite_rows import Table, c, floats, options, row

from tvm_deconv.frontends.onnx.nodes import words

IMAGE = (2, 5, 6, 4)


def positive(*shape):
    return np.abs(floats(*shape)) + 0.5


def arithmetic(operator, kind=None, *operands, **fields):
    operands = operands or (floats(*IMAGE), c(floats(4)))
    return row(operator, *operands, options=options(kind, **fields) if kind else None)


def compared(operator):
    return row(operator, np.round(floats(3, 4)), c(np.round(floats(4))), dtypes=("bool",))


def reduced(operator, axes, keeps=False):
    how = options("Reducer", keepDims=keeps)
    return row(operator, floats(*IMAGE), c(axes), options=how)


def strided(begin, end, strides, **masks):
    how = options("StridedSlice", **masks)
    return row("STRIDED_SLICE", floats(*IMAGE), c(begin), c(end), c(strides), options=how)


SIGNED = words(
    "ABS CEIL COS ELU EXP FLOOR LOGISTIC NEG RELU RELU6 RELU_N1_TO_1 RELU_0_TO_1 ROUND SIGN SIN "
    "SQUARE TANH HARD_SWISH ZEROS_LIKE"
)

TABLE = Table(
    [
        *(row(operator, floats(3, 5) * 3) for operator in sorted(SIGNED)),
        *(row(operator, positive(3, 5)) for operator in ("LOG", "RSQRT", "SQRT")),
        row("LEAKY_RELU", floats(3, 5), options=options("LeakyRelu", alpha=0.2)),
        row("GELU", floats(3, 5), options=options("Gelu")),
        row("GELU", floats(3, 5), options=options("Gelu", approximate=True)),
        row("PRELU", floats(*IMAGE), c(floats(1, 1, 4))),
        row("SOFTMAX", floats(*IMAGE), options=options("Softmax", beta=2.0)),
        row("LOG_SOFTMAX", floats(3, 5)),
        row("L2_NORMALIZATION", floats(2, 3, 4), options=options("L2Norm")),
        arithmetic("ADD", "Add", fusedActivationFunction=1),
        arithmetic("ADD", "Add", floats(*IMAGE), floats(6, 1), fusedActivationFunction=3),
        arithmetic("SUB", "Sub", floats(4), floats(*IMAGE)),
        arithmetic("MUL", "Mul", floats(*IMAGE), c(floats()), fusedActivationFunction=2),
        arithmetic("DIV", "Div", floats(*IMAGE), positive(1, 5, 1, 4)),
        arithmetic("MAXIMUM"),
        arithmetic("MINIMUM", None, floats(*IMAGE), floats(2, 1, 6, 1)),
        arithmetic("POW", None, positive(2, 3), floats(2, 3)),
        arithmetic("SQUARED_DIFFERENCE"),
        arithmetic("FLOOR_DIV", None, floats(*IMAGE) * 5, positive(4)),
        arithmetic("FLOOR_MOD", None, floats(2, 3) * 5, positive(3)),
        row("ADD_N", floats(2, 3), floats(2, 3), floats(2, 3)),
        *(compared(operator) for operator in ("EQUAL", "NOT_EQUAL", "LESS", "GREATER_EQUAL")),
        row("SELECT_V2", np.array([[True], [False]]), floats(2, 3), c(floats(3))),
        row("FULLY_CONNECTED", floats(2, 3, 5), c(floats(4, 5)), c(floats(4)),
            options=options("FullyConnected", keepNumDims=True, fusedActivationFunction=1)),
        row("FULLY_CONNECTED", floats(2, 2, 5), c(floats(3, 10)), None,
            options=options("FullyConnected")),
        row("BATCH_MATMUL", floats(2, 3, 5), floats(2, 4, 5),
            options=options("BatchMatMul", adjY=True)),
        reduced("MEAN", [1, 2]),
        reduced("MEAN", [-1], keeps=True),
        reduced("SUM", [3, 1]),
        reduced("REDUCE_MAX", [2, 1], keeps=True),
        reduced("REDUCE_MIN", [0]),
        reduced("REDUCE_PROD", [1]),
        row("ARG_MAX", floats(2, 5, 3), c([1]), options=options("ArgMax", outputType=2),
            dtypes=("int32",)),
        row("ARG_MIN", floats(2, 5, 3), c([-1]), options=options("ArgMin", outputType=4),
            dtypes=("int64",)),
        row("CUMSUM", floats(2, 5), c(1), options=options("Cumsum", exclusive=True, reverse=True)),
        row("CONCATENATION", floats(*IMAGE), floats(2, 5, 3, 4),
            options=options("Concatenation", axis=-2)),
        row("PACK", floats(2, 3), floats(2, 3), options=options("Pack", valuesCount=2, axis=1)),
        row("UNPACK", floats(2, 3), options=options("Unpack", num=2, axis=0),
            dtypes=("float32",) * 2),
        row("SPLIT", c(2), floats(*IMAGE), options=options("Split", numSplits=3),
            dtypes=("float32",) * 3),
        row("SPLIT_V", floats(*IMAGE), c([1, -1, 2]), c(1), options=options("SplitV", numSplits=3),
            dtypes=("float32",) * 3),
        row("SLICE", floats(*IMAGE), c([0, 1, 2, 0]), c([2, 3, -1, 1]), shape=(2, 3, 4, 1)),
        strided([0, 1, 0, 0], [2, 5, 6, 4], [1, 2, 3, 1]),
        strided([0, -1, 0, 0], [0, -9, 3, 0], [1, -2, 1, 1], beginMask=9, endMask=9),
        strided([1, 0, -1], [0, 4, 0], [1, 1, 1], shrinkAxisMask=5),
        strided([0, 1, 0], [0, 4, 3], [1, 2, 1], ellipsisMask=1),
        strided([1, 0, -3], [2, 0, 3], [1, 1, 1], ellipsisMask=2, shrinkAxisMask=1),
        strided([0, 0, 1, 0], [0, 2, 4, 0], [1] * 4, newAxisMask=9),
        strided([0, 1, 0, 2, 0], [0, 2, 0, 3, 0], [1] * 5, ellipsisMask=4, newAxisMask=17,
                shrinkAxisMask=10),
        row("REVERSE_V2", floats(*IMAGE), c([2])),
        row("REVERSE_SEQUENCE", floats(*IMAGE), c([4, 0]),
            options=options("ReverseSequence", seqDim=2, batchDim=0)),
        row("REVERSE_SEQUENCE", floats(3, 2, 4), np.array([1, 2, 3, 0], "int64"),
            options=options("ReverseSequence", seqDim=0, batchDim=2)),
        row("SCATTER_ND", c([[1], [3], [1]]), floats(3, 4), c([5, 4])),
        row("ONE_HOT", np.array([[0, 2, -1], [1, 3, 2]], "int32"), c(3), c(floats()), c(floats()),
            options=options("OneHot", axis=1)),
        row("ONE_HOT", np.array([0, 2], "int32"), c(4), c(np.ones((), "f")), c(np.zeros((), "f")),
            options=options("OneHot", axis=-1)),
        row("TOPK_V2", np.round(floats(3, 7)), c(3), dtypes=("float32", "int32")),
        row("LOCAL_RESPONSE_NORMALIZATION", floats(1, 3, 2, 7),
            options=options("LocalResponseNormalization", radius=2, bias=1.5, alpha=0.3, beta=0.7)),
        *(row(operator, floats(2, 3, 4) > 1, c([2, 0]), dtypes=("bool",),
              options=options("Reducer", keepDims=keeps))
          for operator, keeps in (("REDUCE_ANY", True), ("REDUCE_ALL", False))),
        row("RANK", floats(2, 3, 4), options=options("Rank"), dtypes=("int32",)),
        row("RANGE", c(1), c(9), c(3), options=options("Range"), dtypes=("int32",)),
        row("BROADCAST_ARGS", c([3, 1, 4]), c([5, 1]), dtypes=("int32",)),
        row("TILE", floats(2, 3), c([2, 3])),
        row("GATHER", floats(2, 5, 3), c([4, 0, 0]), options=options("Gather", axis=1)),
        row("GATHER", floats(5, 3), c([[1, 0], [4, 2]]), options=options("Gather", axis=0)),
        row("GATHER", floats(2, 5, 3), c([[4, 0], [1, 2]]),
            options=options("Gather", axis=1, batchDims=1)),
        row("GATHER_ND", floats(2, 5, 3), c([[1, 4], [0, 0]])),
        row("DEPTH_TO_SPACE", floats(2, 3, 5, 18), options=options("DepthToSpace", blockSize=3)),
        row("SPACE_TO_DEPTH", floats(2, 4, 6, 5), options=options("SpaceToDepth", blockSize=2)),
        row("SPACE_TO_BATCH_ND", floats(*IMAGE), c([2, 3]), c([[1, 0], [2, 1]])),
        row("BATCH_TO_SPACE_ND", floats(12, 3, 2, 5), c([2, 3]), c([[1, 0], [0, 2]])),
        row("SPACE_TO_BATCH_ND", floats(2, 5, 4), c([3]), c([[1, 3]])),
        row("BATCH_TO_SPACE_ND", floats(6, 3, 4), c([3]), c([[2, 1]])),
        row("RESHAPE", floats(2, 3, 4), c([4, -1]), options=options("Reshape")),
        row("RESHAPE", floats(2, 3), c([2, 3]), options=options("Reshape")),
        row("TRANSPOSE", floats(2, 3, 4), c([2, 0, 1])),
        row("SQUEEZE", floats(2, 1, 3, 1), options=options("Squeeze", squeezeDims=[-1])),
        row("SQUEEZE", floats(2, 1, 3, 1), options=options("Squeeze")),
        row("EXPAND_DIMS", floats(2, 3), c(-1)),
        row("SHAPE", floats(2, 3), options=options("Shape", outType=2), dtypes=("int32",)),
        row("BROADCAST_TO", floats(2, 1), c([3, 2, 4])),
        row("FILL", c([2, 3]), floats()),
        row("CAST", floats(2, 3) * 9, options=options("Cast", outDataType=2), dtypes=("int32",)),
    ]
)  # fmt: skip


@pytest.mark.parametrize("row", TABLE.rows, ids=str)
def test_an_operator_is_what_litert_computes(row, tmp_path_factory):
    TABLE.check(row, tmp_path_factory.mktemp("rows"))
