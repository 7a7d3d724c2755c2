"""``LowerShuffles``: axes split, permuted or repeated, and merged again, as one function.

A pixel shuffle that no rule rewrote, its inverse, channel shuffles, windows and heads of attention
are all reshape -> permute_dims -> reshape; a repeat is reshape -> broadcast_to -> reshape. With
free sizes TVM makes of that a chain of divisions by symbolic sizes, over which it and LLVM sit for
minutes. As one gather, an index is divided by the factors of its own axis only::

    x[n, c, H, W] -> [n, c, h, r, w, r] -> [n, c, r, r, h, w] -> y[n, c*r*r, h, w]
    => y[n, k, i, j] = x[n, k // r**2, i*r + k // r % r, j*r + k % r]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import tvm
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.transform.graph import Graph, op_name, same, shape_of
from tvm_deconv.transform.rebind import Emit, with_other_values

_RESHAPE, _PERMUTE = "relax.reshape", "relax.permute_dims"
_SPREADS = ("relax.broadcast_to", "relax.tile")


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.LowerShuffles")
class LowerShuffles:
    """Relax module pass: shuffles of any form, rank and size to one unscheduled PrimFunc each.

    A shuffle is a ``permute_dims`` between two reshapes that split and merge axes, or one that
    repeats axes of size 1; where a size is free, one reshape is enough. The result is elementwise
    in its output, so that FuseOps can join it with what follows.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        """The module with every shuffle as a single function."""
        return with_other_values(mod, _values_of)


@dataclass(frozen=True)
class _Shuffle:
    """``result`` is ``data`` with its axes split into ``sizes``, permuted or repeated, and merged.

    ``split`` has the places of each axis of the data among the sizes, ``merged`` those of each axis
    of the result, in the order in which they make it up. A place that only ``merged`` has repeats
    the data.
    """

    result: relax.Var
    data: relax.Var
    sizes: tuple[Any, ...]
    split: tuple[tuple[int, ...], ...]
    merged: tuple[tuple[int, ...], ...]

    def emit(self, rebuild: PyExprMutator) -> relax.Expr:
        """The call of the function."""
        gather, data = _gather(self, shape_of(self.result)), rebuild.visit_expr(self.data)
        return rebuild.builder_.call_te(gather, data, primfunc_name_hint="shuffle")


def _values_of(_work: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Emit]:
    graph = Graph(func)
    found = (_read(graph, var) for var in graph.order if var in graph.live)
    return {shuffle.result: shuffle.emit for shuffle in found if shuffle is not None}


def _read(graph: Graph, var: relax.Var) -> _Shuffle | None:
    middle: relax.Expr = var
    if op_name(graph.value(var)) == _RESHAPE:
        middle = graph.value(var).args[0]
    mover = graph.value(middle)
    if op_name(mover) not in (_PERMUTE, *_SPREADS):
        return None
    data = first = mover.args[0]
    if graph.op(first) == _RESHAPE:
        data = graph.value(first).args[0]
    if not isinstance(data, relax.Var) or shape_of(data) is None or shape_of(var) is None:
        return None
    sizes, moved = shape_of(first), shape_of(middle)
    if sizes is None or moved is None or len(sizes) != len(moved):
        return None
    reshapes = (middle is not var) + (first is not data)
    is_free = not all(isinstance(size, int) for size in (*sizes, *moved))
    if reshapes < 2 and not (is_free and reshapes):
        return None
    axes = list(range(len(sizes)))
    if op_name(mover) == _PERMUTE:
        if mover.attrs.axes is None:
            return None
        axes = [int(axis) for axis in mover.attrs.axes]
    elif not all(same(size, 1) or same(size, new) for size, new in zip(sizes, moved, strict=True)):
        return None
    split, merged = _grouped(shape_of(data) or (), sizes), _grouped(shape_of(var) or (), moved)
    if split is None or merged is None:
        return None
    places = tuple(tuple(axes[place] for place in group) for group in merged)
    if op_name(mover) in _SPREADS:
        kept = [place for place in axes if same(sizes[place], moved[place])]
        split = tuple(tuple(place for place in group if place in kept) for group in split)
        sizes = moved
    return _Shuffle(var, data, tuple(sizes), split, places)


def _grouped(whole: Sequence[Any], parts: Sequence[Any]) -> tuple[tuple[int, ...], ...] | None:
    """Which neighbouring parts make up each dimension; None where that is not provable."""
    groups: list[tuple[int, ...]] = []
    place = 0
    for size in whole:
        begin = place
        while place < len(parts) and not (place > begin and _make_up(parts[begin:place], size)):
            place += 1
        if not _make_up(parts[begin:place], size):
            return None
        groups.append(tuple(range(begin, place)))
    if any(not same(part, 1) for part in parts[place:]):
        return None
    if groups:
        groups[-1] += tuple(range(place, len(parts)))
    return tuple(groups)


def _make_up(parts: Sequence[Any], size: Any) -> bool:
    """Whether the parts' product is the size, or is where the reshape is possible at all.

    ``h // 2`` rows of 2 are h where h is even. They are never more, so no other axis makes up for
    what is missing where it is odd.
    """
    product = prod(parts)
    if same(product, size):
        return True
    known = prod(part for part in parts if isinstance(part, int))
    return known > 1 and not isinstance(size, int) and same(product, size // known * known)


def _gather(shuffle: _Shuffle, shape: Any):
    """The function above for TVM's tensor expressions."""
    sizes = shuffle.sizes

    def parts_of(index: Any, group: Sequence[int]) -> dict[int, Any]:
        """The index along each part of an axis; the last part varies fastest."""
        found: dict[int, Any] = {}
        for number, place in reversed(list(enumerate(group))):
            found[place] = index % sizes[place] if number else index
            index = index // sizes[place]
        return found

    def gather(x: te.Tensor) -> te.Tensor:
        def element(*indices: Any) -> Any:
            parts: dict[int, Any] = {}
            for index, group in zip(indices, shuffle.merged, strict=True):
                parts |= parts_of(index, group)
            places = []
            for group in shuffle.split:
                place: Any = 0
                for part in group:
                    place = place * sizes[part] + parts[part]
                places.append(place)
            return x[tuple(places)]

        return te.compute(shape, element, name="shuffle")

    return gather
