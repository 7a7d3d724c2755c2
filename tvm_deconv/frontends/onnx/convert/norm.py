"""Normalizations."""

from __future__ import annotations

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, normal_axis, shape_of


def batch_normalization(call: Call) -> relax.Expr:
    """Inference only, in TVM's converter."""
    if call.get("training_mode", 0):
        refuse("training_mode is 1: export the model for inference")
    if not call.get("spatial", 1):
        refuse("spatial is 0: statistics for each pixel are not computed")
    extra = [name for name in call.node.output[1:] if name]
    if extra:
        refuse(f"its output {extra[0]!r} is for training: export the model for inference")
    x = call.tensor(0)
    channels = shape_of(x)[1]
    for index in range(1, 5):
        shape = shape_of(call.tensor(index))
        if isinstance(channels, int) and shape != [channels]:
            refuse(f"input {index} has the shape {shape}, not [{channels}]")
    converter = onnx_frontend.BatchNormalization
    result = converter._impl_v15(call.builder, list(call.inputs), dict(call.attributes), [{}, {}])
    return result[0] if isinstance(result, relax.Tuple) else relax.TupleGetItem(result, 0)


def layer_normalization(call: Call) -> relax.Expr:
    """With mean and inverse deviation where they are asked for; scale and bias broadcast."""
    x, scale, bias = call.tensor(0), call.tensor(1), call.input(2)
    rank, epsilon = len(shape_of(x)), call.get("epsilon", 1e-5)
    if call.get("stash_type", 1) != 1:
        refuse(f"stash_type is {call.get('stash_type', 1)}: statistics are computed in float32")
    axes = list(range(normal_axis(call.get("axis", -1), rank), rank))
    normal = shape_of(x)[axes[0] :]
    asked = [name for name in call.node.output[1:] if name]
    plain = all(shape_of(t) == normal for t in (scale, bias) if t is not None)
    double = dtype_of(x) == "float64"  # computed as such by ONNX Runtime, and not by TVM's operator
    if plain and not asked and not double and all(isinstance(size, int) for size in normal):
        zeros = relax.op.zeros_like(scale) if bias is None else bias
        return relax.op.nn.layer_norm(x, scale, call.emit(zeros), axes, epsilon)
    wide = x if double or dtype_of(x) == "float32" else call.emit(relax.op.astype(x, "float32"))
    mean, centred, variance = _moments(call, wide, axes)
    inverse = call.emit(relax.op.rsqrt(relax.op.add(variance, call.number(epsilon, wide))))
    y = call.emit(relax.op.astype(relax.op.multiply(centred, inverse), dtype_of(x)))
    y = call.emit(relax.op.multiply(y, scale))
    y = y if bias is None else call.emit(relax.op.add(y, bias))
    return relax.Tuple([y, mean, inverse])


def rms_normalization(call: Call) -> relax.Expr:
    """x divided by the root of its mean square over the axes from ``axis`` on, times scale."""
    x, scale = call.tensor(0), call.tensor(1)
    if call.get("stash_type", 1) != 1:
        refuse(f"stash_type is {call.get('stash_type', 1)}: statistics are computed in float32")
    rank, dtype = len(shape_of(x)), dtype_of(x)
    axes = list(range(normal_axis(call.get("axis", -1), rank), rank))
    wide = x if dtype in ("float32", "float64") else call.emit(relax.op.astype(x, "float32"))
    squares = call.emit(relax.op.multiply(wide, wide))
    mean = call.emit(relax.op.mean(squares, axes, keepdims=True))
    inverse = relax.op.rsqrt(relax.op.add(mean, call.number(call.get("epsilon", 1e-5), wide)))
    y = call.emit(relax.op.multiply(wide, call.emit(inverse)))
    return relax.op.multiply(call.emit(relax.op.astype(y, dtype)), scale)


def lp_normalization(call: Call) -> relax.Expr:
    """x divided by its norm along an axis; 0 where that is 0, as in ONNX Runtime."""
    x, p = call.tensor(0), call.get("p", 2)
    axis = normal_axis(call.get("axis", -1), len(shape_of(x)))
    if p not in (1, 2):
        refuse(f"p is {p}: computed are norms of 1 and 2")
    size = relax.op.abs(x) if p == 1 else relax.op.multiply(x, x)
    norm = call.emit(relax.op.sum(size, [axis], keepdims=True))
    norm = norm if p == 1 else call.emit(relax.op.sqrt(norm))
    zero = call.number(0, x)
    return relax.op.where(relax.op.equal(norm, zero), zero, relax.op.divide(x, norm))


