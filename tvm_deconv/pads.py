"""Padding by widths that are formulas in free sizes, as in padding to a multiple of 32."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import sym, te, tirx


def pad_by_sizes(
    x: te.Tensor, befores: Sequence[Any], out: Sequence[Any], mode: str, value: float = 0.0
) -> te.Tensor:
    """``x`` with ``befores`` elements before each axis, and as many behind that it has ``out``.

    ``mode`` is constant (``value``), reflect, replicate or circular. Constants may have negative
    widths, which cut off. A reflection must be narrower than the axis: nothing is asked here.
    """

    analyzer = sym.Analyzer()
    padded = [
        not (analyzer.can_prove_equal(before, 0) and analyzer.can_prove_equal(n, length))
        for before, n, length in zip(befores, x.shape, out, strict=True)
    ]

    def element(*i: Any) -> Any:
        places = [j - before for j, before in zip(i, befores, strict=True)]
        axes = list(zip(places, x.shape, padded, strict=True))
        if mode != "constant":
            sources = [_SOURCES[mode](p, n) if touched else p for p, n, touched in axes]
            place, size, is_cut = axes[-1]
            is_cut = is_cut and all(isinstance(n, int | tirx.IntImm) for n in (size, befores[-1]))
            if not is_cut:
                return x(*sources)
            # Between the edges of a row of known length a copy, for schedules to find.
            inside = tirx.all(place >= 0, place < size)
            return tirx.if_then_else(inside, x(*sources[:-1], place), x(*sources))
        inside = [tirx.all(p >= 0, p < n) for p, n, touched in axes if touched]
        return tirx.if_then_else(tirx.all(*inside), x(*places), tirx.const(value, x.dtype))

    return te.compute(tuple(out), element, name="pad")


# Where the element at place p comes from, of an axis of size n.
_SOURCES = {
    "reflect": lambda p, n: _mirrored(tirx.max(p, -p), 2 * (n - 1)),
    "replicate": lambda p, n: tirx.max(tirx.min(p, n - 1), 0),
    "circular": lambda p, n: tirx.floormod(p, n),
}


def _mirrored(p: Any, sum_of_both: Any) -> Any:
    return tirx.min(p, sum_of_both - p)
