"""Rows and columns of a kernel are left out where no filter has anything but zeros there."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.zero_taps import without_zero_taps


def taps(weight):
    """Those of rows and of columns that are left out."""
    channels, outputs, rows, columns = weight.shape
    conv = ConvTranspose2d(channels, outputs, Axis(rows, 1), Axis(columns, 1))
    found = without_zero_taps(conv, weight)
    return set(found.h.zero_taps), set(found.w.zero_taps)


@pytest.mark.parametrize("full", [(0, 0), (1, 1), None], ids=["the first", "another", "none"])
def test_a_tap_is_left_out_where_all_filters_are_zero(full):
    weight = np.ones((2, 3, 3, 5))
    weight[:, :, 1] = 0
    weight[:, :, :, [0, 4]] = 0
    if full is not None:
        weight[full] = np.nan
    assert taps(weight) == (({1}, {0, 4}) if full is None else (set(), set()))


def test_filters_that_share_no_zero_need_all_taps():
    weight = np.ones((1, 2, 3, 3))
    weight[0, 0, 0] = weight[0, 1, 2] = 0
    assert taps(weight) == (set(), set())


def test_a_kernel_of_zeros_keeps_its_taps():
    assert taps(np.zeros((2, 1, 3, 3))) == (set(), set())
