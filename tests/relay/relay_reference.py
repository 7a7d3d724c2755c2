"""Relay functions in float64 NumPy, whatever the types in them are."""

from __future__ import annotations

from collections.abc import Callable
from math import erf
from typing import Any

import numpy as np
import reference
import tvm
from tvm import relay


def evaluate(mod: tvm.IRModule, *inputs: np.ndarray) -> Any:
    """``main`` of ``inputs``; a list for a tuple."""
    func = mod["main"]
    values: dict[relay.Expr, Any] = dict(zip(func.params, inputs, strict=True))

    def visit(expr: relay.Expr) -> None:
        if expr in values or isinstance(expr, (tvm.ir.Op, relay.Function)):
            return
        if isinstance(expr, relay.Constant):
            array = expr.data.numpy()
            values[expr] = array.astype(np.float64) if array.dtype.kind == "f" else array
        elif isinstance(expr, relay.TupleGetItem):
            values[expr] = values[expr.tuple_value][expr.index]
        elif isinstance(expr, relay.Tuple):
            values[expr] = [values[field] for field in expr.fields]
        else:
            operands = [values[a] for a in expr.args]
            values[expr] = _EVALUATE[str(expr.op.name)](expr, *operands)

    relay.analysis.post_order_visit(func, visit)
    return values[func.body]


def _shape(call: relay.Call) -> list[int]:
    return [int(dim) for dim in call.checked_type.shape]


def _reshape(call: relay.Call, x: np.ndarray) -> np.ndarray:
    return x.reshape(_shape(call))


