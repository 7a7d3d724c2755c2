"""Convolutions and products of matrices: CONV_2D, TRANSPOSE_CONV, FULLY_CONNECTED, ...

Sizes that SAME asks for, per axis of n samples, kernel k, dilation d, stride s (TFLite's
``padding.h``)::

    convolution:  total = max((ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
    transposed:   the same of the *output's* n, cropped instead of padded

and begin = total // 2, so that an odd sample is at the end.
"""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call

SAME, VALID = 0, 1
# What brings OHWI to IOHW, and 1HWO to O1HW. NCHW is what brings OHWI to OIHW.
_LAST_FIRST = (3, 0, 1, 2)
_PADDINGS = {SAME: "SAME", VALID: "VALID"}


def _padding(call: Call) -> int:
    padding = int(call.option("Padding"))
    if padding not in _PADDINGS:
        refuse(f"Padding is {padding}, neither SAME nor VALID")
    return padding


def same_pads(size: int, extent: int, stride: int) -> tuple[int, int]:
    """What SAME pads before and behind an axis."""
    total = max((-(-size // stride) - 1) * stride + extent - size, 0)
    return total // 2, total - total // 2


def window_of(
    call: Call, kernel: tuple[int, ...], strides: tuple[int, ...], dilations: tuple[int, ...]
) -> dict[str, Any]:
    """The window of a convolution or pool over the image at input 0, in ONNX's attributes."""
    window: dict[str, Any] = {"kernel_shape": kernel, "strides": strides}
    if dilations != (1, 1):
        window["dilations"] = dilations
    if _padding(call) == VALID:
        return window
    if kernel == (1, 1):
        # Nothing is padded, also where a stride leaves samples over: ONNX does not say what then.
        return window
    sizes = call.image()[1:3]
    if None in sizes:
        return {**window, "auto_pad": "SAME_UPPER"}
    pads = [
        same_pads(size or 0, (k - 1) * d + 1, s)
        for size, k, d, s in zip(sizes, kernel, dilations, strides, strict=True)
    ]
    return {**window, "pads": [begin for begin, _ in pads] + [end for _, end in pads]}


def _shape_of_weights(call: Call, index: int) -> list[int]:
    """Of four sizes, none of them 0."""
    shape = list(call.array(index, "weights").shape)
    if len(shape) != 4 or 0 in shape:
        refuse(f"its weights have the shape {shape}, not 4 sizes")
    return shape


def _weights(call: Call, index: int, order: tuple[int, ...]) -> str:
    """The weights with their axes in ``order``, integers as such."""
    stored, quantization = call.graph.value(call.input(index)), call.quantization(index)
    if stored is None or quantization is None or stored.dtype not in (np.int8, np.uint8):
        return call.constant(call.array(index, "weights").transpose(order))
    moved = np.asarray(stored.transpose(order), order="C")
    scales, zeros = np.array(quantization.scales), np.array(quantization.zero_points)
    axis = order.index(quantization.axis) if not quantization.is_single else 0
    return call.graph.meant(moved, scales, zeros, axis, f"{call.label}:weights")


def _bias(call: Call, index: int, channels: int, data: int = 0) -> list[str]:
    """The bias, one of integers by the scales of the sum that it is added to.

    ``data`` is the input of the layer, whose weights are input 1.
    """
    if not call.has(index):
        return []
    bias = call.array(index, "biases")
    if bias.shape != (channels,):
        refuse(f"its bias has the shape {list(bias.shape)}, not [{channels}]")
    stored = call.graph.value(call.input(index))
    if stored is None or stored.dtype.kind != "i":
        return [call.constant(bias)]
    of_data, of_weights = call.quantization(data), call.quantization(1)
    if of_data is None or of_weights is None:
        refuse(f"its bias is {stored.dtype}, its input or its weights have no scale")
    units = np.float32(of_data.scales[0]) * np.array(of_weights.scales, np.float32)
    if stored.dtype != np.int32:
        return [call.constant(stored.astype(np.float32) * units)]
    return [call.graph.meant(stored, units, None, 0, f"{call.label}:bias")]


def conv_2d(call: Call) -> None:
    """Weights OHWI; fewer input channels there than the image has are groups."""
    shape, channels = _shape_of_weights(call, 1), call.image()[3] or 0
    inputs = shape[3]
    if channels % inputs or shape[0] % max(channels // inputs, 1):
        refuse(f"its weights are for {inputs} channels, its input has {channels}")
    _convolve(call, shape, NCHW, channels // inputs)


def depthwise_conv_2d(call: Call) -> None:
    """Weights 1HW(C*m): output channel c*m + i reads input channel c."""
    shape, channels = _shape_of_weights(call, 1), call.image()[3] or 0
    if shape[0] != 1 or shape[3] % channels:
        refuse(f"its weights {shape} do not fit an input of {channels} channels")
    _convolve(call, shape, _LAST_FIRST, channels)


def _convolve(call: Call, shape: list[int], order: tuple[int, ...], groups: int) -> None:
    """By weights of ``shape``, whose axes in ``order`` are OIHW."""
    strides = call.positive("StrideH", "StrideW")
    dilations = call.positive("DilationHFactor", "DilationWFactor")
    window = window_of(call, (shape[1], shape[2]), strides, dilations)
    operands = [call.form(0, NCHW), _weights(call, 1, order), *_bias(call, 2, shape[order[0]])]
    call.result(call.emit("Conv", *operands, group=groups, **window), NCHW)


def transpose_conv(call: Call) -> None:
    """The output's shape is input 0, the image input 2; weights OHWI.

    The output has size * stride + more samples along an axis, of which LiteRT takes those that a
    convolution of the same window brings back to ``size``.
    """
    shape, strides = _shape_of_weights(call, 1), call.positive("StrideH", "StrideW")
    is_same = _padding(call) == SAME
    sizes = call.image(2)[1:3]
    wanted = _wanted_sizes(call)
    crops = []
    for size, want, kernel, stride in zip(sizes, wanted, shape[1:3], strides, strict=True):
        if size is None or want is None:
            # What converters ask for. The reshape below says so if it is not.
            more = 0 if is_same else max(kernel - stride, 0)
        else:
            more = want - size * stride
            back = -(-want // stride) if is_same else (want - kernel) // stride + 1
            if back != size:
                refuse(
                    f"its output shape has {want} samples along an axis, which the {size} of its "
                    "input do not give"
                )
        begin = same_pads(stride + more, kernel, stride)[0] if is_same else 0
        crops.append((begin, kernel - stride - begin - more))
    y = _transposed(call, 2, shape, strides, crops, 3)
    if None in sizes or None in wanted:
        sizes_wanted = call.emit("Cast", call.form(0), to=_INT64)
        order = call.constant(np.array(NCHW))
        y = call.emit("Reshape", y, call.emit("Gather", sizes_wanted, order, axis=0))
    call.result(y, NCHW)


_INT64 = 7  # TensorProto.INT64


def _wanted_sizes(call: Call) -> list[int | None]:
    """Height and width that input 0 asks for; None where computed from free sizes."""
    value = call.graph.value(call.input(0))
    if value is not None:
        if value.shape != (4,) or (value < 1).any():
            refuse(f"its output shape is {value.tolist()}: give 4 positive numbers")
        return [int(size) for size in value[1:3]]
    partial = call.graph.facts.partial.get(call.form(0))
    if partial is None or partial.values.shape != (4,):
        refuse("its output shape is computed from data")
    return [
        int(size) if known else None
        for size, known in zip(partial.values[1:3], partial.known[1:3], strict=True)
    ]


def _transposed(
    call: Call,
    image: int,
    shape: list[int],
    strides: tuple[int, ...],
    crops: list[tuple[int, int]],
    bias: int,
) -> str:
    """A transposed convolution cropped along H and W; negative crops append samples."""
    channels = call.image(image)[3]
    if shape[3] != channels:
        refuse(f"its weights are for {shape[3]} channels, its input has {channels}")
    window: dict[str, Any] = {
        "kernel_shape": shape[1:3],
        "strides": strides,
        "pads": [begin for begin, _ in crops] + [max(end, 0) for _, end in crops],
    }
    if any(end < 0 for _, end in crops):
        window["output_padding"] = [max(-end, 0) for _, end in crops]
    operands = [call.form(image, NCHW), _weights(call, 1, _LAST_FIRST)]
    return call.emit("ConvTranspose", *operands, *_bias(call, bias, shape[0], image), **window)


def transpose_conv_bias_options(custom: bytes) -> tuple[bool, tuple[int, int]]:
    """Whether Convolution2DTransposeBias pads as SAME, not VALID, and its strides (H, W).

    The bytes are three int32: padding (1 SAME, 2 VALID), stride along W, along H. Raises ModelError
    for others.
    """
    if len(custom) < 12:
        refuse(f"has {len(custom)} bytes of options, 12 are needed")
    padding, *across = struct.unpack("<3i", custom[:12])
    strides = (across[1], across[0])
    if padding not in (1, 2) or min(strides) < 1:
        refuse(
            f"its options are padding {padding} and strides {list(strides)}: neither SAME nor "
            "VALID, or not positive"
        )
    return padding == 1, strides


def transpose_conv_bias_crop(size: int, kernel: int, stride: int) -> int:
    """Samples that its SAME crops of an axis whose input has ``size`` samples."""
    return max(kernel - (size - 1) % stride - 1, 0)


def transpose_conv_bias(call: Call) -> None:
    """MediaPipe's Convolution2DTransposeBias: image, weights OHWI, bias."""
    is_same, strides = transpose_conv_bias_options(call.operator.custom)
    shape, crops = _shape_of_weights(call, 1), []
    for size, kernel, stride in zip(call.image()[1:3], shape[1:3], strides, strict=True):
        total = 0
        if is_same:
            if size is None and stride > 1:
                refuse("its crop depends on free sizes: give the shapes of the inputs")
            total = transpose_conv_bias_crop(size or 1, kernel, stride)
        crops.append((total // 2, total - total // 2))
    call.result(_transposed(call, 0, shape, strides, crops, 2), NCHW, activation=0)


def fully_connected(call: Call) -> None:
    """x W^T + b over the last axis; without KeepNumDims all others are one."""
    if call.option("WeightsFormat", 0):
        refuse(f"WeightsFormat is {call.option('WeightsFormat')}: only plain weights are computed")
    weights = call.array(1, "weights")
    if weights.ndim != 2:
        refuse(f"its weights have the shape {list(weights.shape)}, not 2 sizes")
    x, shape = call.form(0), call.shape(0)
    keeps = bool(call.option("KeepNumDims", False)) or (
        len(shape) == 2 and shape[1] == weights.shape[1]
    )
    if not keeps:
        x = call.emit("Reshape", x, call.constant(np.array([-1, weights.shape[1]])))
    y = call.emit("MatMul", x, _weights(call, 1, (1, 0)))
    bias = _bias(call, 2, len(weights))
    call.result(call.emit("Add", y, *bias) if bias else y)


def batch_mat_mul(call: Call) -> None:
    operands = []
    for index, name in ((0, "AdjX"), (1, "AdjY")):
        order = list(range(call.rank(index)))
        if len(order) < 2:
            refuse(f"its input {index} has {len(order)} axes, at least 2 are needed")
        if call.option(name, False):
            order[-2:] = order[:-3:-1]
        operands.append(call.form(index, tuple(order)))
    call.result(call.emit("MatMul", *operands))
