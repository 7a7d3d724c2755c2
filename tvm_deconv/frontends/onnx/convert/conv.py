"""Conv and ConvTranspose of one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

from tvm import relax, topi
from tvm.relax.expr import _update_type

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.onnx.windows import Window, output_padding, read_window

from .call import Call, dtype_of, shape_of

_CONVOLUTIONS: dict[int, tuple[Callable[..., relax.Expr], Callable[..., relax.Expr], str]] = {
    1: (relax.op.nn.conv1d, relax.op.nn.conv1d_transpose, "W"),
    2: (relax.op.nn.conv2d, relax.op.nn.conv2d_transpose, "HW"),
    3: (relax.op.nn.conv3d, relax.op.nn.conv3d_transpose, "DHW"),
}


def conv(call: Call) -> relax.Expr:
    x, weight = call.tensor(0), call.tensor(1)
    sizes, kernel = _sizes(call, x, weight)
    operator, _, axes = _CONVOLUTIONS[len(sizes)]
    window = read_window(call.attributes, len(sizes), kernel)
    groups = _groups(call, x, weight, 1)
    begin, end = list(window.begin), list(window.end)
    if window.is_same:
        begin, end = window.same_padding(sizes)
    if not all(isinstance(width, int) for width in (*begin, *end)):
        x = padded(call, x, begin, end, 0.0)
        begin = end = [0] * len(sizes)
    options = {
        "strides": tuple(window.strides),
        "padding": (*begin, *end),
        "dilation": tuple(window.dilations),
        "groups": groups,
        "data_layout": f"NC{axes}",
        "kernel_layout": f"OI{axes}",
    }
    y = operator(x, weight, **options)
    shapes = tuple(shape_of(x)), tuple(shape_of(weight))
    if all(isinstance(size, int) for shape in shapes for size in shape):
        known = _type_of(operator, *shapes, dtype_of(x), dtype_of(weight), tuple(options.items()))
        _update_type(y, known)
    return _with_bias(call, y, len(sizes), shape_of(weight)[0])


# A network has hundreds of convolutions and a handful of kinds, and to infer the type of one takes
# TVM most of a millisecond.
@lru_cache(maxsize=256)
def _type_of(
    operator: Callable[..., relax.Expr],
    data: tuple[int, ...],
    weight: tuple[int, ...],
    data_dtype: str,
    weight_dtype: str,
    options: tuple[tuple[str, Any], ...],
) -> relax.TensorType:
    """The type of the result of a convolution of fixed sizes."""
    operands = [
        relax.Var(name, relax.TensorType(shape, dtype))
        for name, shape, dtype in (("x", data, data_dtype), ("w", weight, weight_dtype))
    ]
    return relax.BlockBuilder().normalize(operator(*operands, **dict(options))).ty


def conv_transpose(call: Call) -> relax.Expr:
    x, weight = call.tensor(0), call.tensor(1)
    sizes, kernel = _sizes(call, x, weight)
    _, operator, axes = _CONVOLUTIONS[len(sizes)]
    window = read_window(call.attributes, len(sizes), kernel)
    groups = _groups(call, x, weight, 0)
    extra = list(output_padding(call.attributes, window))
    begin, end = _crops(call, window, extra, sizes)
    # What is more than TVM's operator takes comes off the crop, or is zeros behind the kernel.
    behind = [0] * len(sizes)
    for i, stride in enumerate(window.strides):
        if extra[i] >= stride:
            kept = min(extra[i], end[i])
            end[i], behind[i], extra[i] = end[i] - kept, extra[i] - kept, 0
    y = operator(
        x,
        weight,
        strides=window.strides,
        padding=(*begin, *end),
        output_padding=tuple(extra),
        dilation=window.dilations,
        groups=groups,
        data_layout=f"NC{axes}",
        kernel_layout=f"IO{axes}",
    )
    if any(behind):
        widths = [0, 0, 0, 0, *(w for width in behind for w in (0, width))]
        y = relax.op.nn.pad(call.emit(y), widths)
    channels = shape_of(weight)[1]
    return _with_bias(call, y, len(sizes), channels * groups)


def _sizes(call: Call, x: relax.Expr, weight: relax.Expr) -> tuple[list[Any], list[Any]]:
    """Spatial sizes of input and kernel."""
    shape, kernel = shape_of(x), shape_of(weight)
    if len(shape) - 2 not in _CONVOLUTIONS or len(kernel) != len(shape):
        refuse(
            f"its input has {len(shape)} axes, its weights {len(kernel)}: computed are "
            "convolutions of 3 to 5 axes"
        )
    return shape[2:], kernel[2:]


def _groups(call: Call, x: relax.Expr, weight: relax.Expr, outputs: int) -> int:
    """``group``, checked; ``outputs`` is the axis of the weights that groups divide."""
    groups = call.get("group", 1)
    channels, kernel = shape_of(x)[1], shape_of(weight)
    if groups < 1:
        refuse(f"group is {groups}: give a positive number")
    expected = kernel[1] * groups if outputs == 1 else kernel[0]
    if isinstance(channels, int) and isinstance(expected, int) and channels != expected:
        refuse(f"its input has {channels} channels, its weights are for {expected}")
    divided = kernel[0]
    if isinstance(divided, int) and divided % groups:
        refuse(f"group {groups} does not divide the {divided} channels of its weights")
    return int(groups)


def _crops(
    call: Call, window: Window, extra: list[int], sizes: Sequence[Any]
) -> tuple[list[int], list[int]]:
    """Crops of the full result at begin and end (the standard, ConvTranspose-11).

    ``extra``, the output padding, grows where ``output_shape`` asks for more.
    """
    wanted = call.get("output_shape", None)
    spans = zip(window.extents, extra, window.strides, strict=True)
    if wanted is not None:
        wanted = _spatial(call, wanted, len(sizes))
        if not all(isinstance(size, int) for size in sizes):
            refuse("output_shape is computed for fixed sizes: give the shapes of the inputs")
        totals = [
            stride * (size - 1) + more + extent - out
            for (extent, more, stride), size, out in zip(spans, sizes, wanted, strict=True)
        ]
        # ONNX Runtime appends what is missing, as output padding does, up to the next sample.
        for i, total in enumerate(totals):
            extra[i] -= min(total, 0)
            if extra[i] >= max(window.strides[i], window.dilations[i]):
                refuse(f"output_shape {wanted} is larger than its kernel reaches")
        totals = [max(total, 0) for total in totals]
        # Without SAME_UPPER the standard has the odd sample at the beginning.
        begin, end = window.split(totals)
        return (begin, end) if window.auto_pad in ("SAME_UPPER", "SAME_LOWER") else (end, begin)
    if window.is_same:
        # For size * stride outputs. ONNX Runtime pads nothing where the kernel is shorter than the
        # stride, and the output is shorter then.
        return window.split([max(extent + more - stride, 0) for extent, more, stride in spans])
    return list(window.begin), list(window.end)


def _spatial(call: Call, wanted: Sequence[int], axes: int) -> list[int]:
    """``output_shape`` without batch and channels, which some exporters write."""
    shape = shape_of(call.tensor(0))
    if len(wanted) == axes + 2 and wanted[0] == shape[0]:
        wanted = wanted[2:]
    if len(wanted) != axes or any(size < 1 for size in wanted):
        refuse(f"output_shape is {list(wanted)}: give {axes} positive numbers")
    return [int(size) for size in wanted]


def padded(
    call: Call, x: relax.Expr, begin: Sequence[Any], end: Sequence[Any], value: float
) -> relax.Expr:
    """``x`` padded along its spatial axes by widths that depend on its free sizes."""
    before, after = ([0, 0, *widths] for widths in (begin, end))
    return call.builder.emit_te(topi.nn.pad, x, before, after, value)


def _with_bias(call: Call, y: relax.Expr, axes: int, channels: Any) -> relax.Expr:
    bias = call.input(2)
    if bias is None:
        return y
    shape = shape_of(bias)
    if len(shape) != 1 or (isinstance(channels, int) and shape[0] not in (channels,)):
        refuse(f"its bias has the shape {shape}, not [{channels}]")
    return relax.op.add(call.emit(y), relax.op.reshape(bias, [1, -1, *[1] * axes]))
