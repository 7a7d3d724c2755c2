"""Every operator that is translated: its converter, and why TVM 0.27's does not serve.

An operator that is not here is refused by its name. ``run_decompositions`` leaves those alone that
are, and brings the others to PyTorch's core operators.
"""

from __future__ import annotations

from tvm import relax

from tvm_deconv.frontends import functions as formulas

from . import adaptive as ad
from . import arithmetic as a
from . import convolutions as c
from . import creation as new
from . import division
from . import functions as f
from . import grids as g
from . import indexing as i
from . import layers as y
from . import moving as m
from . import normalisation as n
from . import padding as pad
from . import pooling as p
from . import quantized as q
from . import recurrent as rec
from . import reductions as r
from . import resampling as u
from . import scattering as s
from . import slicing as cut
from . import sorting as o
from .translation import Converter
from .values import differs

op = relax.op

_TYPES = "takes the type of the first tensor: no promotion, numbers are cut to the tensor's type"
_INTEGERS = "gives integers to an operator of floats, and computes float16 in float16"
_ABSENT = "has none"
_SIZES = "replays PyTorch's size arithmetic, which ends at the first floor division"
_FLOAT32 = "asks for a result of float32 whatever the types are"
_CANCELS = "subtracts the squares of sums, and takes channels of free size for a number"
_HALF = "sums float16 in float16"
_CEIL = "ignores divisor_override, and has windows that begin in the padding in ceil_mode"
_STEP = "takes the step from the rounded sizes, and knows no antialiasing"
_NEGATIVE = "wraps no negative index, and reads beyond the end"

