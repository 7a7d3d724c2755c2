"""The tuner's cases hold what a layer computes, and nothing else."""

from __future__ import annotations

import kernel
import numpy as np
import pytest

from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.logs.layer import Layer
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.tuning.case import WEIGHT, case_folder, read_case, write_case

# Dilated: a kernel written out densely, with taps that are zero.
DILATED = axis_of_subpixel(ConvAxis(3, 2, 2, dilation=2), 2)
CONV = ConvTranspose2d(4, 6, DILATED, DILATED, groups=2)


@pytest.mark.parametrize("dtype, tolerance", [("float32", 1e-4), ("float16", 5e-3)])
def test_a_case_is_read_as_it_was_written(tmp_path, dtype, tolerance):
    layer = Layer(CONV, Sizes(2, 5, 6), dtype)
    folder = case_folder(tmp_path, layer)
    write_case(layer, folder, seed=3)
    case = read_case(folder)
    weight = np.load(folder / WEIGHT)
    assert case.x.dtype == weight.dtype == dtype
    assert case.x.shape == layer.input_shape
    assert weight.shape == CONV.weight_shape
    assert case.expected.dtype == "float64"
    assert case.expected.shape == layer.output_shape
    assert case.tolerance == tolerance
    expected = kernel.expected_output(CONV, case.x, weight)
    np.testing.assert_allclose(case.expected, expected, rtol=0, atol=1e-11)
    assert not weight[:, :, sorted(DILATED.zero_taps)].any()
    assert not weight[:, :, :, sorted(DILATED.zero_taps)].any()
    assert weight.any()


def test_the_seed_decides_what_a_case_holds(tmp_path):
    layer = Layer(CONV, Sizes(1, 3, 3))
    for name, seed in [("a", 1), ("b", 1), ("c", 2)]:
        write_case(layer, tmp_path / name, seed)
    a, b, c = (read_case(tmp_path / name) for name in "abc")
    assert (a.x == b.x).all() and (a.expected == b.expected).all()
    assert not (a.x == c.x).any()


def test_each_layer_has_a_folder_of_its_own(tmp_path):
    layers = [
        Layer(CONV, Sizes(1, 3, n), dtype) for n in (3, 4) for dtype in ("float32", "float16")
    ]
    assert len({case_folder(tmp_path, layer) for layer in layers}) == 4
