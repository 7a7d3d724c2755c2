"""Which samples of a network's input a sample of a map depends on, along one axis.

Sample ``i`` of a map of ``scale`` samples for each of the input depends on the input's samples from
``i / scale + low`` to ``i / scale + high``, and a shift of the input by ``period`` samples shifts
the map by ``period * scale`` samples. An operator that makes sample ``o`` from the samples
``o / factor + [first, last]`` of its operand therefore gives

    scale' = scale * factor         low' = low + first / scale       high' = high + last / scale
    period' = lcm(period, denominator of scale')

A tile of the input, cut out at a multiple of the period, then gives the same samples as the whole
input, wherever ``[i / scale + low, i / scale + high]`` lies in the tile. Padding makes no exception
if samples that a map does not have depend on something outside the input: ``clamped`` widens the
reach until they do. At a border of the tile that is none of the input, what is padded then spoils
only samples that the tile has not enough input for, and at one that is, the tile is padded as the
whole input is.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from fractions import Fraction
from math import ceil, lcm

from .geometry import Axis


@dataclass(frozen=True)
class Reach:
    """Of a map of ``size`` samples made from an input of ``whole``; numbers as the module says."""

    size: int
    whole: int
    scale: Fraction = Fraction(1)
    low: Fraction = Fraction(0)
    high: Fraction = Fraction(0)
    period: int = 1

    def reading(
        self, size: int, factor: Fraction | int, first: Fraction | int, last: Fraction | int
    ) -> Reach:
        """A map of ``size`` samples, ``o`` made from ``o / factor + [first, last]`` of this one."""
        scale = self.scale * factor
        return replace(
            self,
            size=size,
            scale=scale,
            low=self.low + first / self.scale,
            high=self.high + last / self.scale,
            period=lcm(self.period, scale.denominator),
        ).clamped()

    def window(self, size: int, extent: int, stride: int, begin: int) -> Reach:
        """A convolution or a pool: ``extent`` samples from ``stride * o - begin`` on."""
        return self.reading(size, Fraction(1, stride), -begin, extent - 1 - begin)

    def transposed(self, size: int, axis: Axis) -> Reach:
        """A transposed convolution: block ``y = floor(o / stride)`` reads ``y + halo``."""
        first, last = axis.halo
        behind = Fraction(axis.stride - 1, axis.stride)
        return self.reading(size, axis.stride, first - behind, last)

    def reflected(self, size: int, begin: int, end: int) -> Reach:
        """A reflection about the first and the last sample by ``begin`` and ``end`` samples."""
        return self.reading(size, 1, -begin - 2 * end, max(begin, -begin))

    def repeated(self, factor: int) -> Reach:
        """Every sample ``factor`` times, or ``factor`` maps merged into one."""
        behind = Fraction(factor - 1, factor)
        return self.reading(self.size * factor, factor, -behind, 0)

    def split(self, factor: int) -> Reach:
        """``factor`` samples each become samples of ``factor`` maps."""
        return self.reading(self.size // factor, Fraction(1, factor), 0, factor - 1)

    def joined(self, other: Reach) -> Reach | None:
        """A map made from both sample by sample; None where their samples do not lie together."""
        if (self.size, self.whole, self.scale) != (other.size, other.whole, other.scale):
            return None
        return replace(
            self,
            low=min(self.low, other.low),
            high=max(self.high, other.high),
            period=lcm(self.period, other.period),
        )

    def clamped(self) -> Reach:
        """This, so that samples before the first and behind the last depend on such of the input.

        Sample -1 must depend on one before 0, so ``low <= 0``; sample ``size`` on one behind
        ``whole - 1``.
        """
        beyond = self.whole - self.size / self.scale
        return replace(self, low=min(self.low, Fraction(0)), high=max(self.high, beyond))

    def overlap(self) -> Overlap:
        """What a tile needs around the samples that are taken from its result."""
        return Overlap(
            before=max(0, ceil(-self.low)),
            # Of the last sample that is taken, which lies 1 / scale before the next tile's first.
            after=max(0, ceil(self.high + 1 - 1 / self.scale)),
            scale=self.scale,
            period=self.period,
        )


@dataclass(frozen=True)
class Overlap:
    """Along one axis of a network's input: what a tile has more than its share of the result.

    A tile for the input's samples ``p`` to ``q`` begins at a multiple of ``period``, ``before``
    samples before ``p`` or earlier, and ends ``after`` samples behind ``q`` or later, or where the
    input does; ``scale`` samples of the result belong to one of the input.
    """

    before: int
    after: int
    scale: Fraction
    period: int


@dataclass(frozen=True)
class Field:
    """What a network's result depends on, along height and width.

    ``refusal`` says why it depends on the whole picture, where it does. The overlaps are None where
    even the places of its samples are not known. ``bytes_per_pixel`` is what all maps between its
    kernels take for each pixel of the picture.
    """

    h: Overlap | None = None
    w: Overlap | None = None
    refusal: str | None = None
    bytes_per_pixel: float = 0.0
