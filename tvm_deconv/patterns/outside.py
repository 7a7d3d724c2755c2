"""Taking back what a transposed convolution adds beyond the map: ``algebra.outside`` says why."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra import geometry
from tvm_deconv.algebra.outside import Ends, outside_weights

from .convolution import Conv
from .graph import BorderBuilder, Builder


@dataclass(frozen=True)
class _OfFaces:
    """A convolution of ``BorderBuilder.border_faces``."""

    axes: tuple[geometry.ConvAxis, ...]
    groups: int


def take_back(
    builder: Builder, y: Any, x: Any, conv: Conv, ends: tuple[Ends, ...], *, linear: bool
) -> Any:
    """``y``, the transposed convolution of ``x``, as ``conv`` of the enlarged map gives it.

    Both are channels first. ``ends`` are those of all axes; ``linear`` says how ``x`` is enlarged.
    """
    assert isinstance(builder, BorderBuilder)
    faces = {
        axis: _outside(builder, x, conv, axis, ends, linear)
        for axis, own in enumerate(ends, start=2)
        if any(own.surplus)
    }
    return builder.add_border(y, faces, [own.surplus for own in ends]) if faces else y


def _outside(
    builder: BorderBuilder, x: Any, conv: Conv, axis: int, ends: tuple[Ends, ...], linear: bool
) -> Any:
    """Minus what the taps in the zeros around ``axis`` add, as ``add_border`` takes it."""
    own = ends[axis - 2]
    weight = outside_weights(conv.weight, axis, conv.axes[axis - 2].dilation, own.surplus)
    factors, copies, axes = [], [], []
    for other, (along, kept) in enumerate(zip(conv.axes, ends, strict=True), start=2):
        if other == axis:
            continue
        # A face goes on along the axes behind its own only: no tap is counted twice.
        edges, (begin, end) = kept.along(goes_on=other > axis)
        factors.append(kept.factor)
        copies.append(edges)
        axes.append(geometry.ConvAxis(along.kernel, begin, end, along.dilation))
    sides = own.surplus[0] > 0, own.surplus[1] > 0
    faces = builder.border_faces(x, axis, sides, factors, copies, linear)
    axes = [geometry.ConvAxis(1)] * (2 - len(axes)) + axes
    return builder.conv(faces, weight, _OfFaces(tuple(axes), conv.groups * sum(sides)))