CONVERTERS: dict[str, tuple[Converter, str]] = {
    # arithmetic
    "aten.add.Tensor": (a.add, f"{_TYPES}; alpha is ignored"),
    "aten.add.Scalar": (a.add, f"{_TYPES}; alpha is ignored"),
    "aten.sub.Tensor": (a.subtract, f"{_TYPES}; alpha is ignored"),
    "aten.sub.Scalar": (a.subtract, f"{_TYPES}; alpha is ignored"),
    "aten.rsub.Tensor": (a.reverse_subtract, f"{_TYPES}; alpha is ignored"),
    "aten.rsub.Scalar": (a.reverse_subtract, f"{_TYPES}; alpha is ignored"),
    "aten.mul.Tensor": (a.binary(op.multiply), _TYPES),
    "aten.mul.Scalar": (a.binary(op.multiply), _TYPES),
    "aten.div.Tensor": (division.divide, f"{_TYPES}; integers are divided to integers"),
    "aten.div.Scalar": (division.divide, f"{_TYPES}; integers are divided to integers"),
    "aten.div.Tensor_mode": (division.divide, "rounds a quotient that was rounded: 1 // 0.1 is 10"),
    "aten.div.Scalar_mode": (division.divide, _ABSENT),
    "aten.floor_divide.default": (division.floor_divide, "rounds a quotient that was rounded"),
    "aten.floor_divide.Scalar": (division.floor_divide, _ABSENT),
    "aten.remainder.Tensor": (division.remainder, "subtracts a rounded multiple"),
    "aten.remainder.Scalar": (division.remainder, "subtracts a rounded multiple"),
    "aten.fmod.Tensor": (division.truncated_remainder, _TYPES),
    "aten.fmod.Scalar": (division.truncated_remainder, _TYPES),
    "aten.pow.Tensor_Tensor": (a.power, _TYPES),
    "aten.pow.Tensor_Scalar": (a.power, _TYPES),
    "aten.pow.Scalar": (a.power, _TYPES),
    "aten.atan2.default": (a.binary(op.atan2), _TYPES),
    "aten.maximum.default": (a.binary(a.extreme(op.maximum)), _TYPES),
    "aten.minimum.default": (a.binary(a.extreme(op.minimum)), _TYPES),
    "aten.fmax.default": (a.binary(a.number_of(op.maximum)), _ABSENT),
    "aten.fmin.default": (a.binary(a.number_of(op.minimum)), _ABSENT),
    "aten.clamp.default": (a.clamp, "bounds integers by floats"),
    "aten.clamp.Tensor": (a.clamp, "takes both bounds for given"),
    "aten.clamp_min.default": (a.clamp_min, _TYPES),
    "aten.clamp_max.default": (a.clamp_max, _TYPES),
    "aten.where.self": (a.where, _TYPES),
    "aten.masked_fill.Scalar": (a.masked_fill, "makes integers floats for an infinite value"),
    "aten.eq.Tensor": (a.comparison(op.equal), _TYPES),
    "aten.eq.Scalar": (a.comparison(op.equal), _TYPES),
    "aten.ne.Tensor": (a.comparison(differs), "is false for NaN"),
    "aten.ne.Scalar": (a.comparison(differs), "is false for NaN"),
    "aten.lt.Tensor": (a.comparison(op.less), _TYPES),
    "aten.lt.Scalar": (a.comparison(op.less), _TYPES),
    "aten.le.Tensor": (a.comparison(op.less_equal), _TYPES),
    "aten.le.Scalar": (a.comparison(op.less_equal), _TYPES),
    "aten.gt.Tensor": (a.comparison(op.greater), _TYPES),
    "aten.gt.Scalar": (a.comparison(op.greater), _TYPES),
    "aten.ge.Tensor": (a.comparison(op.greater_equal), _TYPES),
    "aten.ge.Scalar": (a.comparison(op.greater_equal), _TYPES),
    "aten.logical_and.default": (a.logical(op.logical_and), _INTEGERS),
    "aten.logical_or.default": (a.logical(op.logical_or), _INTEGERS),
    "aten.logical_xor.default": (a.logical(op.logical_xor), _INTEGERS),
    "aten.bitwise_and.Tensor": (a.bitwise(op.bitwise_and, op.logical_and), _TYPES),
    "aten.bitwise_and.Scalar": (a.bitwise(op.bitwise_and, op.logical_and), _TYPES),
    "aten.bitwise_or.Tensor": (a.bitwise(op.bitwise_or, op.logical_or), _TYPES),
    "aten.bitwise_or.Scalar": (a.bitwise(op.bitwise_or, op.logical_or), _TYPES),
    "aten.bitwise_xor.Tensor": (a.bitwise(op.bitwise_xor, op.logical_xor), _TYPES),
    "aten.bitwise_xor.Scalar": (a.bitwise(op.bitwise_xor, op.logical_xor), _TYPES),
    **{
        f"aten.{name}.{overload}": (a.binary(of), _ABSENT)
        for name, of in {
            "__lshift__": op.left_shift,
            "__rshift__": op.right_shift,
            "bitwise_left_shift": op.left_shift,
            "bitwise_right_shift": op.right_shift,
        }.items()
        for overload in ("Tensor", "Scalar", "Tensor_Scalar")
    },
    # functions
    "aten.abs.default": (f.absolute, _TYPES),
    "aten.neg.default": (f.negative, _TYPES),
    "aten.sign.default": (f.sign, _TYPES),
    "aten.relu.default": (f.exact(op.nn.relu), _TYPES),
    "aten.ceil.default": (f.rounding(op.ceil), _INTEGERS),
    "aten.floor.default": (f.rounding(op.floor), _INTEGERS),
    "aten.trunc.default": (f.rounding(op.trunc), _INTEGERS),
    "aten.round.default": (f.rounding(op.round), _INTEGERS),
    "aten.round.decimals": (f.function(f.round_decimals), _INTEGERS),
    "aten.logical_not.default": (f.logical_not, _INTEGERS),
    "aten.bitwise_not.default": (f.bitwise_not, "inverts the bits of a bool"),
    "aten.isnan.default": (f.test(op.isnan, False), _INTEGERS),
    "aten.isinf.default": (f.test(op.isinf, False), _INTEGERS),
    "aten.isfinite.default": (f.test(op.isfinite, True), _INTEGERS),
    **{
        f"aten.{name}.default": (f.function(getattr(op, name)), _INTEGERS)
        for name in [
            "acos",
            "acosh",
            "asin",
            "asinh",
            "atan",
            "atanh",
            "cos",
            "erf",
            "exp",
            "log",
            "rsqrt",
            "sigmoid",
            "sin",
            "sqrt",
            "tan",
            "tanh",
        ]
    },
    "aten.sinh.default": (f.function(formulas.sinh), "leaves it to an intrinsic that LLVM lacks"),
    "aten.cosh.default": (f.function(formulas.cosh), "leaves it to an intrinsic that LLVM lacks"),
    "aten.expm1.default": (f.function(formulas.expm1), "subtracts 1: no digit left near 0"),
    "aten.log1p.default": (f.function(formulas.log1p), "adds 1 to x: no digit left near 0"),
    "aten.exp2.default": (f.function(f.exp2), _ABSENT),
    "aten.erfc.default": (f.function(f.erfc), _ABSENT),
    "aten.log2.default": (f.function(f.log2), _INTEGERS),
    "aten.log10.default": (f.function(f.log10), _INTEGERS),
    "aten.reciprocal.default": (f.function(f.reciprocal), _INTEGERS),
    "aten.leaky_relu.default": (f.function(f.leaky_relu), _INTEGERS),
    "aten.rrelu.default": (f.rrelu, _ABSENT),
    "aten.rrelu_with_noise_functional.default": (f.rrelu_with_noise, _ABSENT),
    "aten.elu.default": (f.function(f.elu), "ignores scale and input_scale: SELU is 4.8 % off"),
    "aten.gelu.default": (f.function(f.gelu), _INTEGERS),
    "aten.softplus.default": (f.function(f.softplus), "takes the threshold for one of x"),
    "aten.silu.default": (f.function(op.nn.silu), _INTEGERS),
    "aten.hardtanh.default": (f.hardtanh, "ignores bounds that are keywords"),
    "aten.prelu.default": (f.prelu, "fails for one slope of many channels"),
    "aten._prelu_kernel.default": (f.prelu, _ABSENT),
    # reductions
    "aten.sum.default": (r.sum_all, _HALF),
    "aten.sum.dim_IntList": (r.sum_, f"{_HALF}, and integers in their own type"),
    "aten.mean.default": (r.mean_all, _HALF),
    "aten.mean.dim": (r.mean, _HALF),
    "aten.prod.default": (r.product_all, _HALF),
    "aten.prod.dim_int": (r.product, _ABSENT),
    "aten.amax.default": (r.extreme(op.max), _ABSENT),
    "aten.amin.default": (r.extreme(op.min), _ABSENT),
    "aten.max.default": (r.extreme(op.max), "has no bool"),
    "aten.min.default": (r.extreme(op.min), "has no bool"),
    "aten.max.dim": (r.extreme_with_index(True), "sorts, and gives any of equal maxima"),
    "aten.min.dim": (r.extreme_with_index(False), _ABSENT),
    "aten.argmax.default": (r.position(True), _TYPES),
    "aten.argmin.default": (r.position(False), _TYPES),
    "aten.any.default": (r.any_, _ABSENT),
    "aten.any.dim": (r.any_, "gives the largest element for what is not bool"),
    "aten.any.dims": (r.any_, "gives the largest element for what is not bool"),
    "aten.all.default": (r.all_, _ABSENT),
    "aten.all.dim": (r.all_, _ABSENT),
    "aten.var.correction": (r.variance, "takes a free size for a number"),
    "aten.var_mean.correction": (r.variance_and_mean, _ABSENT),
    "aten.linalg_vector_norm.default": (r.vector_norm, "raises to the power inf"),
    "aten._cdist_forward.default": (r.distances, _ABSENT),
    "aten._softmax.default": (r.softmax(op.nn.softmax), _HALF),
    "aten._log_softmax.default": (r.softmax(op.nn.log_softmax), _HALF),
    "aten.cumsum.default": (r.cumulative(op.cumsum), _HALF),
    "aten.cumprod.default": (r.cumulative(op.cumprod), _HALF),
    # networks
    "aten.convolution.default": (c.convolution, _FLOAT32),
    "aten.mm.default": (c.matrix_product, _FLOAT32),
    "aten.bmm.default": (c.matrix_product, _FLOAT32),
    "aten.addmm.default": (c.product_added, _FLOAT32),
    "aten.baddbmm.default": (c.product_added, _HALF),
    "aten.max_pool2d_with_indices.default": (p.max_pool(2), "gives zeros for the indices"),
    "aten.max_pool3d_with_indices.default": (p.max_pool(3), "gives zeros for the indices"),
    "aten.avg_pool1d.default": (p.average_pool(1), _CEIL),
    "aten.avg_pool2d.default": (p.average_pool(2), _CEIL),
    "aten.avg_pool3d.default": (p.average_pool(3), _CEIL),
    "aten._adaptive_avg_pool2d.default": (ad.adaptive_average_pool(2), _HALF),
    "aten._adaptive_avg_pool3d.default": (ad.adaptive_average_pool(3), _HALF),
    "aten.max_unpool2d.default": (p.max_unpool(2), _ABSENT),
    "aten.max_unpool3d.default": (p.max_unpool(3), _ABSENT),
    "aten.adaptive_max_pool2d.default": (ad.adaptive_max_pool(2), _ABSENT),
    "aten.adaptive_max_pool3d.default": (ad.adaptive_max_pool(3), _ABSENT),
    "aten._native_batch_norm_legit_no_training.default": (n.batch_norm, _HALF),
    "aten._native_batch_norm_legit.no_stats": (n.batch_norm_of_batch, _CANCELS),
    "aten.native_group_norm.default": (n.group_norm, _CANCELS),
    "aten.native_layer_norm.default": (n.layer_norm, _CANCELS),
    # layers that are not decomposed
    **{f"aten.conv{k}d.default": (y.convolution(k), _FLOAT32) for k in (1, 2, 3)},
    **{f"aten.conv{k}d.padding": (y.convolution(k), _ABSENT) for k in (1, 2, 3)},
    **{
        f"aten.conv_transpose{name}": (y.transposed_convolution(k), _FLOAT32)
        for k, name in ((1, "1d.default"), (2, "2d.input"), (3, "3d.input"))
    },
    "aten.linear.default": (y.linear, _FLOAT32),
    "aten.batch_norm.default": (y.batch_norm, "trains, or not, without looking"),
    "aten.group_norm.default": (y.group_norm, _CANCELS),
    "aten.layer_norm.default": (y.layer_norm, _CANCELS),
    **{f"aten.max_pool{k}d.default": (y.first(p.max_pool(k)), _CEIL) for k in (1, 2, 3)},
    **{
        f"aten.adaptive_avg_pool{k}d.default": (ad.adaptive_average_pool(k), _HALF)
        for k in (1, 2, 3)
    },
    "aten.softmax.int": (y.softmax(r.softmax(op.nn.softmax)), _HALF),
    "aten.log_softmax.int": (y.softmax(r.softmax(op.nn.log_softmax)), _HALF),
    "aten.dropout.default": (y.dropout, "drops nothing in training either"),
    "aten.relu6.default": (y.relu6, _INTEGERS),
    "aten.hardsigmoid.default": (f.function(y.hard_sigmoid), _INTEGERS),
    "aten.hardswish.default": (f.function(y.hard_swish), _INTEGERS),
    "aten.celu.default": (f.function(y.celu), "divides exp(x) by alpha, instead of x"),
    "aten.selu.default": (f.function(y.selu), _INTEGERS),
    # quantized
    **{
        f"quantized_decomposed.{kind}_per_tensor.{overload}": (convert, _ABSENT)
        for kind, convert in {
            "quantize": q.quantize_per_tensor,
            "dequantize": q.dequantize_per_tensor,
        }.items()
        for overload in ("default", "tensor", "tensor2")
    },
    "quantized_decomposed.quantize_per_channel.default": (q.quantize_per_channel, _ABSENT),
    "quantized_decomposed.dequantize_per_channel.default": (q.dequantize_per_channel, _ABSENT),
    # resampling
    **{f"aten.upsample_nearest{n}d.vec": (u.nearest(False), _STEP) for n in (1, 2, 3)},
    **{
        f"aten.upsample_nearest{n}d.default": (u.separate_scales(u.nearest(False), False), _STEP)
        for n in (1, 2, 3)
    },
    **{f"aten._upsample_nearest_exact{n}d.vec": (u.nearest(True), _ABSENT) for n in (1, 2, 3)},
    **{
        f"aten._upsample_nearest_exact{n}d.default": (
            u.separate_scales(u.nearest(True), False),
            _ABSENT,
        )
        for n in (1, 2, 3)
    },
    **{
        f"aten.{name}.{overload}": (convert, _STEP)
        for name, of in {
            "upsample_linear1d": u.interpolation("linear"),
            "upsample_bilinear2d": u.interpolation("linear"),
            "upsample_trilinear3d": u.interpolation("linear"),
            "upsample_bicubic2d": u.interpolation("cubic"),
            "_upsample_bilinear2d_aa": u.interpolation("linear", antialias=True),
            "_upsample_bicubic2d_aa": u.interpolation("cubic", antialias=True),
        }.items()
        for overload, convert in {"vec": of, "default": u.separate_scales(of, True)}.items()
    },
    "aten.grid_sampler_2d.default": (g.grid_sample, "takes the grid's height for its width"),
    "aten.grid_sampler_3d.default": (g.grid_sample, _ABSENT),
    # moving
    "aten.view.default": (m.view, _SIZES),
    "aten.reshape.default": (m.view, _SIZES),
    **{
        f"aten.{name}": (m.reshape, _SIZES)
        for name in ["flatten.using_ints", "unflatten.int", "squeeze.default"]
    },
    "aten.squeeze.dim": (m.reshape, "fails where the size is not 1"),
    "aten.squeeze.dims": (m.reshape, "fails where a size is not 1"),
    "aten.unsqueeze.default": (m.reshape, _SIZES),
    "aten.pixel_shuffle.default": (m.pixel_shuffle, "makes an operator that cannot be compiled"),
    "aten.pixel_unshuffle.default": (m.pixel_unshuffle, "divides free sizes by their own halves"),
    "aten.permute.default": (m.permute, _SIZES),
    "aten.transpose.int": (m.transpose, _SIZES),
    "aten.expand.default": (m.expand, _SIZES),
    "aten.repeat.default": (m.repeat, _SIZES),
    "aten.flip.default": (m.flip, _SIZES),
    "aten.roll.default": (m.roll, "needs fixed sizes"),
    "aten.slice.Tensor": (cut.slice_, _SIZES),
    "aten.select.int": (cut.select, "does not wrap a negative index"),
    "aten.split_with_sizes.default": (cut.split, _SIZES),
    "aten.split.Tensor": (cut.split, _SIZES),
    "aten.chunk.default": (cut.chunk, _SIZES),
    "aten.unbind.int": (cut.unbind, _SIZES),
    "aten.cat.default": (m.concatenate, _TYPES),
    "aten.stack.default": (m.stack, _TYPES),
    "aten.diagonal.default": (m.diagonal, _SIZES),
    "aten.unfold.default": (m.unfold_dimension, _ABSENT),
    "aten.as_strided.default": (m.as_strided, "refuses any offset and stride"),
    "aten.slice_scatter.default": (cut.slice_scatter, _SIZES),
    "aten.select_scatter.default": (cut.select_scatter, _ABSENT),
    "aten.pad.default": (pad.pad, "takes a negative width for none"),
    "aten.constant_pad_nd.default": (pad.pad_constant, "takes a negative width for none"),
    "aten.reflection_pad1d.default": (pad.pad_mode("reflect"), _ABSENT),
    "aten.reflection_pad2d.default": (pad.pad_mode("reflect"), _ABSENT),
    "aten.reflection_pad3d.default": (pad.pad_mode("reflect"), _ABSENT),
    "aten.replication_pad1d.default": (pad.pad_mode("replicate"), _ABSENT),
    "aten.replication_pad2d.default": (pad.pad_mode("replicate"), _ABSENT),
    "aten.replication_pad3d.default": (pad.pad_mode("replicate"), _ABSENT),
    "aten.copy.default": (m.copied, _TYPES),
    "aten.alias.default": (f.identity, _TYPES),
    "aten.clone.default": (f.identity, _TYPES),
    "aten.detach.default": (f.identity, _TYPES),
    "aten.lift_fresh_copy.default": (f.identity, _TYPES),
    "aten.contiguous.default": (f.identity, _TYPES),
    "aten.to.dtype": (f.identity, "casts to bool by the lowest bits"),
    "aten._to_copy.default": (f.identity, "casts to bool by the lowest bits"),
    # indices
    "aten.index.Tensor": (i.index, _NEGATIVE),
    "aten.index_select.default": (i.index_select, _NEGATIVE),
    "aten.embedding.default": (i.embedding, _NEGATIVE),
    "aten.gather.default": (i.gather, _NEGATIVE),
    "aten.scatter.src": (s.scatter("update"), _NEGATIVE),
    "aten.scatter.value": (s.scatter("update"), _NEGATIVE),
    "aten.scatter_add.default": (s.scatter("sum"), _ABSENT),
    "aten.scatter_reduce.two": (s.scatter_reduce, _ABSENT),
    "aten.index_put.default": (s.index_put, "adds to one place from several threads at once"),
    "aten.sort.default": (o.sort, _SIZES),
    "aten.sort.stable": (o.stable_sort, _ABSENT),
    "aten.topk.default": (o.topk, "gives equal elements in any order"),
    "aten.kthvalue.default": (o.kth_value, _ABSENT),
    "aten.median.dim": (o.median, _SIZES),
    "aten.median.default": (o.median_all, _SIZES),
    "aten.bucketize.Tensor": (o.bucketize, _TYPES),
    # creation
    "aten.full.default": (new.full, _SIZES),
    "aten.full_like.default": (new.full, _SIZES),
    "aten.fill.Scalar": (new.fill, _SIZES),
    "aten.scalar_tensor.default": (new.scalar_tensor, _SIZES),
    "aten.zeros.default": (new.zeros, _SIZES),
    "aten.zeros_like.default": (new.zeros, _SIZES),
    "aten.empty.memory_format": (new.zeros, _SIZES),
    "aten.ones.default": (new.ones, _SIZES),
    "aten.arange.start_step": (new.arange, _SIZES),
    "aten.tril.default": (new.triangle(False), _SIZES),
    "aten.triu.default": (new.triangle(True), _SIZES),
    # recurrent layers
    "aten.lstm.input": (rec.recurrent_layers("LSTM"), _ABSENT),
    "aten.gru.input": (rec.recurrent_layers("GRU"), _ABSENT),
    "aten.rnn_tanh.input": (rec.recurrent_layers("RNN", "tanh"), _ABSENT),
    "aten.rnn_relu.input": (rec.recurrent_layers("RNN", "relu"), _ABSENT),
}
