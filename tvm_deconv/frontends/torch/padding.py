"""``F.pad`` of every mode, also with negative widths, which cut off."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from tvm import relax, te, tirx

from ...errors import ModelError
from .slicing import sliced
from .translation import Converter, Translation
from .values import shape_of

op = relax.op


def pad_constant(t: Translation, x: relax.Expr, pad: Sequence[Any], value: Any) -> relax.Expr:
    widths = _widths(x, pad)
    if all(isinstance(w, int) for pair in widths for w in pair):
        return _padded(t, x, widths, lambda x, flat: op.nn.pad(x, flat, "constant", value))
    befores = [before for before, _ in widths]

    def pad_by_sizes(x: te.Tensor, befores: Sequence[Any], out: Sequence[Any]) -> te.Tensor:
        def element(*i: Any) -> Any:
            at = [j - before for j, before in zip(i, befores, strict=True)]
            inside = [tirx.all(j >= 0, j < size) for j, size in zip(at, x.shape, strict=True)]
            return tirx.if_then_else(tirx.all(*inside), x[tuple(at)], tirx.const(value, x.dtype))

        return te.compute(tuple(out), element, name="pad")

    return t.te(pad_by_sizes, x, befores, t.shape)


def pad(
    t: Translation, x: relax.Expr, widths: Sequence[Any], mode: str, value: float | None
) -> relax.Expr:
    """F.pad of every mode."""
    if mode == "constant":
        return pad_constant(t, x, widths, value or 0)
    return pad_mode(mode)(t, x, widths)


def pad_mode(mode: str) -> Converter:
    """``reflect``, ``replicate`` and ``circular``, each also with negative widths."""

    def convert(t: Translation, x: relax.Expr, pad: Sequence[int]) -> relax.Expr:
        if not all(isinstance(width, int) for width in pad):
            raise ModelError(f"padding {list(pad)} depends on a free size")
        widths = _widths(x, pad)
        if mode == "circular":
            # What is cut off does not come round again; a reflection still shows it.
            x = _cut(t, x, widths)
            widths = [(max(before, 0), max(after, 0)) for before, after in widths]
        return _padded(t, x, widths, lambda x, flat: op.nn.pad(x, flat, mode))

    return convert


def _widths(x: relax.Expr, pad: Sequence[Any]) -> list[tuple[Any, Any]]:
    """(before, after) of every axis: PyTorch lists pairs from the last axis backwards."""
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    return [(0, 0)] * (len(shape_of(x)) - len(pairs)) + pairs[::-1]


def _padded(
    t: Translation,
    x: relax.Expr,
    widths: Sequence[tuple[int, int]],
    pad: Callable[[relax.Expr, list[int]], relax.Expr],
) -> relax.Expr:
    added = [max(width, 0) for pair in widths for width in pair]
    if any(added):
        x = t.emit(pad(x, added))
    return _cut(t, x, widths)


def _cut(t: Translation, x: relax.Expr, widths: Sequence[tuple[int, int]]) -> relax.Expr:
    """Without what negative widths take away."""
    for axis, (before, after) in enumerate(widths):
        if min(before, after) < 0:
            length = shape_of(x)[axis] + min(before, 0) + min(after, 0)
            x = sliced(t, x, axis, max(-before, 0), length, 1)
    return x
