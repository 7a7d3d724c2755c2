"""Which outer taps of a kernel never meet the map, held against all pairs of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from tvm_deconv.algebra.outer_taps import idle_outer_taps


def meets(k, stride, dilation, begin, count, limit):
    return any(0 <= stride * j + dilation * k - begin < limit for j in range(count))


@given(
    taps=st.integers(1, 9),
    stride=st.integers(1, 4),
    dilation=st.integers(1, 12),
    pads=st.tuples(st.integers(0, 60), st.integers(0, 60)),
    count=st.integers(1, 20),
    limit=st.integers(1, 20),
)
def test_all_go_that_meet_nothing_as_far_as_there_is_padding(
    taps, stride, dilation, pads, count, limit
):
    begin, end = idle_outer_taps(taps, stride, dilation, pads, count, limit)
    met = [meets(k, stride, dilation, pads[0], count, limit) for k in range(taps)]
    kept = met[begin : taps - end]
    assert min(begin, end) >= 0 and kept
    assert not any(met[:begin]) and not any(met[taps - end :])
    left = pads[0] - begin * dilation, pads[1] - end * dilation
    assert min(left) >= 0
    if len(kept) > 1:
        assert kept[0] or left[0] < dilation
        assert kept[-1] or left[1] < dilation


def test_a_branch_of_deeplab_is_left_with_the_middle_tap():
    assert idle_outer_taps(3, 1, 24, (24, 24), 16, 16) == (1, 1)
    assert idle_outer_taps(3, 1, 12, (12, 12), 16, 16) == (0, 0)


def test_the_innermost_layers_of_pix2pix_are_left_with_two_taps():
    assert idle_outer_taps(4, 2, 1, (1, 1), 1, 2) == (1, 1)  # 2x2 -> 1x1
    assert idle_outer_taps(4, 2, 1, (1, 1), 1, 2) == (1, 1)  # 1x1 -> 2x2, transposed
