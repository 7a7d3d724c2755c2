"""Whether and how a library computes a picture in tiles."""

from __future__ import annotations

from dataclasses import replace
from fractions import Fraction
from math import isqrt

import numpy as np

from tvm_deconv.algebra.reach import Field, Overlap
from tvm_deconv.errors import ImageError

from .network import PictureNetwork
from .tiles import Plan, plan

# That the maps of one tile may take together, none of which is reused in libraries of free sizes.
_BYTES = 1 << 30
# Smaller tiles are mostly overlap: at three times its width half of the work is.
_SMALLEST, _OVERLAPS = 64, 3


def plans(
    network: PictureNetwork, size: tuple[int, int], name: str, tile: int | None, overlap: int | None
) -> tuple[Plan, Plan]:
    """The tiles along height and width of a picture of this ``size`` called ``name``.

    ``tile`` and ``overlap`` are those of ``tvm_deconv.run``. A network that takes the whole picture
    together is given it whole, unless there is an ``overlap``. Raises ImageError where that cannot
    be, and for tiles that are too small.
    """
    field = network.description.field
    if field is None:
        field = Field(refusal="its library is of an older version, compile it again")
    fixed = network.size
    wanted = [side is not None and side != given for side, given in zip(fixed, size, strict=True)]
    if None not in fixed and tile is not None:
        raise ImageError(f"{network.name} computes {_pixels(fixed)} at once: leave tile away")
    if (tile is not None or any(wanted)) and field.refusal is not None and overlap is None:
        why = f"is for {_pixels(fixed)}" if any(wanted) else "was asked to compute it in tiles"
        raise ImageError(
            f"{name} is {size[1]} x {size[0]} pixels, but {network.name} {why}, and it cannot "
            f"be run in tiles: {field.refusal}; give an image of its size, or an overlap "
            "(--overlap) if tiles may show"
        )
    overlaps = [_overlap(side, overlap) for side in (field.h, field.w)]
    if tile is None and (field.refusal is None or overlap is not None):
        widest = max(side.before + side.after + side.period for side in overlaps)
        affordable = isqrt(int(_BYTES / max(field.bytes_per_pixel, 1)))
        tile = max(affordable, _SMALLEST, _OVERLAPS * widest)
        if tile * tile >= size[0] * size[1]:
            tile = None
    if overlap is not None and None in (field.h, field.w):
        scales = _measured_scales(network)
        overlaps = [replace(o, scale=scale) for o, scale in zip(overlaps, scales, strict=True)]
    rows, columns = (
        plan(given, side, fixed=takes, at_most=tile)
        for given, side, takes in zip(size, overlaps, fixed, strict=True)
    )
    return rows, columns


def _overlap(field: Overlap | None, asked: int | None) -> Overlap:
    """What the network needs along an axis, or was asked for; none where that is not known."""
    known = field or Overlap(0, 0, Fraction(1), 1)
    more = asked or 0
    return replace(known, before=max(known.before, more), after=max(known.after, more))


def _measured_scales(network: PictureNetwork) -> list[Fraction]:
    """Samples of the result for each of a flat picture, along height and width."""
    size = network.probe_size
    result = network(np.zeros((1, network.layout.channels, *size), np.float32))
    return [Fraction(got, given) for got, given in zip(result.shape[2:], size, strict=True)]


def _pixels(size: tuple[int | None, int | None]) -> str:
    height, width = (side or "any" for side in size)
    return f"{width} x {height}"