def _conv2d(call: relay.Call, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    a = call.attrs
    assert [int(s) for s in a.strides] == [1, 1]
    w = w.transpose([a.kernel_layout.index(name) for name in "OIHW"])
    p, dilation = [int(p) for p in a.padding], [int(d) for d in a.dilation]
    padding = p if len(p) == 4 else [p[0], p[-1]] * 2
    y = reference.conv2d(reference.to_nchw(a.data_layout, x), w, padding, dilation, int(a.groups))
    return reference.from_nchw(a.out_layout or a.data_layout, y)


def _conv2d_transpose(call: relay.Call, x: np.ndarray, w: np.ndarray) -> np.ndarray:
    a = call.attrs
    assert a.kernel_layout == "IOHW"
    numbers = ([int(v) for v in v] for v in (a.strides, a.padding, a.output_padding, a.dilation))
    y = reference.conv2d_transpose(reference.to_nchw(a.data_layout, x), w, *numbers, int(a.groups))
    return reference.from_nchw(a.data_layout, y)


def _copied(x: np.ndarray, axis: int, target: int, mode: str, rounding: str) -> np.ndarray:
    """Only what the tests build on purpose: half_pixel + round, asymmetric + floor."""
    scale, position = x.shape[axis] / target, np.arange(target)
    if (mode, rounding) == ("half_pixel", "round"):
        index = np.rint((position + 0.5) * scale - 0.5)
    else:
        assert mode == "asymmetric"
        assert rounding in ("floor", "")
        index = np.floor(position * scale + 1e-9)
    return x.take(np.clip(index, 0, x.shape[axis] - 1).astype(int), axis)


def _linear(x: np.ndarray, axis: int, target: int) -> np.ndarray:
    """half_pixel, beyond the ends of which x goes on with its edge."""
    size = x.shape[axis]
    places = np.clip((np.arange(target) + 0.5) * size / target - 0.5, 0, size - 1)
    weights = np.maximum(1 - np.abs(places[:, None] - np.arange(size)), 0)
    return np.moveaxis(np.moveaxis(x, axis, -1) @ weights.T, -1, axis)


def _resize2d(call: relay.Call, x: np.ndarray) -> np.ndarray:
    a = call.attrs
    x = reference.to_nchw(a.layout, x)
    for axis, target in zip((2, 3), (int(d) for d in a.size), strict=True):
        if a.method == "linear":
            assert a.coordinate_transformation_mode in ("half_pixel", "pytorch_half_pixel")
            x = _linear(x, axis, target)
            continue
        assert a.method == "nearest_neighbor"
        x = _copied(x, axis, target, a.coordinate_transformation_mode, a.rounding_method)
    return reference.from_nchw(a.layout, x)


def _upsampling(call: relay.Call, x: np.ndarray) -> np.ndarray:
    a = call.attrs
    assert (a.method, a.align_corners) == ("nearest_neighbor", 0)
    x = reference.to_nchw(a.layout, x)
    for axis, scale in ((2, a.scale_h), (3, a.scale_w)):
        x = _copied(x, axis, round(x.shape[axis] * scale), "asymmetric", "")
    return reference.from_nchw(a.layout, x)


def _depth_to_space(call: relay.Call, x: np.ndarray) -> np.ndarray:
    a = call.attrs
    y = reference.pixel_shuffle(reference.to_nchw(a.layout, x), [int(a.block_size)] * 2, a.mode)
    return reference.from_nchw(a.layout, y)


def _widths(call: relay.Call) -> list[list[int]]:
    return [[int(width) for width in pair] for pair in call.attrs.pad_width]


def _pad(call: relay.Call, x: np.ndarray, value: np.ndarray) -> np.ndarray:
    if call.attrs.pad_mode == "constant":
        return np.pad(x, _widths(call), constant_values=float(value))
    return np.pad(x, _widths(call), call.attrs.pad_mode)


def _along(call: relay.Call, x: np.ndarray, values: np.ndarray) -> np.ndarray:
    shape = [1] * x.ndim
    shape[int(call.attrs.axis)] = -1
    return values.reshape(shape)


def _batch_norm(call: relay.Call, x: np.ndarray, *parameters: np.ndarray) -> list[np.ndarray]:
    gamma, beta, mean, variance = (_along(call, x, p) for p in parameters)
    return [(x - mean) / np.sqrt(variance + call.attrs.epsilon) * gamma + beta]


def _transpose(call: relay.Call, x: np.ndarray) -> np.ndarray:
    return x.transpose([int(axis) for axis in call.attrs.axes])


def _strided_slice(call: relay.Call, x: np.ndarray) -> np.ndarray:
    at = [slice(None)] * x.ndim
    a = call.attrs
    for axis, begin, end in zip(a.axes, a.begin, a.end, strict=True):
        at[int(axis)] = slice(int(begin), int(end))
    return x[tuple(at)]


def _border_lines(call: relay.Call, x: np.ndarray) -> np.ndarray:
    a = call.attrs
    axis, (begin, end) = int(a["axis"]), (int(width) for width in a["copies"])
    x = reference.to_nchw(a["layout"], x)
    places = [place for place, is_read in zip((0, -1), a["ends"], strict=True) if int(is_read)]
    lines = np.concatenate([x.take(place, axis) for place in places], 1)
    factor = int(a["factor"])
    is_linear = bool(int(a["linear"]))
    lines = _linear(lines, 2, lines.shape[2] * factor) if is_linear else lines.repeat(factor, 2)
    lines = lines[:, :, max(-begin, 0) : lines.shape[2] - max(-end, 0)]
    more = max(begin, 0), max(end, 0)
    return np.pad(lines, ((0, 0), (0, 0), more), "edge")[:, :, None]


def _add_border(call: relay.Call, y: np.ndarray, line: np.ndarray) -> np.ndarray:
    a = call.attrs
    axis, counts = int(a["axis"]), [int(count) for count in a["counts"]]
    y = reference.to_nchw(a["layout"], y).copy()
    depth = max(counts)
    sides = line.reshape(len(y), -1, y.shape[1], depth, line.shape[3])
    moved, side = np.moveaxis(y, axis, 2), 0
    for count, places in zip(counts, (range(depth), range(-1, -depth - 1, -1)), strict=True):
        for p, place in zip(range(count), places[:count], strict=True):
            if p < moved.shape[2]:
                moved[:, :, place] += sides[:, side, :, p]
        side += count > 0
    return reference.from_nchw(a["layout"], y)


def _layout_transform(call: relay.Call, x: np.ndarray) -> np.ndarray:
    return x.transpose([call.attrs.src_layout.index(name) for name in call.attrs.dst_layout])


_EVALUATE: dict[str, Callable[..., Any]] = {
    **reference.OPERATORS,
    "nn.conv2d": _conv2d,
    "nn.conv2d_transpose": _conv2d_transpose,
    "nn.depth_to_space": _depth_to_space,
    "nn.pad": _pad,
    "nn.mirror_pad": lambda c, x: np.pad(x, _widths(c), c.attrs.mode.lower()),
    "nn.batch_norm": _batch_norm,
    "nn.bias_add": lambda c, x, b: x + _along(c, x, b),
    "nn.prelu": lambda c, x, slope: np.where(x > 0, x, x * _along(c, x, slope)),
    "nn.leaky_relu": lambda c, x: np.where(x > 0, x, x * c.attrs.alpha),
    "nn.upsampling": _upsampling,
    "tvm_deconv.border_lines": _border_lines,
    "tvm_deconv.add_border": _add_border,
    "image.resize2d": _resize2d,
    "reshape": _reshape,
    "expand_dims": _reshape,
    "squeeze": _reshape,
    "broadcast_to": lambda c, x: np.broadcast_to(x, _shape(c)),
    "broadcast_to_like": lambda c, x, y: np.broadcast_to(x, y.shape),
    "transpose": _transpose,
    "layout_transform": _layout_transform,
    "strided_slice": _strided_slice,
    "exp": lambda c, x: np.exp(x),
    "log": lambda c, x: np.log(x),
    "negative": lambda c, x: -x,
    "cast": lambda c, x: x,
    "full": lambda c, x: np.full(_shape(c), x),
    "tile": lambda c, x: np.tile(x, [int(count) for count in c.attrs.reps]),
    "erf": lambda c, x: np.vectorize(erf)(x),
    "clip": lambda c, x: np.clip(x, c.attrs.a_min, c.attrs.a_max),
    "concatenate": lambda c, fields: np.concatenate(fields, int(c.attrs.axis)),
}