def instance_normalization(call: Call, x: relax.Expr) -> relax.Expr:
    """Statistics of each channel of each image; scale and bias in the type of ``x``."""
    rank, channels = len(shape_of(x)), shape_of(x)[1]
    axes = list(range(2, rank))
    factors: list[relax.Expr | None] = []
    for index, what, neutral in ((1, "scale", 1.0), (2, "bias", 0.0)):
        value = call.tensor(index)
        if shape_of(value) != [channels] and isinstance(channels, int):
            refuse(f"its {what} has the shape {shape_of(value)}, not [{channels}]")
        if isinstance(value, tvm.ir.GenericConst) and np.all(value.value.numpy() == neutral):
            # As PyTorch writes group normalisations: the result goes on to a reshape.
            factors.append(None)
            continue
        if dtype_of(value) != dtype_of(x):
            value = call.emit(relax.op.astype(value, dtype_of(x)))
        factors.append(call.emit(relax.op.expand_dims(value, [a - 1 for a in axes])))
    _, centred, variance = _moments(call, x, axes)
    deviation = relax.op.sqrt(relax.op.add(variance, call.number(call.get("epsilon", 1e-5), x)))
    y = call.emit(relax.op.divide(centred, call.emit(deviation)))
    scale, bias = factors
    y = y if scale is None else call.emit(relax.op.multiply(y, scale))
    return y if bias is None else relax.op.add(y, bias)


def mean_variance_normalization(call: Call, x: relax.Expr) -> relax.Expr:
    """(x - mean) / (deviation + 1e-9)."""
    rank = len(shape_of(x))
    axes = [normal_axis(axis, rank, "axes:") for axis in call.get("axes", [0, 2, 3])]
    _, centred, variance = _moments(call, x, axes)
    deviation = relax.op.add(relax.op.sqrt(variance), call.number(1e-9, x))
    return relax.op.divide(centred, call.emit(deviation))


def _moments(
    call: Call, x: relax.Expr, axes: list[int]
) -> tuple[relax.Expr, relax.Expr, relax.Expr]:
    """The mean along ``axes``, which stay with size 1; ``x`` less that; and its variance."""
    mean = call.emit(relax.op.mean(x, axes, keepdims=True))
    centred = call.emit(relax.op.subtract(x, mean))
    squares = relax.op.multiply(centred, centred)
    return mean, centred, call.emit(relax.op.mean(squares, axes, keepdims=True))


def group_normalization(call: Call) -> relax.Expr:
    """Scale and bias for each group at opset 18, for each channel since 21.

    Statistics are float32, but of float64 before opset 21, as ONNX Runtime computes them. (TVM's
    operator takes the variance for the mean square less the square of the mean, which cancels.)
    """
    x, scale, bias = (call.tensor(i) for i in range(3))
    shape, groups = shape_of(x), call.get("num_groups", 0)
    if call.get("stash_type", 1) != 1:
        refuse(f"stash_type is {call.get('stash_type', 1)}: statistics are computed in float32")
    channels = shape[1]
    if not isinstance(channels, int):
        refuse("the number of its channels is free: give the shapes of the inputs")
    if groups < 1 or channels % groups:
        refuse(f"num_groups {groups} does not divide its {channels} channels")
    expected = groups if call.opset < 21 else channels
    for what, value in (("scale", scale), ("bias", bias)):
        if shape_of(value) != [expected]:
            refuse(f"its {what} has the shape {shape_of(value)}, not [{expected}]")
    if expected != channels:
        scale, bias = (
            call.emit(relax.op.repeat(value, channels // groups, 0)) for value in (scale, bias)
        )
    dtype = dtype_of(x)
    within = dtype if dtype == "float64" and call.opset < 21 else "float32"
    wide = x if dtype == within else call.emit(relax.op.astype(x, within))
    # Images, groups, channels of a group, and what is left.
    grouped = [shape[0], groups, channels // groups, *shape[2:]]
    wide = call.emit(relax.op.reshape(wide, grouped))
    _, centred, variance = _moments(call, wide, list(range(2, len(grouped))))
    deviation = relax.op.sqrt(relax.op.add(variance, call.number(call.get("epsilon", 1e-5), wide)))
    y = call.emit(relax.op.divide(centred, call.emit(deviation)))
    y = call.emit(relax.op.reshape(y, shape))
    factors = [
        call.emit(relax.op.expand_dims(value, [a - 1 for a in range(2, len(shape))]))
        for value in (scale, bias)
    ]
    y = y if dtype == within else call.emit(relax.op.astype(y, dtype))
    return relax.op.add(call.emit(relax.op.multiply(y, factors[0])), factors[1])
