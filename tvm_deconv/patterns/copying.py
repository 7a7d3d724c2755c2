"""Operators that only copy samples along D, H and W, or add zeros: as functions on axis maps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from itertools import chain, combinations
from typing import Any

from tvm_deconv.algebra.axis_map import LARGEST_FACTOR, AxisMap

from . import layouts
from .graph import Call, Graph, Refused, Repeated, Tensor
from .nearest import check_nearest
from .operators import PAD, REPEAT, RESHAPE, RESIZE, SLICE

# Of each axis behind N and C.
Maps = tuple[AxisMap, ...]

_SIDES = ("front", "back", "top", "bottom", "left", "right")


@dataclass(frozen=True)
class Copying:
    """``result`` copies samples of ``data``, both of the same layout.

    ``apply`` turns the maps of ``data`` along (H, W), or (D, H, W), into those of ``result``.
    ``upsamples`` marks the operators for which a user expects a line in the report.
    """

    result: Tensor
    data: Tensor
    upsamples: bool
    adds_zeros: bool
    apply: Callable[[Maps], Maps | Refused]


def read_copying(graph: Graph, var: Tensor, layout: str) -> Copying | Refused | None:
    """What computes ``var``, whose layout is ``layout``; None if it does not copy samples.

    Refused is the answer for an operator that resamples in another way (bilinear, fractional, ...).
    """
    repeated = graph.repeated(var)
    if repeated is not None:
        return _function(graph, var, repeated, layout)
    call = graph.call(var)
    reader = None if call is None else _READERS.get(call.op)
    if call is None or reader is None:
        return None
    if not graph.is_variable(call.args[0]) or graph.shape(call.args[0]) is None:
        return None
    return reader(graph, var, call, layout)


def _resize(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | Refused:
    factors = resize_factors(graph, var, call, layout)
    if isinstance(factors, Refused):
        return factors
    return _repeating(var, call.args[0], *factors)


def resize_factors(graph: Graph, var: Tensor, call: Call, layout: str) -> tuple[int, int] | Refused:
    """By how much the resize ``call`` repeats what it reads along height and width."""
    attrs, data = call.attrs, call.args[0]
    name = graph.describe(var)
    if attrs.layout != layout:
        return Refused(f"{name} has layout {attrs.layout}, its reader {layout}")
    if attrs.method != "nearest_neighbor":
        return Refused(f"{name}: method is {attrs.method}, not nearest_neighbor")
    before, after = graph.shape(data), graph.shape(var)
    if before is None or after is None or len(before) != 4:
        return Refused(f"{name}: the shape of {graph.describe(data)} is not known")
    dtypes = graph.dtype(data), graph.dtype(var)
    if dtypes[0] != dtypes[1]:
        return Refused(f"{name} changes the dtype from {dtypes[0]} to {dtypes[1]}")
    roi = [float(r.value) for r in attrs.roi]
    _, _, *sizes = layouts.dims(before, layout)
    _, _, *targets = layouts.dims(after, layout)
    factors = []
    for i, axis in enumerate("HW"):
        found = check_nearest(graph, attrs, (roi[i], roi[i + 2]), sizes[i], targets[i])
        if isinstance(found, Refused):
            return Refused(f"{name}, axis {axis}: {found.reason}")
        factors.append(found)
    return factors[0], factors[1]


def _repeating(result: Tensor, data: Tensor, *factors: int) -> Copying:
    def apply(maps: Maps) -> Maps:
        return tuple(m.repeated(r) for m, r in zip(maps, factors, strict=True))

    return Copying(result, data, max(factors) > 1, False, apply)


def _function(graph: Graph, var: Tensor, found: Repeated, layout: str) -> Copying | None:
    """A function that repeats, and may leave out copies of the last sample."""
    sizes, shape = graph.shape(found.data), graph.shape(var)
    if sizes is None or shape is None or len(shape) != len(layout):
        return None
    batch, channels, *factors = layouts.dims(found.factors, layout)
    before, after = layouts.dims(sizes, layout)[2:], layouts.dims(shape, layout)[2:]
    if (batch, channels) != (1, 1):
        return None
    left_out = [size * r - n for size, r, n in zip(before, factors, after, strict=True)]

    def apply(maps: Maps) -> Maps | Refused:
        of_axes = zip(maps, factors, left_out, strict=True)
        cut = [m.repeated(r).cut(0, n) for m, r, n in of_axes]
        assert all(cut)  # Each sample has a copy.
        return tuple(m for m in cut if m is not None)

    return Copying(var, found.data, max(factors) > 1, False, apply)


def _slice(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | None:
    before, after = graph.shape(call.args[0]), graph.shape(var)
    if before is None or after is None or len(before) != len(layout):
        return None
    cuts = []
    for size, part, begin in zip(before, after, call.attrs.begin, strict=True):
        tried = [size - begin - part] if _are_known(size, part) else range(LARGEST_FACTOR)
        end = next((n for n in tried if graph.same(part + begin + n, size)), None)
        if end is None:
            return None
        cuts.append((begin, end))
    batch, channels, *sides = layouts.dims(cuts, layout)
    if batch != (0, 0) or channels != (0, 0):
        return None

    def apply(maps: Maps) -> Maps | Refused:
        cut = [m.cut(*side) for m, side in zip(maps, sides, strict=True)]
        found = tuple(m for m in cut if m is not None)
        if len(found) == len(cut):
            return found
        names = ", ".join(_SIDES[-2 * len(sides) :])
        return Refused(
            f"{graph.describe(var)} crops {tuple(chain(*sides))} samples ({names}), all copies of "
            "one or more"
        )

    return Copying(var, call.args[0], False, False, apply)


def _are_known(*sizes: Any) -> bool:
    return all(isinstance(size, int) for size in sizes)


def _repeat(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | None:
    shape = graph.shape(call.args[0])
    if call.attrs.axis is None or shape is None or len(shape) != len(layout):
        return None
    name, names = layout[int(call.attrs.axis)], layouts.channels_first(layout)[2:]
    if name not in names:
        return None
    factors = [int(call.attrs.repeats) if name == axis else 1 for axis in names]
    return _repeating(var, call.args[0], *factors)


def _take(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | None:
    indices = graph.constant(call.args[1])
    shape = graph.shape(call.args[0])
    if call.attrs.axis is None or shape is None or len(shape) != len(layout):
        return None
    position = int(call.attrs.axis) % len(layout)
    size, name = shape[position], layout[position]
    names = layouts.channels_first(layout)[2:]
    if name not in names or indices is None or indices.ndim != 1 or not isinstance(size, int):
        return None
    picks, at = [int(i) for i in indices], names.index(name)

    def apply(maps: Maps) -> Maps | Refused:
        new = maps[at].taken(picks)
        if new is None:
            return Refused(f"{graph.describe(var)} takes samples in no upsampling order: {picks}")
        return (*maps[:at], new, *maps[at + 1 :])

    return Copying(var, call.args[0], len(picks) >= 2 * size, False, apply)


def _pad(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | Refused | None:
    attrs, data = call.attrs, call.args[0]
    widths = [int(w) for w in attrs.pad_width]
    if len(widths) != 2 * len(layout):
        return None
    n, c, *sides = layouts.dims(list(zip(widths[::2], widths[1::2], strict=True)), layout)
    mode, name = str(attrs.pad_mode), graph.describe(var)
    if any((*n, *c)):
        return Refused(f"{name} pads batch or channels: {widths}")
    if min(chain(*sides)) < 0:
        return Refused(f"{name} has a negative width: {widths}")
    if mode == "constant":
        if float(attrs.pad_value) != 0:
            return Refused(f"{name}: pad_value is {float(attrs.pad_value):g}, not 0")

        def zeros(maps: Maps) -> Maps:
            return tuple(m.zero_padded(*side) for m, side in zip(maps, sides, strict=True))

        return Copying(var, data, False, True, zeros)

    def apply(maps: Maps) -> Maps | Refused:
        padded = [m.padded(begin, end, mode) for m, (begin, end) in zip(maps, sides, strict=True)]
        found = tuple(m for m in padded if m is not None)
        if len(found) < len(padded):
            return Refused(f"{name}: {mode} padding {widths} reaches across the tensor")
        return found

    return Copying(var, data, False, False, apply)


def _broadcast(graph: Graph, var: Tensor, call: Call, layout: str) -> Copying | None:
    """reshape(broadcast_to(x with axes of size 1 inserted)): repeats along H, W and D."""
    spread = graph.call(call.args[0])
    if spread is None or spread.op not in ("broadcast_to", "tile"):
        return None
    rank = len(layout)
    data, inserted = _strip(graph, spread.args[0], rank)
    shape, wide, merged = graph.shape(data), graph.shape(call.args[0]), graph.shape(var)
    if shape is None or wide is None or merged is None or {len(shape), len(merged)} != {rank}:
        return None
    # Axes of size 1 make the places ambiguous; any reading that explains the shapes is right,
    # because both reshapes keep the order of the samples.
    for places in combinations(range(len(inserted)), rank):
        counts = _counts(graph, places, shape, inserted, wide)
        if counts is None:
            continue
        n, c, *factors = layouts.dims(counts, layout)
        expected = [size * count for size, count in zip(shape, counts, strict=True)]
        if (n, c) == (1, 1) and graph.same_shape(merged, expected):
            return _repeating(var, data, *factors)
    return None


def _strip(graph: Graph, expr: Tensor, rank: int) -> tuple[Tensor, tuple[Any, ...]]:
    """(x of so many axes, shape of ``expr``) where ``expr`` is x with axes of size 1 inserted."""
    shape, data = graph.shape(expr) or (), expr
    while (call := graph.call(data)) is not None and call.op in ("expand_dims", RESHAPE):
        inner = call.args[0]
        plain = [d for d in graph.shape(data) or () if not _is_one(d)]
        before = [d for d in graph.shape(inner) or () if not _is_one(d)]
        if len(plain) != len(before) or not all(map(graph.same, plain, before)):
            break
        data = inner
        if len(graph.shape(data) or ()) == rank:
            break
    return data, shape


def _is_one(dim: Any) -> bool:
    return isinstance(dim, int) and dim == 1


def _counts(
    graph: Graph,
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
            if not (graph.same(before, shape[axis]) and graph.same(after, shape[axis])):
                return None
        elif _is_one(before) and isinstance(after, int):
            counts[sum(place < position for place in places) - 1] *= after
        else:
            return None
    return counts


_READERS: dict[str, Callable[[Graph, Tensor, Call, str], Copying | Refused | None]] = {
    RESIZE: _resize,
    REPEAT: _repeat,
    "take": _take,
    PAD: _pad,
    RESHAPE: _broadcast,
    SLICE: _slice,
}
