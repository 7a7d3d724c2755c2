"""Index maps along one axis: which low-resolution sample each high-resolution sample copies.

Every operator between a low-resolution tensor and a convolution that only copies samples or adds
zeros (resize, repeat, take, crop, pad) is a map from positions to sources. Chains of them compose
here, and one question is asked at the end: is the result nearest xr of an edge-padded input, with
zeros outside? Nothing is concluded from the name of a mode.

A map is three parts: explicit sources of the first samples (``begin``), ``factor`` copies of each
input sample, explicit sources of the last samples (``end``). Sources in ``begin`` count from the
first input sample, those in ``end`` from the last, so a map needs no input length and holds for
symbolic sizes. Of the first and of the last input sample some copies may have been cropped: a map
of 3 samples enlarged to 5 is one to 6, less the last.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

ZERO = -1

# Factors that are tried when a size is symbolic or an index vector is explicit.
LARGEST_FACTOR = 64

# Where a padding reads, counted from the edge: the nearest padded sample, and how it goes on.
_FIRST_AND_STEP = {"replicate": (0, 0), "reflect": (1, 1), "symmetric": (0, 1)}


@dataclass(frozen=True)
class AxisMap:
    """``begin + [0]*factor + [1]*factor + ... + end``; see the module docstring.

    ``size`` is the number of input samples, None if symbolic. ``cropped`` counts the copies that
    the first and the last input sample lack, of which each keeps at least one.
    """

    size: int | None
    factor: int = 1
    begin: tuple[int, ...] = ()
    end: tuple[int, ...] = ()
    cropped: tuple[int, int] = (0, 0)

    def repeated(self, count: int) -> AxisMap:
        """Every sample ``count`` times: nearest resize, repeat, broadcast."""
        return AxisMap(
            self.size,
            self.factor * count,
            tuple(s for s in self.begin for _ in range(count)),
            tuple(s for s in self.end for _ in range(count)),
            (self.cropped[0] * count, self.cropped[1] * count),
        )

    def zero_padded(self, begin: int, end: int) -> AxisMap:
        zeros = (ZERO,)
        return replace(self, begin=zeros * begin + self.begin, end=self.end + zeros * end)

    def cut(self, begin: int, end: int) -> AxisMap | None:
        """Without the first and the last samples; None if that takes all copies of an input."""
        kept = self.begin[begin:], self.end[: max(len(self.end) - end, 0)]
        more = max(begin - len(self.begin), 0), max(end - len(self.end), 0)
        cropped = self.cropped[0] + more[0], self.cropped[1] + more[1]
        if max(cropped) >= self.factor or (self.size == 1 and sum(cropped) >= self.factor):
            return None
        return AxisMap(self.size, self.factor, *kept, cropped)

    def padded(self, begin: int, end: int, mode: str) -> AxisMap | None:
        """Replicate, reflect or symmetric padding; None if a source cannot be named.

        That happens when the pad reaches across the input, or in any other mode (circular). A
        symmetric reflection begins with the sample at the edge itself.
        """
        if not (begin or end):
            return self
        if mode not in _FIRST_AND_STEP:
            return None
        start, step = _FIRST_AND_STEP[mode]
        first = [self._from_begin(start + step * i) for i in range(begin)]
        last = [self._from_end(start + step * i) for i in range(end)]
        if any(s is None for s in (*first, *last)):
            return None
        head = tuple(s for s in reversed(first) if s is not None)
        tail = tuple(s for s in last if s is not None)
        return replace(self, begin=head + self.begin, end=self.end + tail)

    def taken(self, indices: Sequence[int]) -> AxisMap | None:
        """The samples at ``indices``; None if the result is no such map or the size is symbolic."""
        samples = self.samples()
        if samples is None or any(not 0 <= i < len(samples) for i in indices):
            return None
        return from_samples([samples[i] for i in indices], self.size or 0)

    def samples(self) -> list[int] | None:
        """The source of every sample (ZERO for a zero); None for a symbolic size."""
        if self.size is None:
            return None
        first, behind = self.cropped[0], self.size * self.factor - self.cropped[1]
        core = [i // self.factor for i in range(first, behind)]
        last = [s if s == ZERO else self.size - 1 - s for s in self.end]
        return [*self.begin, *core, *last]

    def _from_begin(self, position: int) -> int | None:
        """Source of the sample at ``position``, counted from the first input sample."""
        if position < len(self.begin):
            return self.begin[position]
        source = (position - len(self.begin) + self.cropped[0]) // self.factor
        return source if self._within(source) else None

    def _from_end(self, position: int) -> int | None:
        if position < len(self.end):
            return self.end[-1 - position]
        source = (position - len(self.end) + self.cropped[1]) // self.factor
        return source if self._within(source) else None

    def _within(self, source: int) -> bool:
        # A reflection must stay inside the tensor, so without explicit ends a source that it names
        # exists whatever the size is; with them only the first sample is sure to.
        if self.size is None:
            return source == 0 or not (self.begin or self.end)
        return source < self.size


def from_samples(samples: Sequence[int], size: int) -> AxisMap | None:
    """The map with these sources, with the largest factor that fits; None if there is none."""
    samples = list(samples)
    for factor in range(min(len(samples) // size, LARGEST_FACTOR), 0, -1):
        core = [i // factor for i in range(size * factor)]
        for start in range(len(samples) - len(core) + 1):
            if samples[start : start + len(core)] == core:
                end = samples[start + len(core) :]
                flipped = tuple(s if s == ZERO else size - 1 - s for s in end)
                return AxisMap(size, factor, tuple(samples[:start]), flipped)
    return _cropped_map(samples, size)


def _cropped_map(samples: Sequence[int], size: int) -> AxisMap | None:
    """The map of ``samples`` that is nothing but cropped, with the smallest factor; else None."""
    counts = [samples.count(source) for source in range(size)]
    factor = max(counts[1:-1] or counts)
    cropped = factor - counts[0], factor - counts[-1]
    if min(counts) < 1 or min(cropped) < 0 or factor > LARGEST_FACTOR:
        return None
    found = AxisMap(size, factor, cropped=cropped if size > 1 else (0, 0))
    return found if found.samples() == list(samples) else None


@dataclass(frozen=True)
class Border:
    """One side of the final map: ``zeros`` outermost, then ``edge`` copies of the edge sample.

    An ``edge`` of -1 says that one of its own copies is cropped.
    """

    zeros: int
    edge: int


def border(outside_in: Sequence[int], cropped: int = 0) -> Border | None:
    """The border that reads ``outside_in``, or None if it is no zeros-then-edge border."""
    sources = list(outside_in)
    zeros = next((i for i, s in enumerate(sources) if s != ZERO), len(sources))
    if any(s != 0 for s in sources[zeros:]):
        return None
    return Border(zeros, len(sources) - zeros - cropped)
