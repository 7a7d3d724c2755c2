"""Our converters: ``CONVERTERS`` maps an operator to one and to why TVM's does not serve.

A converter takes a ``Call`` and returns a Relax expression, a ``relax.Tuple`` for several outputs.
It raises ModelError with a reason; the importer puts model and node before it. Each reason is a
candidate for a fix in TVM.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from tvm import relax

from tvm_deconv.frontends import functions
from tvm_deconv.frontends.onnx.nodes import STANDARD

from . import (
    activation,
    arithmetic,
    col2im,
    conv,
    gather,
    indexing,
    norm,
    pad,
    pool,
    quantized,
    recurrent,
    reduce,
    resize,
    scatter,
    sequence,
    shuffle,
    split,
    vision,
)
from .activation import in_single
from .call import Call

Converter: TypeAlias = Callable[[Call], relax.Expr]

_UNCHECKED = "takes attributes that the standard refuses, and then computes something else"
_HALF = "makes float32 constants of its attributes, which float16 tensors do not go with"
_LIBM = "LLVM has no such function of float16"

_EMPTY_AXES = "returns the input itself where there are no axes to reduce, without its function"

# Operator, what is done before the reduction, and after it.
_REDUCTIONS = {
    "ReduceL1": reduce.reduction(relax.op.sum, reduce.absolute),
    "ReduceL2": reduce.reduction(relax.op.sum, reduce.square, reduce.root),
    "ReduceLogSum": reduce.reduction(relax.op.sum, None, reduce.logarithm),
    "ReduceLogSumExp": reduce.log_sum_exp,
    "ReduceMax": reduce.reduction(relax.op.max),
    "ReduceMean": reduce.reduction(relax.op.mean),
    "ReduceMin": reduce.reduction(relax.op.min),
    "ReduceProd": reduce.reduction(relax.op.prod),
    "ReduceSum": reduce.reduction(relax.op.sum),
    "ReduceSumSquare": reduce.reduction(relax.op.sum, reduce.square),
}

CONVERTERS: dict[str, tuple[Converter, str]] = {
    **{name: (convert, _EMPTY_AXES) for name, convert in _REDUCTIONS.items()},
    **vision.GUARDED,
    "Acos": (in_single(activation.plain(relax.op.acos)), _LIBM),
    "Acosh": (in_single(activation.plain(relax.op.acosh)), _LIBM),
    "Asin": (in_single(activation.plain(relax.op.asin)), _LIBM),
    "Asinh": (in_single(activation.plain(relax.op.asinh)), _LIBM),
    "Atan": (in_single(activation.plain(relax.op.atan)), _LIBM),
    "Atanh": (in_single(activation.plain(relax.op.atanh)), _LIBM),
    "AveragePool": (pool.average_pool, f"{_UNCHECKED}; SAME_LOWER with strides is wrong"),
    "BatchNormalization": (norm.batch_normalization, "ignores spatial; training is not TVM's"),
    "BitShift": (
        arithmetic.bit_shift,
        "shifts by all bits or more, which LLVM leaves open",
    ),
    "Celu": (in_single(activation.celu), "there is none"),
    "Clip": (activation.clip, f"{_HALF}; emits PrimFuncs that cannot be fused at free sizes"),
    "Col2Im": (in_single(col2im.col2im), "there is none"),
    "Conv": (conv.conv, f"{_UNCHECKED}; auto_pad fails at free sizes"),
    "ConvInteger": (quantized.conv_integer, "there is none"),
    "ConvTranspose": (conv.conv_transpose, f"ignores output_shape, {_UNCHECKED}"),
    "Cosh": (in_single(activation.plain(functions.cosh)), "LLVM has no such function"),
    "Dropout": (indexing.dropout, "fails where ratio or training_mode are inputs; no mask"),
    "DepthToSpace": (shuffle.depth_to_space, "does not check that the block divides the channels"),
    "Equal": (arithmetic.equal, "compares truth values as floats, which LLVM refuses"),
    "Expand": (indexing.expand, "fails at free sizes"),
    "EyeLike": (indexing.eye_like, "refuses a dtype other than its input's"),
    "Gather": (gather.gather, "reads outside of its input where an index is"),
    "GatherND": (
        gather.gather_nd,
        "reads outside of its input where an index is; cannot be fused with indices of free size",
    ),
    "Gemm": (arithmetic.gemm, "scales A instead of the product, and C where beta is 0"),
    "Elu": (in_single(activation.elu), _HALF),
    "GridSample": (vision.grid_sample, "gives float32 for float16, mirrors about other points"),
    "GRU": (recurrent.recurrent_layer("GRU"), "there is none for Relax"),
    "GlobalAveragePool": (in_single(reduce.global_average_pool), "float16 sums overflow"),
    "GroupNormalization": (norm.group_normalization, "refuses float16 at opset 18"),
    "InstanceNormalization": (
        in_single(norm.instance_normalization),
        "float16 squares overflow",
    ),
    "IsInf": (activation.is_inf, "ignores detect_negative and detect_positive"),
    "LSTM": (recurrent.recurrent_layer("LSTM"), "there is none for Relax"),
    "LayerNormalization": (
        norm.layer_normalization,
        "returns 0 for mean and deviation, and takes no scale or bias that broadcasts",
    ),
    "LpNormalization": (norm.lp_normalization, "there is none"),
    "LpPool": (pool.lp_pool, f"{_UNCHECKED}; SAME_LOWER with strides is wrong"),
    "Max": (arithmetic.extreme(relax.op.maximum), "loses NaN, and stacks its inputs in memory"),
    "Mean": (arithmetic.mean, "stacks its inputs in memory"),
    "MeanVarianceNormalization": (
        in_single(norm.mean_variance_normalization),
        "refuses float16, float64 and tensors without 4 axes",
    ),
    "Min": (arithmetic.extreme(relax.op.minimum), "loses NaN, and stacks its inputs in memory"),
    "MaxPool": (pool.max_pool, f"{_UNCHECKED}; SAME_LOWER with strides is wrong"),
    "MaxUnpool": (pool.max_unpool, "fails at free sizes, and where output_shape is left out"),
    "Mish": (in_single(activation.plain(functions.mish)), "no digit is left below -10"),
    "Mod": (arithmetic.modulo, "gives NaN for a float by infinity"),
    "PRelu": (activation.prelu, "fails at free sizes with one slope"),
    "Pad": (pad.pad, "wraps wrongly where it crops or goes around twice; emits PrimFuncs"),
    "Pow": (arithmetic.power, "refuses operands of two types, and integers"),
    "QLinearConv": (quantized.qlinear_conv, "there is none"),
    "QLinearMatMul": (quantized.qlinear_matmul, "there is none"),
    "RNN": (recurrent.recurrent_layer("RNN"), "there is none for Relax"),
    "RMSNormalization": (norm.rms_normalization, "cannot be compiled over all axes"),
    "Range": (indexing.arange, "sizes that are equal do not look so to what comes after"),
    "Reshape": (indexing.reshape, "takes no shape that was computed from free sizes"),
    "Resize": (
        resize.resize,
        "takes the ratio of the rounded sizes for the scales, and ignores axes, antialias, "
        "keep_aspect_ratio_policy, half_pixel_symmetric, roi of batch and channels",
    ),
    "ScatterND": (scatter.scatter_nd, "takes no slices of free sizes, and writes them in one loop"),
    "ReverseSequence": (gather.reverse_sequence, "there is none"),
    "Selu": (in_single(activation.selu), _HALF),
    "Sinh": (in_single(activation.plain(functions.sinh)), "LLVM has no such function"),
    "Size": (indexing.size, "gives a vector of one element"),
    "Slice": (indexing.slice_, "has no opset 9; fails later where starts are tensors"),
    "SequenceAt": (sequence.sequence_at, "refuses a position that is counted from the end"),
    "Split": (split.split, "takes what is left of a free size for the last part"),
    "SplitToSequence": (
        sequence.split_to_sequence,
        "makes parts of another size where the last is smaller",
    ),
    "Squeeze": (indexing.squeeze, "cannot be compiled without axes at free sizes"),
    "Sum": (arithmetic.total, "stacks its inputs in memory"),
    "Softplus": (in_single(activation.plain(functions.softplus)), "no digit is left below -10"),
    "SpaceToDepth": (shuffle.space_to_depth, "free sizes cannot be scheduled; ignores mode"),
    "Swish": (in_single(activation.swish), "there is none"),
    "ThresholdedRelu": (in_single(activation.thresholded_relu), _HALF),
    "Tile": (indexing.tile, "leaves the result without sizes where repeats are sizes"),
    "TopK": (reduce.top_k, "refuses sorted=0; fails when it is run for some types"),
    "Upsample": (
        resize.upsample,
        "reads scales from an attribute, at opset 9 too, and only of rank 4",
    ),
}


def converter_of(domain: str, operator: str) -> Converter | None:
    """Our converter of an operator, None where there is none."""
    return CONVERTERS[operator][0] if domain in STANDARD and operator in CONVERTERS else None
