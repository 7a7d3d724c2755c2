"""Operators of detection and classification, where TVM's converter serves for a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends import grids
from tvm_deconv.frontends.onnx.formulas import are_one, int64, sizes_analyzer
from tvm_deconv.frontends.onnx.nodes import refuse

from .activation import in_single
from .call import Call, by_tvm, dtype_of, normal_axis, shape_of


def non_max_suppression(call: Call) -> relax.Expr:
    """In TVM's converter, which suppresses a box at the threshold, where the standard keeps it."""
    call.constant(2, "max_output_boxes_per_class")
    call.constant(4, "score_threshold")
    threshold = call.constant(3, "iou_threshold")
    limit = np.float32(0 if threshold is None else threshold.item())
    inputs = [*call.inputs, None, None][:5]
    inputs[3] = relax.const(np.nextafter(limit, np.float32(np.inf)))
    return by_tvm(replace(call, inputs=inputs))


_PADDINGS = {
    "zeros": grids.ZEROS,
    "border": grids.BORDER,
    "reflection": grids.REFLECTION,
}


def grid_sample(call: Call) -> relax.Expr:
    """Of float16 tensors in float32."""
    x, grid = call.tensor(0), call.tensor(1)
    # Opset 20 renamed the modes.
    modes = {"linear": grids.LINEAR, "nearest": grids.NEAREST, "cubic": grids.CUBIC}
    if call.opset < 20:
        modes = {"bilinear": grids.LINEAR, "nearest": grids.NEAREST, "bicubic": grids.CUBIC}
    mode = modes[call.choice("mode", next(iter(modes)), modes)]
    padding = _PADDINGS[call.choice("padding_mode", "zeros", _PADDINGS)]
    rank, places = len(shape_of(x)), shape_of(grid)
    if rank not in (4, 5) or len(places) != rank or places[-1] != rank - 2:
        refuse(f"its input has {rank} axes, its grid the shape {places}: a place takes {rank - 2}")
    batches = shape_of(x)[0], places[0]
    if not sizes_analyzer(*batches).can_prove_equal(int64(batches[0]), int64(batches[1])):
        refuse(
            f"its batch is {batches[0]}, that of its grid {batches[1]}: give the shapes of the "
            "inputs"
        )
    dtype = dtype_of(x)
    working = "float64" if dtype == "float64" else "float32"
    wide = [
        y if dtype_of(y) == working else call.emit(relax.op.astype(y, working)) for y in (x, grid)
    ]
    found = call.builder.emit_te(
        grids.grid_sample, *wide, mode, padding, bool(call.get("align_corners", 0))
    )
    return found if dtype == working else relax.op.astype(found, dtype)


def affine_grid(call: Call, theta: relax.Expr) -> relax.Expr:
    """For grid_sample, of the sizes N, C, (D,) H, W."""
    sizes = call.sizes(1, "sizes")
    if sizes is None or len(sizes) not in (4, 5):
        refuse(f"its sizes are {sizes}: give 4 or 5 numbers")
    axes = len(sizes) - 2
    if len(shape_of(theta)) != 3 or shape_of(theta)[1:] != [axes, axes + 1]:
        refuse(f"its theta has the shape {shape_of(theta)}, not [N, {axes}, {axes + 1}]")
    if not are_one(shape_of(theta)[0], sizes[0]):
        refuse(f"its theta is for {shape_of(theta)[0]} images, its sizes for {sizes[0]}")
    return call.builder.emit_te(
        grids.affine_grid,
        theta,
        *map(int64, sizes[2:]),
        align_corners=bool(call.get("align_corners", 0)),
    )


def roi_align(call: Call) -> relax.Expr:
    if call.choice("mode", "avg", ("avg", "max")) == "max":
        refuse("mode is 'max': computed is 'avg'")
    return by_tvm(call)


def _local_response_normalization(call: Call, x: relax.Expr) -> relax.Expr:
    """x / (bias + alpha / size * (sum of the squares of ``size`` channels around))^beta."""
    size = call.get("size", 0)
    if size < 1 or size % 2 == 0:
        refuse(f"size is {size}: give an odd number")
    shape = shape_of(x)
    channels, widths = shape[1], [0] * (2 * len(shape))
    if not isinstance(channels, int):
        refuse("the number of its channels is free: give the shapes of the inputs")
    widths[2:4] = [size // 2, size // 2]
    squares = call.emit(relax.op.nn.pad(call.emit(relax.op.multiply(x, x)), widths))
    parts = [
        call.emit(relax.op.strided_slice(squares, [1], [i], [i + channels])) for i in range(size)
    ]
    total = reduce(lambda a, b: call.emit(relax.op.add(a, b)), parts)
    scaled = relax.op.multiply(total, call.number(call.get("alpha", 1e-4) / size, x))
    divisor = relax.op.add(scaled, call.number(call.get("bias", 1.0), x))
    powered = relax.op.power(divisor, call.number(call.get("beta", 0.75), x))
    return relax.op.divide(x, call.emit(powered))


def one_hot(call: Call) -> relax.Expr:
    """Indices that are negative count from the end; those outside mark nothing."""
    places, values = call.tensor(0), call.tensor(2)
    depth = call.constant(1, "depth")
    if depth is None or depth.size != 1 or int(depth.ravel()[0]) < 1:
        refuse("depth must be one positive number")
    count = int(depth.ravel()[0])
    if shape_of(values) != [2]:
        refuse(f"its values have the shape {shape_of(values)}, not [2]")
    rank = len(shape_of(places)) + 1
    axis = normal_axis(call.get("axis", -1), rank)
    if dtype_of(places) != "int64":
        places = call.emit(relax.op.astype(places, "int64"))
    behind = call.emit(relax.op.add(places, relax.const(count, "int64")))
    negative = relax.op.less(places, relax.const(0, "int64"))
    places = call.emit(relax.op.where(negative, behind, places))
    places = call.emit(relax.op.expand_dims(places, axis))
    steps = np.arange(count).reshape([-1 if i == axis else 1 for i in range(rank)])
    marked = call.emit(relax.op.equal(places, relax.const(steps, "int64")))
    off, on = (_element(call, values, i) for i in range(2))
    return relax.op.where(marked, on, off)


def _element(call: Call, values: relax.Expr, index: int) -> relax.Expr:
    if isinstance(values, tvm.ir.GenericConst):
        return relax.const(values.value.numpy()[index], dtype_of(values))
    return call.emit(relax.op.take(values, relax.const(index, "int64"), 0))


GUARDED: dict[str, tuple[Callable[[Call], relax.Expr], str]] = {
    "AffineGrid": (in_single(affine_grid), "takes no sizes but constants"),
    "LRN": (in_single(_local_response_normalization), "refuses float16 and float64"),
    "NonMaxSuppression": (
        non_max_suppression,
        "suppresses at the threshold; finds nothing where limits are tensors",
    ),
    "OneHot": (one_hot, "makes float64 of its values, and places the axis wrongly"),
    "RoiAlign": (roi_align, "mode max takes other samples than the standard"),
}
