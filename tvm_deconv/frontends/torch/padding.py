"""``F.pad`` of every mode, also with negative widths, which cut off, and with free ones."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tvm import relax

from tvm_deconv.pads import pad_by_sizes

from .slicing import sliced
from .translation import Converter, Translation
from .values import shape_of

op = relax.op


def pad_constant(t: Translation, x: relax.Expr, pad: Sequence[Any], value: Any) -> relax.Expr:
    return _pad(t, x, pad, "constant", value)


def pad(
    t: Translation, x: relax.Expr, pad: Sequence[Any], mode: str, value: float | None
) -> relax.Expr:
    return _pad(t, x, pad, mode, value or 0)


def pad_mode(mode: str) -> Converter:
    """``reflect`` or ``replicate``."""

    def convert(t: Translation, x: relax.Expr, pad: Sequence[Any]) -> relax.Expr:
        return _pad(t, x, pad, mode, 0)

    return convert


def _pad(t: Translation, x: relax.Expr, pad: Sequence[Any], mode: str, value: Any) -> relax.Expr:
    # PyTorch lists pairs (before, after) from the last axis backwards.
    pairs = [(pad[i], pad[i + 1]) for i in range(0, len(pad), 2)]
    widths = [(0, 0)] * (len(shape_of(x)) - len(pairs)) + pairs[::-1]
    befores = [before for before, _ in widths]
    if not all(isinstance(width, int) for pair in widths for width in pair):
        # As in padding to a multiple of 32; none is negative.
        return t.te(pad_by_sizes, x, befores, t.shape, mode, value)
    cuts = any(width < 0 for pair in widths for width in pair) and mode != "circular"
    if cuts and not all(isinstance(size, int) for size in t.shape):
        # TVM does not fuse a cut of free size into the padding before it, and ends in an error.
        return t.te(pad_by_sizes, x, befores, t.shape, mode, value)
    if mode == "circular":
        # What is cut off does not come round again; a reflection still shows it.
        x = _cut(t, x, widths)
        widths = [(max(before, 0), max(after, 0)) for before, after in widths]
    added = [max(width, 0) for pair in widths for width in pair]
    if any(added):
        x = t.emit(op.nn.pad(x, added, mode, value))
    return _cut(t, x, widths)


def _cut(t: Translation, x: relax.Expr, widths: Sequence[tuple[int, int]]) -> relax.Expr:
    """Without what negative widths take away."""
    for axis, (before, after) in enumerate(widths):
        if min(before, after) < 0:
            length = shape_of(x)[axis] + min(before, 0) + min(after, 0)
            x = sliced(t, x, axis, max(-before, 0), length, 1)
    return x
