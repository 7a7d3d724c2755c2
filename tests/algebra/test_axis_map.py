"""Index maps against NumPy doing the same to an array of sample numbers."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.algebra.axis_map import ZERO, AxisMap, Border, border, from_samples

widths = st.tuples(st.integers(0, 3), st.integers(0, 3))
operations = st.one_of(
    st.tuples(st.just("repeat"), st.integers(1, 3)),
    st.tuples(st.just("zeros"), widths),
    st.tuples(st.sampled_from(["replicate", "reflect", "symmetric"]), widths),
    st.tuples(st.just("cut"), widths),
)


def _map(axis, operation, argument):
    if operation == "repeat":
        return axis.repeated(argument)
    if operation == "zeros":
        return axis.zero_padded(*argument)
    if operation == "cut":
        return axis.cut(*argument)
    return axis.padded(*argument, operation)


def _array(samples, operation, argument):
    if operation == "repeat":
        return samples.repeat(argument)
    if operation == "zeros":
        return np.pad(samples, argument, constant_values=ZERO)
    if operation == "cut":
        return samples[argument[0] : len(samples) - argument[1]]
    return np.pad(samples, argument, {"replicate": "edge"}.get(operation, operation))


@settings(max_examples=300)
@given(st.integers(1, 5), st.lists(operations, max_size=4))
def test_a_chain_of_operators_composes_as_in_numpy(size, chain):
    known, symbolic, samples = AxisMap(size), AxisMap(None), np.arange(size)
    for operation, argument in chain:
        if operation in ("reflect", "symmetric"):
            available = len(samples) - (operation == "reflect")
            if max(argument) > available:
                return  # no such operator exists
        if operation == "cut" and sum(argument) >= len(samples):
            return
        samples = _array(samples, operation, argument)
        known = known and _map(known, operation, argument)
        symbolic = symbolic and _map(symbolic, operation, argument)
    if known is not None:
        assert known.samples() == list(samples)
    if symbolic is not None:
        assert replace(symbolic, size=size).samples() == list(samples)


@settings(max_examples=100)
@given(st.integers(1, 4), st.integers(1, 3), widths)
def test_a_pad_of_an_upsampled_input_can_always_be_named(size, factor, pad):
    upsampled = AxisMap(None).repeated(factor)
    assert upsampled.padded(*pad, "replicate") is not None
    assert upsampled.padded(*pad, "reflect") is not None
    assert upsampled.padded(*pad, "symmetric") is not None


@settings(max_examples=100)
@given(st.integers(1, 4), st.integers(1, 4), widths)
def test_a_map_is_found_again_from_its_samples(size, factor, pad):
    samples = AxisMap(size).repeated(factor).padded(*pad, "replicate").samples()
    found = from_samples(samples, size)
    assert found is not None
    assert found.samples() == samples
    assert found.factor >= factor


@settings(max_examples=100)
@given(st.integers(2, 4), st.integers(2, 4), st.data())
def test_a_cropped_map_is_found_again_from_its_samples(size, factor, data):
    crop = st.integers(0, factor - 1)
    cropped = data.draw(crop), data.draw(crop)
    map_ = AxisMap(size).repeated(factor).cut(*cropped)
    found = from_samples(map_.samples(), size)
    assert found is not None
    assert found.samples() == map_.samples()
    # Two samples do not tell a crop of one from copies of the other.
    assert found == map_ or size == 2


def test_a_crop_that_leaves_no_copy_of_a_sample_has_no_map():
    enlarged = AxisMap(None).repeated(3)
    assert enlarged.cut(2, 2) is not None
    assert enlarged.cut(3, 0) is None
    assert AxisMap(1).repeated(3).cut(1, 2) is None


def test_samples_in_no_upsampling_order_have_no_map():
    assert from_samples([0, 2, 1], 3) is None
    assert from_samples([0, 0, 1], 3) is None


def test_a_border_is_zeros_and_then_copies_of_the_edge():
    assert border([ZERO, ZERO, 0]) == Border(zeros=2, edge=1)
    assert border([]) == Border(zeros=0, edge=0)
    assert border([ZERO], cropped=1) == Border(zeros=1, edge=-1)
    assert border([0, 0], cropped=1) == Border(zeros=0, edge=1)
    assert border([0, ZERO]) is None
    assert border([1, 0]) is None
