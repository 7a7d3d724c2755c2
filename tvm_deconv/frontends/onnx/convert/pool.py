"""MaxPool, MaxUnpool, AveragePool and LpPool of one to three dimensions.

By SAME with a stride over the window the last samples may be left over, and the standard's formula
for the padding is negative. ONNX Runtime 1.32 crops by it in LpPool and in AveragePool of opset 19,
its half rounded towards zero, and refuses in the others; here all crop alike.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from math import prod
from typing import Any

import numpy as np
from tvm import relax, tirx

from tvm_deconv.frontends.onnx.formulas import int64, shown
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.onnx.windows import Window, read_window
from tvm_deconv.frontends.unpooling import Windows, places_of_maxima, unpooled

from .call import Call, dtype_of, is_float, shape_of
from .conv import padded
from .pad import cropped

_MAX: dict[int, Callable[..., relax.Expr]] = {
    1: relax.op.nn.max_pool1d,
    2: relax.op.nn.max_pool2d,
    3: relax.op.nn.max_pool3d,
}
_AVERAGE: dict[int, Callable[..., relax.Expr]] = {
    1: relax.op.nn.avg_pool1d,
    2: relax.op.nn.avg_pool2d,
    3: relax.op.nn.avg_pool3d,
}


def max_pool(call: Call) -> relax.Expr:
    x = call.tensor(0)
    lowest = -np.inf if is_float(x) else int(np.iinfo(dtype_of(x)).min)
    y = _pooled(call, x, _MAX, lowest)
    if len(call.node.output) < 2 or not call.node.output[1]:
        return y
    y = call.emit(y)
    return relax.Tuple([y, call.emit(_indices(call, x, y))])


def _indices(call: Call, x: relax.Expr, y: relax.Expr) -> relax.Expr:
    """Where in the whole of ``x`` each of the maxima ``y`` is: the first one of its window."""
    sizes = shape_of(x)[2:]
    window = read_window(call.attributes, len(sizes))
    begin, end = list(window.begin), list(window.end)
    if window.is_same:
        begin, end = window.same_padding(sizes, crops=True)
    if any(isinstance(width, int) and width < 0 for width in (*begin, *end)):
        refuse(f"its indices count through what its strides {list(window.strides)} leave over")
    is_inside = not call.get("ceil_mode", 0) and all(
        isinstance(width, int) and width == 0 for width in (*begin, *end)
    )
    by_columns = bool(call.get("storage_order", 0))

    def through_all(place: Any, at: Sequence[Any], channels: Any, *sizes: Any) -> Any:
        return _plane(at, channels, sizes) + (_by_columns(place, sizes) if by_columns else place)

    windows = Windows(window.kernel, window.strides, begin, window.dilations, is_inside)
    extents = [int64(size) for size in shape_of(x)[1:]]
    return places_of_maxima(call.builder, x, y, windows, through_all, extents)


def _plane(at: Sequence[Any], channels: Any, sizes: Sequence[Any]) -> Any:
    """Where the map that ``at`` is in begins."""
    plane = at[0] * channels + at[1]
    for size in sizes:
        plane = plane * size
    return plane


def _by_columns(place: Any, sizes: Sequence[Any]) -> Any:
    """A place in a map, counted along its first axis first."""
    step, total = int64(1), int64(0)
    for number, size in enumerate(sizes):
        below = int64(1)
        for inner in sizes[number + 1 :]:
            below = below * inner
        total = total + tirx.floormod(tirx.floordiv(place, below), size) * step
        step = step * size
    return total


def max_unpool(call: Call) -> relax.Expr:
    """Values at the places that their indices name, in the order of the indices; zeros elsewhere.

    With ``output_shape``, which may not be smaller than what the attributes say, indices count
    through that, as in ONNX Runtime.
    """
    x, indices = call.tensor(0), call.tensor(1)
    shape = shape_of(x)
    words = f"its indices are {dtype_of(indices)} of shape {shown(shape_of(indices))}"
    if len(shape_of(indices)) != len(shape) or dtype_of(indices) != "int64":
        refuse(f"{words}, its input has the shape {shown(shape)}: int64 of that are needed")
    call.require(
        list(indices.ty.shape.values),
        f"{words}, its input has the shape {shown(shape)}",
        list(x.ty.shape.values),
    )
    window = read_window(call.attributes, len(shape) - 2)
    numbers = zip(shape[2:], window.kernel, window.strides, window.begin, window.end, strict=True)
    wanted = [*shape[:2], *((i - 1) * s + k - b - e for i, k, s, b, e in numbers)]
    given = call.sizes(2, "sizes")
    if given is not None:
        pairs = zip(given, wanted, strict=True)
        is_small = any(isinstance(a, int) and isinstance(b, int) and a < b for a, b in pairs)
        words = f"output_shape is {shown(given)}: at least {shown(wanted)} are needed"
        if is_small:
            refuse(words)
        call.require([int64(size) for size in given[:2]], words, [int64(n) for n in shape[:2]])
        wanted = given
    sizes = [int64(size) for size in wanted]
    return unpooled(call.builder, x, indices, sizes, len(shape) - 2, through_all=True)


def average_pool(call: Call) -> relax.Expr:
    includes = bool(call.get("count_include_pad", 0))
    return _pooled(call, call.tensor(0), _AVERAGE, count_include_pad=includes)


def lp_pool(call: Call) -> relax.Expr:
    x, p = call.tensor(0), call.get("p", 2)
    if not is_float(x) or p < 1:
        refuse(f"p is {p}: the norm is computed of floats with p of at least 1")
    if call.get("ceil_mode", 0):
        refuse("ceil_mode is 1: windows that reach past the padding are not computed")
    powers = call.emit(relax.op.power(relax.op.abs(x), call.number(p, x)))
    mean = call.emit(_pooled(call, powers, _AVERAGE, count_include_pad=True))
    total = relax.op.multiply(mean, call.number(prod(call.get("kernel_shape", ())), x))
    return relax.op.power(total, call.number(1 / p, x))


def _pooled(
    call: Call,
    x: relax.Expr,
    operators: dict[int, Callable[..., relax.Expr]],
    lowest: float | None = None,
    **options: Any,
) -> relax.Expr:
    """``lowest`` is what the padding of a maximum holds; a mean's holds zeros."""
    sizes = shape_of(x)[2:]
    if len(sizes) not in operators:
        refuse(f"its input has {len(sizes) + 2} axes: computed are pools of 3 to 5")
    window = read_window(call.attributes, len(sizes))
    begin, end = list(window.begin), list(window.end)
    if window.is_same:
        begin, end = window.same_padding(sizes, crops=True)
        x, begin, end = _cropped(call, x, begin, end)
        sizes = shape_of(x)[2:]
    if not all(isinstance(width, int) for width in (*begin, *end)):
        pads = begin, end
        return _padded_in_memory(call, x, operators[len(sizes)], window, pads, lowest, **options)
    for kernel, first, last in zip(window.kernel, begin, end, strict=True):
        if not window.is_same and max(first, last) >= kernel:
            refuse(f"pads {[*begin, *end]} must be less than its window, {list(window.kernel)}")
    if call.get("ceil_mode", 0) and window.auto_pad == "VALID":
        _check_valid_windows(sizes, window)
    for size, extent, first, last in zip(sizes, window.extents, begin, end, strict=True):
        if isinstance(size, int) and size + first + last < extent:
            refuse(f"its window spans {extent} samples, its input with padding {size}")
    return operators[len(sizes)](
        x,
        pool_size=window.kernel,
        strides=window.strides,
        padding=(*begin, *end),
        dilation=window.dilations,
        # With auto_pad the number of windows is the same, whatever ceil_mode says.
        ceil_mode=bool(call.get("ceil_mode", 0)) and window.auto_pad == "NOTSET",
        **options,
    )


