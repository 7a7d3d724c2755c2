"""How much of a picture each pixel of a network's result depends on, read from the graph.

Free sizes are bound to numbers that have many divisors, every tensor is followed as a ``Map``, and
every operator says what its samples are made of. What is not listed here is not known to be local,
and named as the reason why the network cannot be run in tiles.
"""

from __future__ import annotations

from math import prod
from typing import Any

import tvm
from tvm import relax

from tvm_deconv.algebra.reach import Field, Reach

from .graph import Graph, op_name, shape_of
from .local import dims, is_pointwise, result_of, sizes
from .maps import Lost, Map, Side, plain, size_of

# Height and width in place of free ones: 2^7 * 3^2 * 5 * 7.
_WHOLE = 40320


def receptive_field(mod: tvm.IRModule, height: int, width: int) -> Field:
    """The field of ``main``, whose only input has its height and width at these axes of 4.

    Its only output has them at the same axes.
    """
    shape = shape_of(mod["main"].params[0])
    if shape is None:
        return Field(refusal="the shape of its input is not known")
    free = {dim for dim in shape if not isinstance(dim, int)}
    if not all(isinstance(dim, tvm.tirx.Var) for dim in free):
        return Field(refusal="the sizes of its input are formulas")
    sides = {shape[height], shape[width]} & free
    sizes = {dim: _WHOLE if dim in sides else 1 for dim in free}
    try:
        bound = relax.transform.BindSymbolicVars(sizes, "main")(mod) if sizes else mod
    except (RuntimeError, ValueError):
        # TVM infers all shapes again, and raises for those that do not fit.
        return Field(refusal="its free sizes cannot be chosen freely")
    walk = _Walk(Graph(bound["main"], bound))
    try:
        result = walk.result((height, width))
        ends = [result.at(axis) for axis in (height, width)]
    except Lost as lost:
        return Field(refusal=str(lost), bytes_per_pixel=walk.bytes_per_pixel())
    overlaps = []
    for which, end in enumerate(ends):
        if not isinstance(end, Side) or end.which != which:
            reason = "its result has no side that is made of one of the picture's"
            return Field(refusal=reason, bytes_per_pixel=walk.bytes_per_pixel())
        overlaps.append(end.reach.overlap())
    h, w = overlaps
    return Field(h, w, result.why, walk.bytes_per_pixel())


class _Walk:
    """Through one function of fixed sizes; ``maps`` holds what is known of each variable."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.maps: dict[relax.Var, Any] = {}
        self.bytes = 0
        self.pixels = 1

    def result(self, sides: tuple[int, int]) -> Map:
        """The map of the function's result; raises Lost where it cannot be followed."""
        (param,) = self.graph.func.params
        whole = plain(sizes(param))
        for which, axis in enumerate(sides):
            size = size_of(whole.at(axis))
            whole = whole.put(axis, Side(which, Reach(size, size)))
            self.pixels *= size
        self.maps[param] = whole
        for var in self.graph.order:
            if var in self.graph.live:
                self.maps[var] = self._bound(var, self.graph.values[var])
        found = self._get(self.graph.func.body.body)
        return found[0] if isinstance(found, list) else found

    def bytes_per_pixel(self) -> float:
        """Of all maps that are written, for each pixel of the picture."""
        return self.bytes / self.pixels

    def _bound(self, var: relax.Var, value: relax.Expr) -> Any:
        if isinstance(value, relax.TupleGetItem):
            return self._get(value.tuple_value)[int(value.index)]
        if not isinstance(value, relax.Call):
            return self._get(value)
        if not isinstance(var.ty, (relax.TensorType, relax.TupleType)):
            return None
        name = op_name(value) or "a function"
        # What follows a kernel element by element is computed in it.
        if not is_pointwise(name) and isinstance(var.ty, relax.TensorType):
            self.bytes += prod(sizes(var)) * -(-tvm.DataType(str(var.ty.dtype)).bits // 8)
        if name == "relax.call_tir":
            name = value.args[0].name_hint
        try:
            return self._call(name, value, var)
        except Lost as lost:
            raise Lost(f"{name.removeprefix('relax.')}: {lost}") from lost

    def _get(self, expr: relax.Expr) -> Any:
        """The map of a tensor, a list of maps of a tuple; None for what is no tensor."""
        if isinstance(expr, relax.Tuple):
            return [self._get(field) for field in expr.fields]
        if isinstance(expr, relax.Var) and expr in self.maps:
            return self.maps[expr]
        return plain(sizes(expr)) if isinstance(expr.ty, relax.TensorType) else None

    def _call(self, name: str, call: relax.Call, var: relax.Var) -> Any:
        given = [self._get(arg) for arg in call.args]
        flat = [m for arg in given for m in (arg if isinstance(arg, list) else [arg])]
        operands = [m for m in flat if m is not None]
        why = next((m.why for m in operands if m.why), None)
        if not any(m.has_sides for m in operands):
            # Neither does a value follow the sizes of a tile when it is to follow the picture's.
            sized = "a value is computed from the picture's size"
            why = sized if name == "relax.shape_to_tensor" else why
            if isinstance(var.ty, relax.TupleType):
                return [plain(dims(field)).because(why) for field in var.ty.fields]
            return plain(sizes(var)).because(why)
        return result_of(self.graph, call, var, given)
