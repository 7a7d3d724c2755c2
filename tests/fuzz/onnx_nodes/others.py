"""What stands around the upsampling layers: pools, norms, reductions, slices, products."""

from __future__ import annotations

from math import prod
from typing import Any

import numpy as np

from ..graph import Graph, NodeRefused, Value, need_axes

_TO_END = (2**31 - 1, -1, 3, 5, 2**63 - 1)


def pool(g: Graph, x: Value) -> Value:
    """Max, average and p-norm pools, and those of the whole image."""
    need_axes(x, 3, 5)
    axes = x.rank - 2
    operator = g.draw.pick(
        ("MaxPool", "AveragePool", "GlobalAveragePool", "GlobalMaxPool", "LpPool"),
        [4, 4, 2, 1, 0.5],
    )
    if operator.startswith("Global"):
        return g.node(operator, x)
    kernel = [g.draw.pick((2, 3, 1, 4)) for _ in range(axes)]
    attributes: dict[str, Any] = {"kernel_shape": kernel}
    if g.draw.chance(0.7):
        attributes["strides"] = [g.draw.pick((2, 1, 3)) for _ in range(axes)]
    if g.draw.chance(0.5):
        attributes["pads"] = [g.draw.below(k) for k in kernel * 2]
    elif g.draw.chance(0.15):
        attributes["auto_pad"] = g.draw.pick(("SAME_UPPER", "SAME_LOWER", "VALID"))
    if g.opset >= 10 and g.draw.chance(0.2):
        attributes["ceil_mode"] = 1
    # With auto_pad, ONNX Runtime pads as if there were no dilation, and its own shape inference
    # says so; onnx.reference has the odd sample of SAME_LOWER at the end.
    dilates = operator == "MaxPool" and g.opset >= 10 and "auto_pad" not in attributes
    if dilates and g.draw.chance(0.2):
        attributes["dilations"] = [2] * axes
    if operator == "AveragePool" and g.draw.chance(0.4):
        attributes["count_include_pad"] = 1
    if operator == "LpPool":
        attributes["p"] = g.draw.pick((2, 1, 3))
    return g.node(operator, x, **attributes)


def norm(g: Graph, x: Value) -> Value:
    """Instance, layer, group and p norms, softmax."""
    need_axes(x, 2)
    ways = [_instance_norm, _softmax, _lp_norm, _mean_variance, _lrn]
    if g.opset >= 17:
        ways.append(_layer_norm)
    if g.opset >= 18:
        ways.append(_group_norm)
    return g.draw.pick(ways)(g, x)


def _instance_norm(g: Graph, x: Value) -> Value:
    need_axes(x, 3)
    parameters = g.weight(x.shape[1]), g.weight(x.shape[1])
    return g.node("InstanceNormalization", x, *parameters, epsilon=g.draw.pick((1e-5, 1e-2)))


def _softmax(g: Graph, x: Value) -> Value:
    operator = g.draw.pick(("Softmax", "LogSoftmax"))
    return g.node(operator, x, axis=g.draw.pick((None, 1, -1, x.rank - 1, 0)))


def _lp_norm(g: Graph, x: Value) -> Value:
    return g.node("LpNormalization", x, axis=g.draw.pick((-1, 1)), p=g.draw.pick((2, 1)))


def _mean_variance(g: Graph, x: Value) -> Value:
    return g.node("MeanVarianceNormalization", x, axes=g.draw.pick(([0, 2, 3], [1, 2, 3], [2, 3])))


def _lrn(g: Graph, x: Value) -> Value:
    need_axes(x, 4, 4)  # ONNX Runtime has no other
    return g.node(
        "LRN",
        x,
        size=g.draw.pick((3, 1, 5, 2)),
        alpha=g.draw.pick((1e-4, 0.1)),
        bias=g.draw.pick((1.0, 2.0)),
    )


def _layer_norm(g: Graph, x: Value) -> Value:
    axis = g.draw.integer(1, x.rank - 1)
    parameters = [g.weight(*x.shape[axis:])]
    if g.draw.chance(0.7):
        parameters.append(g.weight(*x.shape[axis:]))
    return g.node("LayerNormalization", x, *parameters, axis=g.draw.pick((axis, axis - x.rank)))


def _group_norm(g: Graph, x: Value) -> Value:
    need_axes(x, 3)
    groups = g.draw.pick([n for n in (1, 2, 3, 4) if x.shape[1] % n == 0])
    size = groups if g.opset < 21 else x.shape[1]
    return g.node("GroupNormalization", x, g.weight(size), g.weight(size), num_groups=groups)


