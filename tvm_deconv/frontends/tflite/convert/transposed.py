"""Transposed convolutions: TRANSPOSE_CONV, CONV_3D_TRANSPOSE, MediaPipe's with a bias."""

from __future__ import annotations

import struct
from typing import Any

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW, Order

from .call import Call
from .conv import (
    LAST_FIRST,
    NCDHW,
    REVERSED_FIRST,
    SAME,
    bias_of,
    padding_of,
    same_pads,
    shape_of_weights,
    weights_of,
)

_INT64 = 7  # TensorProto.INT64


def transpose_conv(call: Call) -> None:
    """The output's shape is input 0, the image input 2; weights OHWI."""
    shape, strides = shape_of_weights(call), call.positive("StrideH", "StrideW")
    crops = _crops(call, shape[1:3], strides)
    y = _transposed(call, 2, shape, strides, crops, 3)
    call.result(_of_wanted_sizes(call, y, NCHW), NCHW)


def conv_3d_transpose(call: Call) -> None:
    """The output's shape is input 0, the volume input 2; weights DHWOI."""
    shape, channels = shape_of_weights(call, 5), call.image(2, axes=3)[-1]
    if shape[4] != channels:
        refuse(f"its weights are for {shape[4]} channels, its input has {channels}")
    strides = call.positive("StrideD", "StrideH", "StrideW")
    dilations = call.positive("DilationDFactor", "DilationHFactor", "DilationWFactor")
    extents = [(k - 1) * d + 1 for k, d in zip(shape[:3], dilations, strict=True)]
    window = _transposed_window(shape[:3], strides, _crops(call, extents, strides))
    if set(dilations) != {1}:
        window["dilations"] = dilations
    operands = [call.form(2, NCDHW), weights_of(call, REVERSED_FIRST)]
    operands += bias_of(call, 3, shape[3], 2)
    y = call.emit("ConvTranspose", *operands, **window)
    call.result(_of_wanted_sizes(call, y, NCDHW), NCDHW)


def _crops(call: Call, kernels: list[int], strides: tuple[int, ...]) -> list[tuple[int, int]]:
    """What a transposed convolution of input 2 crops of each axis, to the sizes at input 0.

    The output has size * stride + more samples along an axis, of which LiteRT takes those that a
    convolution of the same window brings back to ``size``.
    """
    is_same = padding_of(call) == SAME
    sizes = call.image(2, axes=len(kernels))[1:-1]
    crops = []
    for size, want, kernel, stride in zip(
        sizes, _wanted_sizes(call, len(kernels)), kernels, strides, strict=True
    ):
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
    return crops


def _of_wanted_sizes(call: Call, y: str, order: Order) -> str:
    """``y``, which has its axes in ``order``; where sizes are free, input 0 is asked for them."""
    axes = len(order) - 2
    if None not in (*call.image(2, axes)[1:-1], *_wanted_sizes(call, axes)):
        return y
    sizes, places = call.emit("Cast", call.form(0), to=_INT64), call.constant(np.array(order))
    return call.emit("Reshape", y, call.emit("Gather", sizes, places, axis=0))


def _wanted_sizes(call: Call, axes: int) -> list[int | None]:
    """Of the image that input 0 asks for; None where computed from free sizes."""
    value = call.graph.value(call.input(0))
    if value is not None:
        if value.shape != (axes + 2,) or (value < 1).any():
            refuse(f"its output shape is {value.tolist()}: give {axes + 2} positive numbers")
        return [int(size) for size in value[1:-1]]
    partial = call.graph.facts.partial.get(call.form(0))
    if partial is None or partial.values.shape != (axes + 2,):
        refuse("its output shape is computed from data")
    return [
        int(size) if known else None
        for size, known in zip(partial.values[1:-1], partial.known[1:-1], strict=True)
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
    operands = [call.form(image, NCHW), weights_of(call, LAST_FIRST)]
    operands += bias_of(call, bias, shape[0], image)
    return call.emit("ConvTranspose", *operands, **_transposed_window(shape[1:3], strides, crops))


def _transposed_window(
    kernel: list[int], strides: tuple[int, ...], crops: list[tuple[int, int]]
) -> dict[str, Any]:
    window: dict[str, Any] = {
        "kernel_shape": kernel,
        "strides": strides,
        "pads": [begin for begin, _ in crops] + [max(end, 0) for _, end in crops],
    }
    if any(end < 0 for _, end in crops):
        window["output_padding"] = [max(-end, 0) for _, end in crops]
    return window


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
    shape, crops = shape_of_weights(call), []
    for size, kernel, stride in zip(call.image()[1:3], shape[1:3], strides, strict=True):
        total = 0
        if is_same:
            if size is None and stride > 1:
                refuse("its crop depends on free sizes: give the shapes of the inputs")
            total = transpose_conv_bias_crop(size or 1, kernel, stride)
        crops.append((total // 2, total - total // 2))
    call.result(_transposed(call, 0, shape, strides, crops, 2), NCHW, activation=0)
