"""The operators that rules understand, by the names that Relax has for them, without ``relax.``.

A front whose IR has another name for one of them translates it (``Graph.call``).
"""

from __future__ import annotations

CONV = "nn.conv2d"
CONV_3D = "nn.conv3d"
CONVOLUTIONS = (CONV, CONV_3D)
CONCAT = "concat"
PAD = "nn.pad"
RESIZE = "image.resize2d"
RESHAPE = "reshape"
TRANSPOSE = "permute_dims"
REPEAT = "repeat"
SHUFFLE = "nn.depth_to_space"
# A part without gaps: ``attrs.begin`` has the first element along each axis.
SLICE = "slice"
BATCH_NORM = "nn.batch_norm"
BIAS = "nn.bias_add"
PRELU = "nn.prelu"
QUANTIZE = "quantize"
DEQUANTIZE = "dequantize"
# What quantized networks hold.
BYTES = ("uint8", "int8")


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Elementwise operators of one tensor. Attributes and scalar arguments are carried along unread.
UNARY = _names(
    "abs acos acosh asin asinh astype atan atanh ceil clip cos cosh erf exp floor isfinite isinf "
    "isnan log logical_not negative round rsqrt sigmoid sign sin sinh sqrt square tan tanh trunc "
    "nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu nn.selu nn.silu nn.softplus"
)

# Elementwise operators of several tensors, broadcast as in NumPy.
BROADCAST = _names(
    "add atan2 divide equal ewise_fma floor_divide floor_mod greater greater_equal less less_equal "
    "log_add_exp logical_and logical_or logical_xor maximum minimum mod multiply not_equal power "
    "subtract where"
)

# Those of UNARY that map 0 to 0 whatever their attributes, so that they may follow a zero padding.
KEEPS_ZERO = _names(
    "abs asin asinh astype atan ceil erf floor negative round sign sin sinh sqrt square tan tanh "
    "trunc nn.gelu nn.gelu_tanh nn.leakyrelu nn.relu nn.selu nn.silu"
)

# Those that give the elements of their operand other axes, in the same order.
VIEWS = _names("expand_dims flatten reshape squeeze")

# Those that copy elements of their first operand, whatever it holds.
COPIES = VIEWS | _names("broadcast_to flip permute_dims repeat strided_slice take tile")