def reduction(g: Graph, x: Value) -> Value:
    """Sums, means and the like over some axes, written as the opset wants it."""
    need_axes(x, 1)
    operator = g.draw.pick(
        (
            "ReduceMean",
            "ReduceSum",
            "ReduceMax",
            "ReduceMin",
            "ReduceL2",
            "ReduceL1",
            "ReduceSumSquare",
            "ReduceLogSumExp",
        )
    )
    axes = g.draw.some(range(x.rank), 0.4)
    keep = g.draw.pick((1, 0, None))
    if g.draw.chance(0.3):
        axes = [axis - x.rank for axis in axes]
    if g.opset >= (13 if operator == "ReduceSum" else 18):
        extra = {"noop_with_empty_axes": 1} if g.draw.chance(0.1) else {}
        operands = [g.ints(*axes)] if axes else []
        return g.node(operator, x, *operands, keepdims=keep, **extra)
    return g.node(operator, x, axes=axes or None, keepdims=keep)


def arg_max(g: Graph, x: Value) -> Value:
    """Places of the largest, as numbers of the graph's type."""
    need_axes(x, 1)
    axis = g.draw.below(x.rank)
    places = g.node(g.draw.pick(("ArgMax", "ArgMin")), x, axis=axis, keepdims=g.draw.pick((1, 0)))
    return g.node("Cast", places, to={"float16": 10, "float32": 1, "float64": 11}[g.dtype])


def slices(g: Graph, x: Value) -> Value:
    """A part along some axes, backwards too."""
    need_axes(x, 1)
    axes = g.draw.some(range(x.rank), 0.5) or [x.rank - 1]
    steps = [1] * len(axes)
    if g.opset >= 10 and g.draw.chance(0.3):
        steps = [g.draw.pick((1, 2, -1, 3, -2)) for _ in axes]
    # Backwards, ONNX Runtime takes an end of INT32_MAX for the beginning, unlike the standard.
    begins = [g.draw.pick((0, 1, -3, 2) if step > 0 else (-1, 5, 100)) for step in steps]
    ends = [g.draw.pick(_TO_END if step > 0 else (-(2**31), 0, -3, -(2**63))) for step in steps]
    if g.opset < 10:
        return g.node("Slice", x, starts=begins, ends=ends, axes=axes)
    operands = [g.ints(*begins), g.ints(*ends), g.ints(*axes)]
    return g.node("Slice", x, *operands, *([g.ints(*steps)] if steps != [1] * len(axes) else []))


def crop(g: Graph, x: Value) -> Value:
    """A picture without some of its outermost rows and columns."""
    need_axes(x, 3)
    if g.opset < 10:
        raise NodeRefused("Slice has no operands")
    axes = [*range(2, x.rank)]
    begins = [g.draw.pick((0, 1, 2), [4, 1, 0.3]) for _ in axes]
    ends = [g.draw.pick((-1, -2, 2**31 - 1), [4, 0.5, 2]) for _ in axes]
    return g.node("Slice", x, g.ints(*begins), g.ints(*ends), g.ints(*axes))


def split(g: Graph, x: Value) -> Value:
    """Parts along an axis, of which one goes on and another may be read later."""
    need_axes(x, 2)
    axis = g.draw.pick((1, x.rank - 1))
    size = x.shape[axis]
    if size < 2:
        raise NodeRefused("nothing to split")
    first = g.draw.integer(1, size - 1)
    if g.opset >= 13:
        parts = g.outputs("Split", 2, x, g.ints(first, size - first), axis=axis)
    else:
        parts = g.outputs("Split", 2, x, axis=axis, split=[first, size - first])
    return parts[g.draw.below(2)]


def gather(g: Graph, x: Value) -> Value:
    """Some channels or columns, in another order and twice."""
    need_axes(x, 2)
    axis = g.draw.pick((1, x.rank - 1))
    size = x.shape[axis]
    places = [g.draw.integer(0, 2 * size - 1) - size for _ in range(g.draw.integer(1, 4))]
    return g.node("Gather", x, g.ints(*places), axis=axis)


def transpose(g: Graph, x: Value) -> Value:
    """Axes in another order."""
    need_axes(x, 2)
    return g.node("Transpose", x, perm=g.draw.shuffled(range(x.rank)))


