"""Which operators of a quantised file work on the stored integers, and which on what they mean.

Where it matters to LiteRT's result, as its kernels do it: what only moves elements moves the
integers, a maximum is one of the integers, and anything else reads the values that they stand for
and is rounded to the scale of its result. Operators that LiteRT does not have for integers are
refused here.
"""

from __future__ import annotations

from tvm_deconv.frontends.onnx.nodes import refuse, words
from tvm_deconv.frontends.tflite.read import Operator
from tvm_deconv.frontends.tflite.translation import Translation

# LiteRT copies their bytes and reads no scale: with two scales the result means something else.
_MOVE = words(
    "BATCH_TO_SPACE_ND BROADCAST_TO DENSIFY DEPTH_TO_SPACE EXPAND_DIMS FILL GATHER GATHER_ND "
    "MIRROR_PAD PACK PAD PADV2 RESHAPE RESIZE_NEAREST_NEIGHBOR REVERSE_SEQUENCE REVERSE_V2 SELECT "
    "SELECT_V2 SLICE SPACE_TO_BATCH_ND SPACE_TO_DEPTH SPLIT SPLIT_V SQUEEZE STRIDED_SLICE TILE "
    "TRANSPOSE UNPACK"
)
# On the integers where there is one scale only: exact, or rounded as LiteRT rounds them.
_ALIKE = words(
    "AVERAGE_POOL_2D CONCATENATION EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL MAXIMUM MAX_POOL_2D "
    "MINIMUM NOT_EQUAL REDUCE_MAX REDUCE_MIN RESIZE_BILINEAR"
)
_BY_VALUE = words(
    "ABS ADD BATCH_MATMUL CONV_2D DEPTHWISE_CONV_2D DEQUANTIZE DIV ELU EXP FULLY_CONNECTED GELU "
    "HARD_SWISH L2_NORMALIZATION LEAKY_RELU LOGISTIC LOG_SOFTMAX MEAN MUL PRELU QUANTIZE RELU "
    "RELU6 RELU_0_TO_1 RELU_N1_TO_1 RSQRT SOFTMAX SQUARED_DIFFERENCE SUB SUM TANH TRANSPOSE_CONV"
)
# Their results are no values of a scale.
_AS_STORED = words("ARG_MAX ARG_MIN CAST SHAPE")


def works_on_integers(graph: Translation, operator: Operator) -> bool:
    """Whether the converter of an operator is given integers as they are stored.

    Raises ModelError for an operator that is not computed on quantised tensors.
    """
    tensors = [index for index in (*operator.inputs, *operator.outputs) if index >= 0]
    scaled = [index for index in tensors if graph.quantization(index) is not None]
    if not scaled or operator.name in _AS_STORED:
        return True
    if operator.is_custom or operator.name not in _MOVE | _ALIKE | _BY_VALUE:
        refuse(f"reads or makes {graph.described(scaled[0])}: it is computed of floats only")
    kinds = {(graph.quantization(index), graph.file.tensors[index].dtype) for index in scaled}
    if operator.name in _BY_VALUE:
        return False
    if operator.name in _ALIKE:
        # ONNX has maxima of windows of bytes only; of values they are as exact.
        is_wide = operator.name == "MAX_POOL_2D" and ("int16" in {kind for _, kind in kinds})
        return len(kinds) == 1 and not is_wide
    plain = [i for i in operator.outputs if i >= 0 and graph.quantization(i) is None]
    if len(kinds) > 1 or plain:
        other = next(
            i for i in (*plain, *scaled) if graph.quantization(i) != graph.quantization(scaled[0])
        )
        refuse(
            f"moves {graph.described(scaled[0])} to {graph.described(other)}: convert the model "
            "so that both have one scale"
        )
    return True
