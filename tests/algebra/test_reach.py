"""A reflection reads within its reach, and what is not there counts as outside."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tvm_deconv.algebra.reach import Reach


@given(st.integers(0, 6), st.integers(0, 6), st.integers(7, 20))
def test_a_reflection_reads_within_its_reach(begin, end, size):
    reach = Reach(size, size).reflected(size + begin + end, begin, end)
    read = np.pad(np.arange(size), (begin, end), mode="reflect")
    away = read - np.arange(size + begin + end)
    assert reach.low <= away.min() and away.max() <= reach.high


@given(st.integers(0, 9), st.integers(0, 9))
def test_samples_that_a_cut_map_does_not_have_lie_outside_the_input(begin, end):
    reach = Reach(40, 40).window(40 - begin - end, 1, 1, -begin)
    assert -1 / reach.scale + reach.low < 0
    assert reach.size / reach.scale + reach.high > 39
    assert reach.scale == Fraction(1)