def reshape(g: Graph, x: Value) -> Value:
    """The same elements by other sizes, some of them by 0 and -1."""
    need_axes(x, 3)
    options: list[list[int]] = [[0, 0, -1], [0, -1, x.shape[-1]], [x.shape[0], -1], [1, *x.shape]]
    if x.rank == 4:
        options += [[0, 0, x.shape[3], -1], [-1, 1, *x.shape[2:]]]
    return g.node("Reshape", x, g.ints(*g.draw.pick(options)))


def squeezed(g: Graph, x: Value) -> Value:
    """Axes of size one put in, or taken out again."""
    need_axes(x, 1)
    ones = [axis for axis, size in enumerate(x.shape) if size == 1]
    if ones and g.draw.chance(0.5):
        operator, axes = "Squeeze", [g.draw.pick(ones)]
    else:
        operator, axes = "Unsqueeze", [g.draw.integer(0, x.rank)]
    if x.rank > 5 and operator == "Unsqueeze":
        raise NodeRefused("many axes")
    if g.opset >= 13:
        return g.node(operator, x, g.ints(*axes))
    return g.node(operator, x, axes=axes)


def product(g: Graph, x: Value) -> Value:
    """MatMul, Gemm and Einsum with a constant."""
    need_axes(x, 2)
    columns, outputs = x.shape[-1], g.draw.pick((4, 1, 7, 16))
    way = g.draw.pick(("MatMul", "Gemm", "left"), [3, 1, 1])
    if way == "Gemm":
        flat = x if x.rank == 2 else g.node("Flatten", x, axis=g.draw.pick((1, 0, x.rank)))
        turned = g.draw.below(2)
        shape = (outputs, flat.shape[1]) if turned else (flat.shape[1], outputs)
        extra = {"alpha": g.draw.pick((None, 0.5)), "beta": g.draw.pick((None, 2.0))}
        bias = [g.weight(outputs)] if g.draw.chance(0.7) else []
        return g.node(
            "Gemm", flat, g.weight(*shape, terms=flat.shape[1]), *bias, transB=turned, **extra
        )
    if way == "left":
        return g.node("MatMul", g.weight(outputs, x.shape[-2], terms=x.shape[-2]), x)
    return g.node("MatMul", x, g.weight(columns, outputs, terms=columns))


def attention(g: Graph, x: Value) -> Value:
    """Pixels that attend to each other, as in a non-local block."""
    if x.rank != 4 or prod(x.shape[2:]) > 400 or g.is_free:
        raise NodeRefused("too many pixels")
    n, c, h, w = x.shape
    flat = g.node("Reshape", x, g.ints(n, c, h * w))
    turned = g.node("Transpose", flat, perm=(0, 2, 1))
    weight = g.node("Softmax", g.node("MatMul", turned, flat), axis=-1 if g.opset >= 13 else 2)
    mixed = g.node("MatMul", weight, turned)
    return g.node("Reshape", g.node("Transpose", mixed, perm=(0, 2, 1)), g.ints(n, c, h, w))


def odd(g: Graph, x: Value) -> Value:
    """Operators that upsampling networks seldom have."""
    need_axes(x, 2)
    way = g.draw.pick(("Expand", "Tile", "Cast", "CumSum", "Trilu", "Shape", "Where", "Sqrt"))
    if way == "Expand":
        return g.node("Expand", x, g.ints(2, *[1] * x.rank))
    if way == "Tile":
        return g.node("Tile", x, g.ints(*[g.draw.pick((1, 2)) for _ in x.shape]))
    if way == "Cast":
        there = g.draw.pick((11, 10, 1))
        wide = g.node("Cast", x, to=there)
        moved = g.node("Abs", wide)
        return g.node("Cast", moved, to={"float16": 10, "float32": 1, "float64": 11}[g.dtype])
    if way == "CumSum":
        if g.opset < 11:
            raise NodeRefused("no CumSum")
        axis = g.given(np.array(x.rank - 1, "int64"))
        return g.node("CumSum", x, axis, exclusive=g.draw.below(2), reverse=g.draw.below(2))
    if way == "Trilu":
        if g.opset < 14:
            raise NodeRefused("no Trilu")
        return g.node("Trilu", x, upper=g.draw.below(2))
    if way == "Shape":
        sizes = g.node(
            "Cast", g.node("Shape", x), to={"float16": 10, "float32": 1, "float64": 11}[g.dtype]
        )
        return g.node("Mul", x, g.node("ReduceMax", sizes, keepdims=0))
    if way == "Where":
        return g.node(
            "Where", g.node("Greater", x, g.node("Neg", x)), x, g.node("Mul", x, g.scalar(0.5))
        )
    return g.node("Sqrt", g.node("Abs", x))
