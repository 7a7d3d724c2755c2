"""Operators of detection and classification, where TVM's converter serves for a part."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import reduce

import numpy as np
import tvm
from tvm import relax
from tvm.relax.frontend.onnx import onnx_frontend

from ..nodes import refuse
from ..sizes import int64, sizes_analyzer
from .activation import in_single
from .call import Call, dtype_of, normal_axis, shape_of


def _by_tvm(call: Call) -> relax.Expr:
    """TVM's own converter; text attributes are bytes to it."""
    options = {
        key: value.encode() if isinstance(value, str) else value
        for key, value in call.attributes.items()
    }
    options["tvm_custom"] = {"name": call.node.name, "num_outputs": len(call.node.output)}
    converter = onnx_frontend._get_convert_map()[call.node.op_type].get_converter(call.opset)
    inputs = onnx_frontend.onnx_input(call.inputs)
    return converter(call.builder, inputs, options, [{}, {}])


def non_max_suppression(call: Call) -> relax.Expr:
    for index, name in ((2, "max_output_boxes_per_class"), (3, "iou_threshold")):
        call.constant(index, name)
    call.constant(4, "score_threshold")
    return _by_tvm(call)


def roi_align(call: Call) -> relax.Expr:
    if call.choice("mode", "avg", ("avg", "max")) == "max":
        refuse("mode is 'max': computed is 'avg'")
    return _by_tvm(call)


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


def grid_sample(call: Call) -> relax.Expr:
    """In the type of the tensor that is sampled; float16 is computed in float32."""
    x, grid = call.tensor(0), call.tensor(1)
    ranks = [len(shape_of(tensor)) for tensor in (x, grid)]
    if ranks != [4, 4]:
        refuse(f"its input and grid have {ranks[0]} and {ranks[1]} axes: computed are 4 and 4")
    batches = [shape_of(tensor)[0] for tensor in (x, grid)]
    if not sizes_analyzer(*batches).can_prove_equal(int64(batches[0]), int64(batches[1])):
        refuse(
            f"its batch is {batches[0]}, that of its grid {batches[1]}: give the shapes of the "
            "inputs"
        )
    if dtype_of(x) != "float16":
        return _by_tvm(call)
    wide = [call.emit(relax.op.astype(tensor, "float32")) for tensor in (x, grid)]
    return relax.op.astype(call.emit(_by_tvm(replace(call, inputs=wide))), "float16")


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
    "GridSample": (grid_sample, "gives float32 of float16, and reads a batch that is not there"),
    "LRN": (in_single(_local_response_normalization), "refuses float16 and float64"),
    "NonMaxSuppression": (non_max_suppression, "finds nothing where its limits are tensors"),
    "OneHot": (one_hot, "makes float64 of its values, and places the axis wrongly"),
    "RoiAlign": (roi_align, "mode max takes other samples than the standard"),
}
