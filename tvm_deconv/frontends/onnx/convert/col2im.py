"""Col2Im, which PyTorch's F.fold is exported as: the windows of an image are added up.

An element of the result looks for the windows that it lies in, so no two write to one place. Along
an axis, sample k of window q is element q * stride + k * dilation of the padded image; of place p

    dilation 1:  k = p % stride + j * stride,  q = p // stride - j
    else:        k = j,                        q = (p - k * dilation) / stride, if nothing is left

for every j that leads to a sample and a window that there are. So windows that do not overlap are
only moved.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.frontends.onnx.formulas import int64, shown
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.onnx.windows import Window, floordiv, not_negative, read_window

from .call import Call, shape_of


def col2im(call: Call, x: relax.Expr) -> relax.Expr:
    image, block = call.sizes(1, "image_shape"), call.constant(2, "block_shape")
    if image is None or block is None or not len(image) == len(block) > 0:
        refuse("image_shape and block_shape must be lists of one length")
    window = read_window({**call.attributes, "kernel_shape": block.tolist()}, len(image))
    shape = shape_of(x)
    samples = prod(window.kernel)
    if len(shape) != 3 or not isinstance(shape[1], int) or shape[1] % samples:
        refuse(f"its input has the shape {shown(shape)}, not [N, C * {samples}, L]")
    counts = []
    for size, begin, end, extent, stride in zip(
        image, window.begin, window.end, window.extents, window.strides, strict=True
    ):
        counts.append(not_negative(floordiv(size + (begin + end - extent), stride) + 1))
    what = f"has {shown(shape[2:])} windows, {shown(counts)} are in {shown(image)}"
    call.require([int64(shape[2]) - prod(counts)], what)

    def added(x: te.Tensor, image: Sequence[Any], counts: Sequence[Any]) -> te.Tensor:
        return _added(x, image, counts, window)

    return call.builder.emit_te(added, x, image, counts, primfunc_name_hint="col2im")


def _added(x: te.Tensor, image: Sequence[Any], counts: Sequence[Any], window: Window) -> te.Tensor:
    steps = [s if d == 1 else 1 for s, d in zip(window.strides, window.dilations, strict=True)]
    turns = [
        te.reduce_axis((int64(0), int64(-(-kernel // step))), name=f"turn{axis}")
        for axis, (kernel, step) in enumerate(zip(window.kernel, steps, strict=True))
    ]

    def value(n: Any, c: Any, *place: Any) -> Any:
        row, column, inside = c, int64(0), []
        for axis, (i, turn, count) in enumerate(zip(place, turns, counts, strict=True)):
            kernel, stride = window.kernel[axis], window.strides[axis]
            p = i + window.begin[axis]
            if window.dilations[axis] == 1:
                k = tirx.floormod(p, int64(stride)) + turn * stride
                q = tirx.floordiv(p, int64(stride)) - turn
                inside.append(k < kernel)
            else:
                # Rising with the turn: TVM's code for an index like (3 - j) // 2 reads elsewhere.
                k = (kernel - 1) - turn
                first = p - k * window.dilations[axis]
                q = tirx.floordiv(first, int64(stride))
                inside.append(tirx.EQ(tirx.floormod(first, int64(stride)), int64(0)))
            inside += [q >= 0, q < count]
            row, column = row * kernel + k, column * count + q
        element = x[n, row, column]
        nothing = tirx.const(0, str(x.dtype))
        return te.sum(tirx.if_then_else(tirx.all(*inside), element, nothing), axis=turns)

    shape = (x.shape[0], x.shape[1] // prod(window.kernel), *map(int64, image))
    return te.compute(shape, value, name="col2im")
