"""AVERAGE_POOL_2D, MAX_POOL_2D and L2_POOL_2D."""

from __future__ import annotations

from typing import Any

import numpy as np

from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call
from .conv import window_of


def average_pool_2d(call: Call) -> None:
    """Over the samples that are there, not the padding."""
    mean = _mean(call, call.in_single(call.form(0, NCHW)))
    call.result(call.rounded(mean), NCHW)


def max_pool_2d(call: Call) -> None:
    x, window = call.form(0, NCHW), _window(call)
    if _is_padded_apart(window):
        x, window = _padded(call, x, window, _lowest(call))
    call.result(call.emit("MaxPool", x, **window), NCHW)


def l2_pool_2d(call: Call) -> None:
    x = call.form(0, NCHW)
    call.result(call.emit("Sqrt", _mean(call, call.emit("Mul", x, x))), NCHW)


def _mean(call: Call, x: str) -> str:
    window = _window(call)
    if not _is_padded_apart(window):
        return call.emit("AveragePool", x, **window)
    wide, inner = _padded(call, x, window, np.float32(0))
    shape = call.emit("Concat", call.constant([1, 1], np.int64), _sizes(call, x), axis=0)
    ones = call.emit("Expand", call.constant(np.float32(1)), shape)
    share, _ = _padded(call, ones, window, np.float32(0))
    means = (call.emit("AveragePool", y, **inner) for y in (wide, share))
    return call.emit("Div", *means)


def _window(call: Call) -> dict[str, Any]:
    kernel = call.positive("FilterHeight", "FilterWidth")
    return window_of(call, kernel, call.positive("StrideH", "StrideW"), (1, 1))


def _is_padded_apart(window: dict[str, Any]) -> bool:
    """Whether SAME of free sizes has strides over the window.

    Where they leave samples over, TFLite pads nothing, while ONNX's formula crops on both sides.
    """
    pairs = zip(window["kernel_shape"], window["strides"], strict=True)
    return "auto_pad" in window and any(kernel < stride for kernel, stride in pairs)


def _lowest(call: Call) -> np.generic:
    """What is below all elements of input 0, or equal to the lowest."""
    dtype = np.dtype(call.dtype(0))
    return dtype.type(-np.inf if dtype.kind == "f" else np.iinfo(dtype).min)


def _padded(
    call: Call, x: str, window: dict[str, Any], value: np.generic
) -> tuple[str, dict[str, Any]]:
    """``x`` in NCHW padded as SAME asks, and the window without."""
    kernel, stride = (call.constant(window[key], np.int64) for key in ("kernel_shape", "strides"))
    zero, one, two = (call.constant([n], np.int64) for n in (0, 1, 2))
    sizes = _sizes(call, x)
    below = call.emit("Div", call.emit("Sub", sizes, one), stride)
    reach = call.emit("Add", call.emit("Mul", below, stride), kernel)
    total = call.emit("Max", call.emit("Sub", reach, sizes), zero)
    begin = call.emit("Div", total, two)
    nothing = call.constant([0, 0], np.int64)
    pads = call.emit("Concat", nothing, begin, nothing, call.emit("Sub", total, begin), axis=0)
    plain = {key: window[key] for key in ("kernel_shape", "strides")}
    return call.emit("Pad", x, pads, call.constant(value)), plain


def _sizes(call: Call, x: str) -> str:
    """Height and width of ``x`` in NCHW."""
    return call.emit("Gather", call.emit("Shape", x), call.constant([2, 3], np.int64), axis=0)
