"""Taking back what a transposed convolution adds beyond the map: ``algebra.outside`` says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra import geometry
from tvm_deconv.algebra.outside import Ends, outside_weights

from .convolution import Conv
from .graph import BorderBuilder, Builder


@dataclass(frozen=True)
class _OfLines:
    """A convolution of ``BorderBuilder.border_lines``."""

    h: geometry.ConvAxis
    w: geometry.ConvAxis
    groups: int


def take_back(
    builder: Builder, y: Any, x: Any, conv: Conv, ends: tuple[Ends, Ends], *, linear: bool
) -> Any:
    """``y``, the transposed convolution of ``x`` (NCHW), as ``conv`` of the enlarged map gives it.

    ``ends`` are those of height and width; ``linear`` says how ``x`` is enlarged.
    """
    assert isinstance(builder, BorderBuilder)
    h, w = ends
    lines = {}
    for axis, own, other in ((2, h, w), (3, w, h)):
        if any(own.surplus):
            lines[axis] = _outside(builder, x, conv, axis, own, other, linear)
    return builder.add_border(y, lines, (h.surplus, w.surplus)) if lines else y


def _outside(
    builder: BorderBuilder, x: Any, conv: Conv, axis: int, own: Ends, other: Ends, linear: bool
) -> Any:
    """Minus what the taps in the zeros around ``axis`` add, as ``add_border`` takes it."""
    dilation = conv.dilation if axis == 2 else conv.dilation[::-1]
    weight = outside_weights(conv.weight, axis, dilation[0], own.surplus)
    # Rows go on where columns begin, columns only between the rows: no tap is counted twice.
    copies, (begin, end) = other.line(goes_on=axis == 2)
    sides = own.surplus[0] > 0, own.surplus[1] > 0
    lines = builder.border_lines(x, axis, sides, other.factor, copies, linear)
    along = geometry.ConvAxis(weight.shape[3], begin, end, dilation[1])
    return builder.conv2d(
        lines, weight, _OfLines(geometry.ConvAxis(1), along, conv.groups * sum(sides))
    )
