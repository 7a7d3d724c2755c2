"""Tiles cover a picture, begin where the network's period says, and are no larger than asked."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from tvm_deconv.algebra.reach import Overlap
from tvm_deconv.errors import ImageError
from tvm_deconv.pictures import tiles
from tvm_deconv.pictures.progress import Progress

overlaps = st.builds(
    Overlap,
    before=st.integers(0, 12),
    after=st.integers(0, 12),
    scale=st.sampled_from([Fraction(1), Fraction(3), Fraction(1, 2), Fraction(3, 2)]),
    period=st.sampled_from([2, 4, 6]),
)


@given(overlaps, st.integers(1, 300), st.integers(8, 90), st.booleans())
def test_every_sample_is_computed_once_with_all_that_it_depends_on(overlap, size, side, is_fixed):
    try:
        plan = tiles.plan(
            size, overlap, fixed=side if is_fixed else None, at_most=None if is_fixed else side
        )
    except ImageError:
        assume(False)
    assert plan.size == side if is_fixed else plan.size <= max(side, overlap.period)
    assert [cut.first for cut in plan.cuts] == [0, *(cut.last for cut in plan.cuts[:-1])]
    assert plan.cuts[-1].last == plan.padded >= size
    for cut in plan.cuts:
        assert cut.begin % overlap.period == cut.first % overlap.period == 0
        end = cut.begin + plan.size
        assert cut.begin == 0 or cut.begin <= cut.first - overlap.before
        assert end == plan.padded or end >= cut.last + overlap.after


@pytest.mark.parametrize(("size", "wanted"), [(13, 16), (16, 16), (1, 4)])
def test_a_picture_is_reflected_up_to_a_multiple_of_the_period(size, wanted):
    given_ = np.arange(size, dtype=np.float32)[None, :, None] * np.ones((1, 1, 4), np.float32)
    overlap, seen = Overlap(0, 0, Fraction(1), 4), []
    rows, columns = (tiles.plan(n, overlap, fixed=None, at_most=None) for n in (size, 4))
    result = tiles.run(lambda x: seen.append(x) or x, given_, rows, columns, lambda done, of: None)
    padded = np.pad(given_, [(0, 0), (0, wanted - size), (0, 0)], mode="reflect")
    np.testing.assert_array_equal(seen[0], padded)
    np.testing.assert_array_equal(result, given_)


def test_tiles_without_room_between_their_overlaps_are_refused():
    with pytest.raises(ImageError, match=r"needs 8 pixels before and 12 behind .* take 24 or more"):
        tiles.plan(100, Overlap(7, 9, Fraction(1), 4), fixed=None, at_most=22)


def test_progress_is_told_from_time_to_time_with_the_time_that_is_left():
    lines, times = [], iter([0.0, 1.0, 4.0, 5.0, 8.0, 10.0])
    progress = Progress(lines.append, clock=lambda: next(times))
    for done in range(1, 6):
        progress(done, 5)
    assert lines == ["2 of 5 tiles, 6 s to go", "4 of 5 tiles, 2 s to go"]