def _cropped(
    call: Call, x: relax.Expr, begin: list[Any], end: list[Any]
) -> tuple[relax.Expr, list[Any], list[Any]]:
    """``x`` without what negative numbers among the paddings crop, and the paddings without them.

    Those that depend on free sizes stay.
    """
    crops = [
        [0, 0, *(max(-width, 0) if isinstance(width, int) else 0 for width in side)]
        for side in (begin, end)
    ]
    begin, end = (
        [max(width, 0) if isinstance(width, int) else width for width in side]
        for side in (begin, end)
    )
    return cropped(call, x, *crops), begin, end


def _padded_in_memory(
    call: Call,
    x: relax.Expr,
    operator: Callable[..., relax.Expr],
    window: Window,
    pads: tuple[list[Any], list[Any]],
    lowest: float | None,
    count_include_pad: bool = True,
) -> relax.Expr:
    """By SAME of free sizes: the operator itself takes paddings that are numbers only.

    The mean of the samples that are there is that over all of the window, of which the padding is
    0, by the share of the window that they are: the mean of ones.
    """

    def pooled(y: relax.Expr) -> relax.Expr:
        wide = padded(call, y, *pads, 0.0 if lowest is None else lowest)
        return call.emit(
            operator(
                wide, pool_size=window.kernel, strides=window.strides, dilation=window.dilations
            )
        )

    if count_include_pad:
        return pooled(x)
    ones = call.emit(relax.op.ones(relax.ShapeExpr([1, 1, *shape_of(x)[2:]]), dtype_of(x)))
    return relax.op.divide(pooled(x), pooled(ones))


def _check_valid_windows(sizes: Sequence[Any], window: Window) -> None:
    """Refuse ceil_mode with auto_pad VALID where a last window would reach past the input.

    By the standard's formula it is left out, by ONNX Runtime's it is computed.
    """
    for size, extent, stride in zip(sizes, window.extents, window.strides, strict=True):
        fits = (size - extent) % stride == 0 if isinstance(size, int) else stride == 1
        if not fits:
            refuse(
                f"ceil_mode is 1, auto_pad is VALID and strides are {list(window.strides)}: what "
                "of a last window that does not fit is not agreed on; give pads"
            )
