"""The slices that a stack is made of (``volumes``), for a kernel that has depth as an axis."""

from __future__ import annotations

from dataclasses import dataclass

from .geometry import Axis


@dataclass(frozen=True)
class Slices:
    """Slices of one size below each other, of which an output slice adds up several.

    Along ``axis``, of stride 1, an output slice reads one slice of input for each tap. There are
    ``depth`` of them, of ``height`` rows; in the picture they lie ``pitch`` rows apart. Its input
    channels are (group, tap, channel): those of the first tap are the channels of the volume, and
    row i of slice k is their row (k - first) * pitch + i.
    """

    axis: Axis
    depth: int
    height: int
    pitch: int

    @property
    def taps(self) -> int:
        return self.axis.kernel

    @property
    def first(self) -> int:
        """The input slice that the first tap of output slice 0 reads."""
        return self.axis.halo[0]

    @property
    def count(self) -> int:
        """Output slices."""
        return int(self.axis.output_size(self.depth))


def axis_of_taps(first: int, taps: int, depth: int, count: int) -> Axis | None:
    """The axis whose tap t reads slice q + ``first`` + t for output slice q of ``count``.

    None where the taps of output slice 0 are all before the volume.
    """
    begin = first + taps - 1
    if begin < 0:
        return None
    end = depth + taps - 1 - begin - count
    return Axis(taps, 1, begin, max(end, 0), max(-end, 0))
