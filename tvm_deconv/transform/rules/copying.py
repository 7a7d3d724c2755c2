"""Operators that only copy samples along H and W, or add zeros: as functions on axis maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from tvm import relax

from tvm_deconv.algebra.axis_map import AxisMap
from tvm_deconv.transform import layouts
from tvm_deconv.transform.graph import Graph, Refused, op_name, same, same_shape, shape_of

from .nearest import check_nearest

Maps = tuple[AxisMap, AxisMap]
RESIZE = "relax.image.resize2d"


@dataclass(frozen=True)
class Copying:
    """``result`` copies samples of ``data``, both of the same layout.

    ``apply`` turns the maps of ``data`` along (H, W) into those of ``result``. ``upsamples`` marks
    the operators for which a user expects a line in the report.
    """

    result: relax.Var
    data: relax.Var
    upsamples: bool
    adds_zeros: bool
    apply: Callable[[Maps], Maps | Refused]


def read_copying(graph: Graph, var: relax.Var, layout: str) -> Copying | Refused | None:
    """What computes ``var``, whose layout is ``layout``; None if it does not copy samples.

    Refused is the answer for an operator that resamples in another way (bilinear, fractional, ...).
    """
    value = graph.value(var)
    op = op_name(value)
    reader = _READERS.get(op) if op is not None else None
    if reader is None:
        return None
    shape = shape_of(value.args[0])
    if not isinstance(value.args[0], relax.Var) or shape is None:
        return None
    return reader(graph, var, value, layout)


def _resize(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> Copying | Refused:
    attrs, data = call.attrs, call.args[0]
    name = graph.describe(var)
    if attrs.layout != layout:
        return Refused(f"{name} has layout {attrs.layout}, its reader {layout}")
    if attrs.method != "nearest_neighbor":
        return Refused(f"{name}: method is {attrs.method}, not nearest_neighbor")
    before, after = shape_of(data), shape_of(var)
    if before is None or after is None or len(before) != 4:
        return Refused(f"{name}: the shape of {graph.describe(data)} is not known")
    if var.ty.dtype != data.ty.dtype:
        return Refused(f"{name} changes the dtype from {data.ty.dtype} to {var.ty.dtype}")
    roi = [float(r.value) for r in attrs.roi]
    _, _, *sizes = layouts.dims(before, layout)
    _, _, *targets = layouts.dims(after, layout)
    factors = []
    for i, axis in enumerate("HW"):
        found = check_nearest(attrs, (roi[i], roi[i + 2]), sizes[i], targets[i])
        if isinstance(found, Refused):
            return Refused(f"{name}, axis {axis}: {found.reason}")
        factors.append(found)
    return _repeating(var, data, factors[0], factors[1])


def _repeating(result: relax.Var, data: relax.Var, rh: int, rw: int) -> Copying:
    def apply(maps: Maps) -> Maps:
        return maps[0].repeated(rh), maps[1].repeated(rw)

    return Copying(result, data, rh * rw > 1, False, apply)


def _repeat(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> Copying | None:
    shape = shape_of(call.args[0])
    if call.attrs.axis is None or shape is None or len(shape) != 4:
        return None
    name, count = layout[int(call.attrs.axis) % 4], int(call.attrs.repeats)
    if name not in "HW":
        return None
    return _repeating(var, call.args[0], count if name == "H" else 1, count if name == "W" else 1)


def _take(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> Copying | None:
    indices = graph.constant(call.args[1])
    shape = shape_of(call.args[0])
    if call.attrs.axis is None or shape is None or len(shape) != 4:
        return None
    position = int(call.attrs.axis) % 4
    size, name = shape[position], layout[position]
    if name not in "HW" or indices is None or indices.ndim != 1 or not isinstance(size, int):
        return None
    picks = [int(i) for i in indices]

    def apply(maps: Maps) -> Maps | Refused:
        h, w = maps
        new = (h if name == "H" else w).taken(picks)
        if new is None:
            return Refused(f"{graph.describe(var)} takes samples in no upsampling order: {picks}")
        return (new, w) if name == "H" else (h, new)

    return Copying(var, call.args[0], len(picks) >= 2 * size, False, apply)


def _pad(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> Copying | Refused | None:
    attrs, data = call.attrs, call.args[0]
    widths = [int(w) for w in attrs.pad_width]
    if len(widths) != 8:
        return None
    n, c, h, w = (widths[2 * layout.index(k) : 2 * layout.index(k) + 2] for k in "NCHW")
    mode, name = str(attrs.pad_mode), graph.describe(var)
    if any((*n, *c)):
        return Refused(f"{name} pads batch or channels: {widths}")
    if min(*h, *w) < 0:
        return Refused(f"{name} has a negative width: {widths}")
    if mode == "constant":
        if float(attrs.pad_value) != 0:
            return Refused(f"{name}: pad_value is {float(attrs.pad_value):g}, not 0")
        return Copying(
            var, data, False, True, lambda m: (m[0].zero_padded(*h), m[1].zero_padded(*w))
        )

    def apply(maps: Maps) -> Maps | Refused:
        new_h, new_w = maps[0].padded(h[0], h[1], mode), maps[1].padded(w[0], w[1], mode)
        if new_h is None or new_w is None:
            return Refused(f"{name}: {mode} padding {widths} reaches across the tensor")
        return new_h, new_w

    return Copying(var, data, False, False, apply)


def _broadcast(graph: Graph, var: relax.Var, call: relax.Call, layout: str) -> Copying | None:
    """reshape(broadcast_to(x with axes of size 1 inserted)): repeats along H and W."""
    spread = graph.value(call.args[0])
    if op_name(spread) not in ("relax.broadcast_to", "relax.tile"):
        return None
    data, inserted = _strip(graph, spread.args[0])
    shape, wide, merged = shape_of(data), shape_of(call.args[0]), shape_of(var)
    if shape is None or wide is None or merged is None or len(shape) != 4 or len(merged) != 4:
        return None
    # Axes of size 1 make the places ambiguous; any reading that explains the shapes is right,
    # because both reshapes keep the order of the samples.
    for places in combinations(range(len(inserted)), 4):
        counts = _counts(places, shape, inserted, wide)
        if counts is None:
            continue
        n, c, rh, rw = layouts.dims(counts, layout)
        expected = [size * count for size, count in zip(shape, counts, strict=True)]
        if (n, c) == (1, 1) and same_shape(merged, expected):
            return _repeating(var, data, rh, rw)
    return None


def _strip(graph: Graph, expr: relax.Var) -> tuple[relax.Var, tuple[Any, ...]]:
    """(x, shape of ``expr``) where ``expr`` is x with axes of size 1 inserted."""
    shape, data = shape_of(expr) or (), expr
    while graph.op(data) in ("relax.expand_dims", "relax.reshape"):
        inner = graph.value(data).args[0]
        plain = [d for d in shape_of(data) or () if not _is_one(d)]
        before = [d for d in shape_of(inner) or () if not _is_one(d)]
        if len(plain) != len(before) or not all(map(same, plain, before)):
            break
        data = inner
        if len(shape_of(data) or ()) == 4:
            break
    return data, shape


def _is_one(dim: Any) -> bool:
    return isinstance(dim, int) and dim == 1


def _counts(
    places: tuple[int, ...],
    shape: tuple[Any, ...],
    inserted: tuple[Any, ...],
    wide: tuple[Any, ...],
) -> list[int] | None:
    """How often each sample is repeated, if the axes of ``shape`` stand at ``places``."""
    if len(inserted) != len(wide) or places[0] != 0:
        return None
    counts = [1] * len(shape)
    for position, (before, after) in enumerate(zip(inserted, wide, strict=True)):
        if position in places:
            axis = places.index(position)
            if not (same(before, shape[axis]) and same(after, shape[axis])):
                return None
        elif _is_one(before) and isinstance(after, int):
            counts[sum(place < position for place in places) - 1] *= after
        else:
            return None
    return counts


_READERS: dict[str, Callable[[Graph, relax.Var, relax.Call, str], Copying | Refused | None]] = {
    RESIZE: _resize,
    "relax.repeat": _repeat,
    "relax.take": _take,
    "relax.nn.pad": _pad,
    "relax.reshape": _broadcast,
}
