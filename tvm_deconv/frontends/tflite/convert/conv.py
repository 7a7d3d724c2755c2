"""Convolutions and products of matrices: CONV_2D, CONV_3D, FULLY_CONNECTED, ...

Sizes that SAME asks for, per axis of n samples, kernel k, dilation d, stride s (TFLite's
``padding.h``)::

    convolution:  total = max((ceil(n / s) - 1) * s + (k - 1) * d + 1 - n, 0)
    transposed:   the same of the *output's* n, cropped instead of padded

and begin = total // 2, so that an odd sample is at the end.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW, Order

from .call import Call

SAME, VALID = 0, 1
# What brings OHWI to IOHW, and 1HWO to O1HW. NCHW is what brings OHWI to OIHW.
LAST_FIRST = (3, 0, 1, 2)
NCDHW: Order = (0, 4, 1, 2, 3)
# What brings DHWIO to OIDHW.
REVERSED_FIRST = (4, 3, 0, 1, 2)
_PADDINGS = {SAME: "SAME", VALID: "VALID"}


def padding_of(call: Call) -> int:
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
    if set(dilations) != {1}:
        window["dilations"] = dilations
    if padding_of(call) == VALID:
        return window
    if set(kernel) == {1}:
        # Nothing is padded, also where a stride leaves samples over: ONNX does not say what then.
        return window
    sizes = call.image(axes=len(kernel))[1:-1]
    if None in sizes:
        return {**window, "auto_pad": "SAME_UPPER"}
    pads = [
        same_pads(size or 0, (k - 1) * d + 1, s)
        for size, k, d, s in zip(sizes, kernel, dilations, strides, strict=True)
    ]
    return {**window, "pads": [begin for begin, _ in pads] + [end for _, end in pads]}


def shape_of_weights(call: Call, rank: int = 4) -> list[int]:
    """That of input 1: ``rank`` sizes, none of them 0."""
    shape = list(call.array(1, "weights").shape)
    if len(shape) != rank or 0 in shape:
        refuse(f"its weights have the shape {shape}, not {rank} sizes")
    return shape


def weights_of(call: Call, order: tuple[int, ...]) -> str:
    """Input 1 with its axes in ``order``, integers as such."""
    stored, quantization = call.graph.value(call.input(1)), call.quantization(1)
    if stored is None or quantization is None or stored.dtype not in (np.int8, np.uint8):
        return call.constant(call.array(1, "weights").transpose(order))
    moved = np.asarray(stored.transpose(order), order="C")
    scales, zeros = np.array(quantization.scales), np.array(quantization.zero_points)
    axis = order.index(quantization.axis) if not quantization.is_single else 0
    return call.graph.meant(moved, scales, zeros, axis, f"{call.label}:weights")


def bias_of(call: Call, index: int, channels: int, data: int = 0) -> list[str]:
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
    shape, channels = shape_of_weights(call), call.image()[3] or 0
    inputs = shape[3]
    if channels % inputs or shape[0] % max(channels // inputs, 1):
        refuse(f"its weights are for {inputs} channels, its input has {channels}")
    _convolve(call, shape, NCHW, channels // inputs)


def depthwise_conv_2d(call: Call) -> None:
    """Weights 1HW(C*m): output channel c*m + i reads input channel c."""
    shape, channels = shape_of_weights(call), call.image()[3] or 0
    if shape[0] != 1 or shape[3] % channels:
        refuse(f"its weights {shape} do not fit an input of {channels} channels")
    _convolve(call, shape, LAST_FIRST, channels)


def _convolve(call: Call, shape: list[int], order: tuple[int, ...], groups: int) -> None:
    """By weights of ``shape``, whose axes in ``order`` are OIHW."""
    strides = call.positive("StrideH", "StrideW")
    dilations = call.positive("DilationHFactor", "DilationWFactor")
    window = window_of(call, (shape[1], shape[2]), strides, dilations)
    operands = [call.form(0, NCHW), weights_of(call, order), *bias_of(call, 2, shape[order[0]])]
    call.result(call.emit("Conv", *operands, group=groups, **window), NCHW)


def conv_3d(call: Call) -> None:
    """Weights DHWIO."""
    shape, channels = shape_of_weights(call, 5), call.image(axes=3)[-1]
    if shape[3] != channels:
        refuse(f"its weights are for {shape[3]} channels, its input has {channels}")
    strides = call.positive("StrideD", "StrideH", "StrideW")
    dilations = call.positive("DilationDFactor", "DilationHFactor", "DilationWFactor")
    window = window_of(call, tuple(shape[:3]), strides, dilations)
    operands = [
        call.form(0, NCDHW),
        weights_of(call, REVERSED_FIRST),
        *bias_of(call, 2, shape[4]),
    ]
    call.result(call.emit("Conv", *operands, **window), NCDHW)


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
    y = call.emit("MatMul", x, weights_of(call, (1, 0)))
    bias = bias_of(call, 2, len(weights))
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
