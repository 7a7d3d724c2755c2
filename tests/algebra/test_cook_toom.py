"""Winograd's matrices, exactly: no rounding is involved in whether they are right."""

from __future__ import annotations

import numpy as np
import pytest

from tvm_deconv.algebra.cook_toom import MAX_POINTS, nested_transforms, transforms
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.winograd import MAX_PLANE_POINTS, filters, tile_outputs
from tvm_deconv.errors import GeometryError

SIZES = [
    (outputs, taps)
    for outputs in range(2, MAX_POINTS)
    for taps in range(2, MAX_POINTS)
    if outputs + taps - 1 <= MAX_POINTS
]


@pytest.mark.parametrize(("outputs", "taps"), SIZES)
def test_the_transforms_compute_a_correlation(outputs, taps):
    matrices = transforms(outputs, taps)
    data = np.random.default_rng(0).integers(-9, 9, outputs + taps - 1)
    kernel = np.random.default_rng(1).integers(-9, 9, taps)
    got = matrices.inverse @ ((matrices.kernel @ kernel) * (matrices.data @ data))
    np.testing.assert_allclose(got, np.correlate(data, kernel, "valid"), rtol=0, atol=1e-10)


# No tile has more outputs (``algebra.winograd``); powers of 9/4 beyond the seventh have 26 bits.
@pytest.mark.parametrize(
    ("outputs", "taps"), [pair for pair in SIZES if pair[0] < MAX_PLANE_POINTS]
)
def test_what_is_applied_at_run_time_is_exact_in_float32(outputs, taps):
    matrices = transforms(outputs, taps)
    for matrix in (matrices.data, matrices.inverse):
        np.testing.assert_array_equal(matrix, matrix.astype("float32"))


@pytest.mark.parametrize("outer", [(2, 2), (3, 2), (4, 3), (2, 4)])
@pytest.mark.parametrize("inner", [(4, 4), (5, 6), (3, 5)])
def test_a_nested_form_computes_a_correlation(outer, inner):
    matrices = nested_transforms(outer, inner)
    outputs, taps = outer[0] * inner[0], (outer[1] - 1) * inner[0] + inner[1]
    data = np.random.default_rng(0).integers(-9, 9, outputs + taps - 1)
    kernel = np.random.default_rng(1).integers(-9, 9, taps)
    got = matrices.inverse @ ((matrices.kernel @ kernel) * (matrices.data @ data))
    np.testing.assert_allclose(got, np.correlate(data, kernel, "valid"), rtol=0, atol=1e-9)


@pytest.mark.parametrize("taps", range(2, 22))
def test_nested_forms_of_lines_take_fewer_products_and_lose_no_more_digits(taps):
    line = ConvTranspose2d(1, 1, Axis(1), Axis(taps))
    found = [filters(line, (1, outputs))[1] for outputs in tile_outputs(line)[1]]
    plain = [f.points * f.pieces / f.outputs for f in found if f.nested is None]
    nested = [f for f in found if f.nested is not None]
    assert bool(nested) == (7 <= taps <= 15)
    assert all(f.points / f.outputs < min(plain) for f in nested)
    assert all(f.pieces == 1 and f.matrices.growth < 1.02 * transforms(4, 7).growth for f in nested)


def test_planes_have_no_nested_forms():
    plane = ConvTranspose2d(1, 1, Axis(2), Axis(11))
    assert all(filters(plane, (2, outputs))[1].nested is None for outputs in tile_outputs(plane)[1])


def test_as_many_products_as_points_are_needed():
    assert transforms(4, 3).data.shape == (6, 6)
    assert transforms(4, 3).inverse.shape == (4, 6)
    assert transforms(4, 3).kernel.shape == (6, 3)


def test_more_points_than_are_accurate_are_refused():
    with pytest.raises(GeometryError, match=r"F\(9, 4\) needs 12 points"):
        transforms(9, 4)
