"""``CONVERTERS`` maps an operator of TFLite to what adds ONNX nodes for it; ``CUSTOM`` custom ones.

A converter takes a ``Call``, asks it for the inputs in an order of axes, and calls ``result``. It
raises ModelError with a reason; whoever calls it puts model and operator before it.
"""

from __future__ import annotations

from . import conv, moving, pad, pointwise, pool, reduce, reshape, resize
from .call import Call
from .pointwise import Converter

__all__ = ["CONVERTERS", "CUSTOM", "Call", "Converter"]

_UNARY = {
    "ABS": "Abs",
    "CEIL": "Ceil",
    "COS": "Cos",
    "ELU": "Elu",
    "EXP": "Exp",
    "FLOOR": "Floor",
    "HARD_SWISH": "HardSwish",
    "LOG": "Log",
    "LOGICAL_NOT": "Not",
    "LOGISTIC": "Sigmoid",
    "NEG": "Neg",
    "RELU": "Relu",
    "ROUND": "Round",
    "SIGN": "Sign",
    "SIN": "Sin",
    "SQRT": "Sqrt",
    "TANH": "Tanh",
}

_BINARY = {
    "ADD": "Add",
    "DIV": "Div",
    "EQUAL": "Equal",
    "GREATER": "Greater",
    "GREATER_EQUAL": "GreaterOrEqual",
    "LESS": "Less",
    "LESS_EQUAL": "LessOrEqual",
    "LOGICAL_AND": "And",
    "LOGICAL_OR": "Or",
    "MAXIMUM": "Max",
    "MINIMUM": "Min",
    "MUL": "Mul",
    "POW": "Pow",
    "SUB": "Sub",
}

CONVERTERS: dict[str, Converter] = {
    **{name: pointwise.unary(kind) for name, kind in _UNARY.items()},
    **{name: pointwise.binary(kind) for name, kind in _BINARY.items()},
    "ADD_N": pointwise.add_n,
    "ARG_MAX": reduce.arg("ArgMax"),
    "ARG_MIN": reduce.arg("ArgMin"),
    "AVERAGE_POOL_2D": pool.average_pool_2d,
    "BATCH_MATMUL": conv.batch_mat_mul,
    "BATCH_TO_SPACE_ND": reshape.batch_to_space_nd,
    "BROADCAST_TO": reshape.broadcast_to,
    "CAST": pointwise.same,
    "CONCATENATION": moving.concatenation,
    "CONV_2D": conv.conv_2d,
    "CUMSUM": reduce.cumsum,
    "DENSIFY": pointwise.same,
    "DEPTHWISE_CONV_2D": conv.depthwise_conv_2d,
    "DEPTH_TO_SPACE": moving.depth_to_space,
    "DEQUANTIZE": pointwise.dequantize,
    "EXPAND_DIMS": reshape.expand_dims,
    "FILL": reshape.fill,
    "FLOOR_DIV": pointwise.floor_div,
    "FLOOR_MOD": pointwise.floor_mod,
    "FULLY_CONNECTED": conv.fully_connected,
    "GATHER": moving.gather,
    "GATHER_ND": moving.gather_nd,
    "GELU": pointwise.gelu,
    "L2_NORMALIZATION": pointwise.l2_normalization,
    "L2_POOL_2D": pool.l2_pool_2d,
    "LEAKY_RELU": pointwise.leaky_relu,
    "LOG_SOFTMAX": pointwise.log_softmax,
    "MAX_POOL_2D": pool.max_pool_2d,
    "MEAN": reduce.reduction("ReduceMean"),
    "MIRROR_PAD": pad.mirror_pad,
    "NOT_EQUAL": pointwise.binary("Equal", "Not"),
    "PACK": moving.pack,
    "PAD": pad.pad,
    "PADV2": pad.pad,
    "PRELU": pointwise.prelu,
    "QUANTIZE": pointwise.quantize,
    "REDUCE_MAX": reduce.reduction("ReduceMax"),
    "REDUCE_MIN": reduce.reduction("ReduceMin"),
    "REDUCE_PROD": reduce.reduction("ReduceProd"),
    "RELU6": pointwise.clip(0, 6),
    "RELU_0_TO_1": pointwise.clip(0, 1),
    "RELU_N1_TO_1": pointwise.clip(-1, 1),
    "RESHAPE": reshape.reshape,
    "RESIZE_BILINEAR": resize.resize_bilinear,
    "RESIZE_NEAREST_NEIGHBOR": resize.resize_nearest_neighbor,
    "REVERSE_V2": moving.reverse_v2,
    "RSQRT": pointwise.unary("Sqrt", "Reciprocal"),
    "SELECT": pointwise.select,
    "SELECT_V2": pointwise.select_v2,
    "SHAPE": reshape.shape,
    "SLICE": moving.slice_,
    "SOFTMAX": pointwise.softmax,
    "SPACE_TO_BATCH_ND": reshape.space_to_batch_nd,
    "SPACE_TO_DEPTH": moving.space_to_depth,
    "SPLIT": moving.split,
    "SPLIT_V": moving.split_v,
    "SQUARE": pointwise.square,
    "SQUARED_DIFFERENCE": pointwise.squared_difference,
    "SQUEEZE": reshape.squeeze,
    "STRIDED_SLICE": moving.strided_slice,
    "SUM": reduce.reduction("ReduceSum"),
    "TILE": moving.tile,
    "TRANSPOSE": reshape.transpose,
    "TRANSPOSE_CONV": conv.transpose_conv,
    "UNPACK": moving.unpack,
    "ZEROS_LIKE": reshape.zeros_like,
}

CUSTOM: dict[str, Converter] = {"Convolution2DTransposeBias": conv.transpose_conv_bias}
