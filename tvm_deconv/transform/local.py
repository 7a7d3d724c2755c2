"""What the samples of an operator's result are made of.

Each function takes the maps of the operands and gives that of the result, or raises Lost. An
operator that is not in the table at the end is not known to be local.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeAlias

import numpy as np
import tvm
from tvm import relax, sym, tirx

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.reads import reads
from tvm_deconv.annotations import READS

from .graph import ELEMENTWISE, Graph, op_name
from .maps import Lost, Map, Side, combined, merged, plain, reshaped, size_of

# A map of a tensor, a list of maps of a tuple, None of what is no tensor; for each argument.
Given: TypeAlias = Sequence[Any]

_POINTWISE = ELEMENTWISE | {"relax.broadcast_to"}
_CONVOLUTIONS = [f"relax.nn.conv{rank}d{kind}" for rank in (1, 2, 3) for kind in ("", "_transpose")]
_POOLS = [f"relax.nn.{kind}_pool{rank}d" for kind in ("max", "avg") for rank in (1, 2, 3)]
_ADAPTIVE = [f"relax.nn.adaptive_avg_pool{rank}d" for rank in (1, 2, 3)]
_REDUCTIONS = [f"relax.{name}" for name in ("sum", "mean", "max", "min", "prod", "std", "variance")]
_NORMS = [f"relax.nn.{name}" for name in ("instance_norm", "group_norm", "layer_norm", "rms_norm")]
_SOFTMAX = ["relax.nn.softmax", "relax.nn.log_softmax"]


def is_pointwise(name: str) -> bool:
    """Whether an operator works element by element."""
    return name in _POINTWISE or name == "relax.nn.prelu"


def result_of(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map | list[Map]:
    """The map, or those of a tuple, that ``call`` gives ``var``; raises Lost."""
    operator = _OPERATORS.get(str(op_name(call)))
    if operator is None:
        raise Lost("it is not known to be local")
    return operator(graph, call, var, given)


def sizes(expr: relax.Expr) -> tuple[int, ...]:
    """The shape of a tensor; raises Lost where it is not fixed."""
    return dims(expr.ty)


def dims(ty: Any) -> tuple[int, ...]:
    """The shape of a type; raises Lost where it is not fixed."""
    if not isinstance(ty, relax.TensorType) or not isinstance(ty.shape, relax.ShapeExpr):
        raise Lost("a shape is only known when it is run")
    found = ty.shape.values[:]
    if not all(isinstance(dim, tvm.tirx.IntImm) for dim in found):
        raise Lost("a shape is only known when it is run")
    return tuple([int(dim) for dim in found])


def _pointwise(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    return combined([operand for operand in given if operand is not None], sizes(var))


def _prelu(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, slope = given
    if slope.has_sides or isinstance(x.at(int(call.attrs.axis)), Side):
        raise Lost("a slope differs from place to place")
    return x


def _quantize(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, *scales = given
    if any(scale is not None and scale.has_sides for scale in scales):
        raise Lost("a scale is made of the picture")
    counts = [size for argument in call.args[1:] for size in sizes(argument)]
    if any(count > 1 for count in counts) and isinstance(x.at(int(call.attrs.axis)), Side):
        raise Lost("a scale differs from place to place")
    return x


def _convolution(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, weights, attrs, out = given[0], given[1], call.attrs, sizes(var)
    if weights.has_sides:
        raise Lost("its weights are made of the picture")
    data, kernel = str(attrs.data_layout), str(attrs.kernel_layout)
    result_layout = str(attrs.out_layout or data)
    letters = [letter for letter in data if letter in "DHW"]
    padding = [int(width) for width in attrs.padding]
    begin, end = padding[: len(letters)], padding[-len(letters) :]
    result = plain(out).because(x.why or weights.why)
    for i, letter in enumerate(letters):
        side, place = x.at(data.index(letter)), result_layout.index(letter)
        if not isinstance(side, Side):
            continue
        taps = size_of(weights.at(kernel.index(letter)))
        stride, dilation = int(attrs.strides[i]), int(attrs.dilation[i])
        if "transpose" in str(op_name(call)):
            more = int(attrs.output_padding[i])
            axis = Axis(taps, stride, begin[i], end[i], more, dilation)
            reach = side.reach.transposed(out[place], axis)
        else:
            extent = dilation * (taps - 1) + 1
            reach = side.reach.window(out[place], extent, stride, begin[i])
        result = result.put(place, Side(side.which, reach))
    for letter in "NC":
        if isinstance(x.at(data.index(letter)), Side):
            raise Lost("a side of the picture is its batch or its channels")
    return result


def _permute(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    axes = call.attrs.axes
    rank = len(given[0].axes)
    order = range(rank)[::-1] if axes is None else [int(axis) % rank for axis in axes]
    return Map(tuple(given[0].axes[axis] for axis in order), given[0].why)


def _reshape(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    return reshaped(given[0], sizes(var))


def _concat(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    (parts,), out = given, sizes(var)
    axis = int(call.attrs.axis) % len(out)
    if any(isinstance(part.at(axis), Side) for part in parts):
        raise Lost("maps are joined along a side of the picture")
    ones = [part.put(axis, 1) for part in parts]
    # One that has no sides of the picture is a constant of as many samples.
    return combined(ones, [1 if i == axis else n for i, n in enumerate(out)]).put(axis, out[axis])


def _split(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> list[Map]:
    x, begin, parts = given[0], 0, []
    axis = int(call.attrs.axis) % len(x.axes)
    for field in var.ty.fields:
        size = dims(field)[axis]
        parts.append(_from(x, axis, begin, 1, size))
        begin += size
    return parts


def _slice(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, out = given[0], sizes(var)
    axes, begins = _numbers(call.args[1]), _numbers(call.args[2])
    strides = _numbers(call.args[4]) if len(call.args) > 4 else [1] * len(axes)
    for axis, begin, stride in zip(axes, begins, strides, strict=True):
        size = size_of(x.at(axis))
        begin = min(max(begin + size if begin < 0 else begin, 0), size)
        x = _from(x, axis, begin, stride, out[axis])
    return x


def _pad(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, out = given[0], sizes(var)
    widths = [int(width) for width in call.attrs.pad_width]
    mode = str(call.attrs.pad_mode)
    for axis, (begin, end) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
        if not begin and not end:
            continue
        digit = x.at(axis)
        if not isinstance(digit, Side):
            x = x.put(axis, out[axis])
        elif mode == "circular":
            raise Lost("what is behind one border is what is at the other")
        elif mode == "reflect":
            reach = digit.reach.reflected(out[axis], begin, end)
            x = x.put(axis, Side(digit.which, reach))
        else:
            x = _from(x, axis, -begin, 1, out[axis])
    return x


def _resize(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, attrs, out = given[0], call.attrs, sizes(var)
    mode = str(attrs.coordinate_transformation_mode)
    margin = {"nearest_neighbor": 1, "linear": 1, "cubic": 2}[str(attrs.method)]
    for letter in "HW":
        axis = str(attrs.layout).index(letter)
        digit = x.at(axis)
        if size_of(digit) == out[axis] or not isinstance(digit, Side):
            x = x if isinstance(digit, Side) else x.put(axis, out[axis])
            continue
        factor = Fraction(out[axis], digit.size)
        if mode not in ("half_pixel", "pytorch_half_pixel", "asymmetric"):
            raise Lost(f"its coordinates are {mode}, which depend on the whole size")
        centre = 0 if mode == "asymmetric" else (1 / factor - 1) / 2
        reach = digit.reach.reading(out[axis], factor, centre - margin, centre + margin)
        x = x.put(axis, Side(digit.which, reach))
    return x


def _repeat(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, out = given[0], sizes(var)
    if call.attrs.axis is None:
        raise Lost("it flattens the picture")
    axis = int(call.attrs.axis) % len(out)
    digit = merged((x.at(axis), int(call.attrs.repeats)))
    return x.put(axis, digit)


def _take(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, indices, axis = given[0], given[1], call.attrs.axis
    if axis is None or len(indices.axes) > 1 or indices.has_sides:
        raise Lost("its indices are no row of constants")
    axis = int(axis) % len(x.axes)
    digit = x.at(axis)
    if isinstance(digit, Side):
        places = graph.constants.places(call.args[1])
        if places is None or places.ndim != 1:
            raise Lost("its indices are not constant")
        places = np.where(places < 0, places + digit.size, places)
        return _read(x, axis, len(places), reads(places[None], None, digit.size))
    axes = [*x.axes[:axis], *indices.axes, *x.axes[axis + 1 :]]
    return Map(tuple(axes), x.why)


def _matmul(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    a, b, out = given[0], given[1], sizes(var)
    if len(a.axes) < 2 or len(b.axes) < 2:
        raise Lost("an operand is a vector")
    if any(isinstance(d, Side) for d in (*a.axes[-1], *b.axes[-2])):
        a = a.because("matmul sums over a side of the picture")
    left = Map((*a.axes[:-1], (1,)), a.why)
    right = Map((*b.axes[:-2], (1,), b.axes[-1]), b.why)
    return combined([left, right], out)


def _batch_norm(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> list[Any]:
    return [given[0], *given[3:]]


def _pixel_shuffle(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, out = given[0], sizes(var)
    for axis in (-2, -1):
        x = x.put(axis, merged((x.at(axis), int(call.attrs.upscale_factor))))
    return x.put(-3, out[-3])


def _call_tir(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    noted = graph.annotation(var, READS)
    if noted is None:
        raise Lost("it is not known to be local")
    axis, first, last = noted.split()
    x, out = given[1][0], sizes(var)
    return _read(x, int(axis), out[int(axis)], (Fraction(first), Fraction(last)))


def _pool(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, attrs, out = given[0], call.attrs, sizes(var)
    layout = str(attrs.layout)
    letters = [letter for letter in layout if letter in "DHW"]
    for i, letter in enumerate(letters):
        axis = layout.index(letter)
        digit, stride = x.at(axis), int(attrs.strides[i])
        extent = int(attrs.dilation[i]) * (int(attrs.pool_size[i]) - 1) + 1
        if isinstance(digit, Side):
            reach = digit.reach.window(out[axis], extent, stride, int(attrs.padding[i]))
            x = x.put(axis, Side(digit.which, reach))
        else:
            x = x.put(axis, out[axis])
    return x


def _adaptive(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    return plain(sizes(var)).because(_global(call))


def _reduce(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    x, attrs = given[0], call.attrs
    rank = len(x.axes)
    gone = {int(axis) % rank for axis in (range(rank) if attrs.axis is None else attrs.axis)}
    x = _over(x, gone, call)
    axes = [(1,) if i in gone else axis for i, axis in enumerate(x.axes)]
    kept = axes if attrs.keepdims else [axis for i, axis in enumerate(axes) if i not in gone]
    return Map(tuple(kept), x.why)


def _normalise(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    return _over(given[0], call.attrs.axes, call)


def _softmax(graph: Graph, call: relax.Call, var: relax.Var, given: Given) -> Map:
    return _over(given[0], [call.attrs.axis], call)


def _over(x: Map, axes: Any, call: relax.Call) -> Map:
    """``x`` after something that takes all of its axes ``axes`` together."""
    found = [digit for axis in axes for digit in x.axes[int(axis)]]
    return x.because(_global(call) if any(isinstance(d, Side) for d in found) else None)


def _global(call: relax.Call) -> str:
    return f"{str(op_name(call)).removeprefix('relax.')} takes the whole picture together"


def _from(x: Map, axis: int, begin: int, stride: int, size: int) -> Map:
    """Every ``stride``-th sample of an axis from ``begin`` on, which may lie before the first."""
    digit = x.at(axis)
    if not isinstance(digit, Side):
        return x.put(axis, size)
    if stride < 1:
        raise Lost("a side of the picture is reversed")
    return x.put(axis, Side(digit.which, digit.reach.window(size, 1, stride, -begin)))


def _read(x: Map, axis: int, size: int, found: tuple[Fraction, Fraction] | None) -> Map:
    """An axis resampled to ``size``: what ``reads`` found."""
    digit = x.at(axis)
    if not isinstance(digit, Side):
        return x.put(axis, size)
    if found is None:
        raise Lost("not every sample is made in the same way")
    reach = digit.reach.reading(size, Fraction(size, digit.size), *found)
    return x.put(axis, Side(digit.which, reach))


def _numbers(expr: relax.Expr) -> list[int]:
    """Raises Lost for one that is not known."""
    simplify = sym.Analyzer().simplify
    known = [simplify(field) for field in expr.fields]
    if not all(isinstance(number, tirx.IntImm) for number in known):
        raise Lost(f"its bounds are {', '.join(map(str, known))}")
    return [int(number.value) for number in known]


_OPERATORS: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(_POINTWISE, _pointwise),
    **dict.fromkeys(_CONVOLUTIONS, _convolution),
    **dict.fromkeys(_POOLS, _pool),
    **dict.fromkeys(_REDUCTIONS, _reduce),
    **dict.fromkeys(_NORMS, _normalise),
    **dict.fromkeys(_SOFTMAX, _softmax),
    **dict.fromkeys(_ADAPTIVE, _adaptive),
    "relax.nn.prelu": _prelu,
    "relax.quantize": _quantize,
    "relax.dequantize": _quantize,
    "relax.permute_dims": _permute,
    "relax.reshape": _reshape,
    "relax.expand_dims": _reshape,
    "relax.squeeze": _reshape,
    "relax.flatten": _reshape,
    "relax.concat": _concat,
    "relax.split": _split,
    "relax.strided_slice": _slice,
    "relax.nn.pad": _pad,
    "relax.image.resize2d": _resize,
    "relax.repeat": _repeat,
    "relax.take": _take,
    "relax.matmul": _matmul,
    "relax.nn.batch_norm": _batch_norm,
    "relax.nn.pixel_shuffle": _pixel_shuffle,
    "relax.call_tir": _call_tir,
}
