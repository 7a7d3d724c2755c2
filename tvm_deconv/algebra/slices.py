"""The slices that a stack is made of (``volumes``), for a kernel that has depth as an axis."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Slices:
    """Slices of one size below each other, of which an output slice adds up several.

    Tap t of output slice q, of ``count``, reads slice q + ``first`` + t of ``depth``. Slices have
    ``height`` rows and lie ``pitch`` rows apart in the picture, whose input channels are (group,
    tap, channel): those of the first tap are the channels of the volume, and row i of slice k is
    their row (k - first) * pitch + i.
    """

    taps: int
    first: int
    depth: int
    count: int
    height: int
    pitch: int
