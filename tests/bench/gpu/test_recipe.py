"""The recipe of packed weights gives what the variant's own packer gives."""

from __future__ import annotations

import kernel
import numpy as np
import pytest
from gpu_recipe import NotAPacking, Recipe, probe
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tvm.target import Target

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.machines import machine_of, variants_for
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes

TARGETS = (kernel.HOST, Target({"kind": "cuda", "arch": "sm_90"}))


@settings(max_examples=15)
@given(kernel.layers(), st.sampled_from(TARGETS), st.data())
def test_a_recipe_packs_as_the_variant_does(case, target, data):
    conv, (batch, height, width) = case
    assume(kernel.has_output(conv, (batch, height, width)))
    machine = machine_of(target)
    fits = [
        variant
        for variant in variants_for(machine).values()
        if variant.refusal(conv, ACCUMULATE_DTYPE) is None
    ]
    variant = data.draw(st.sampled_from(fits))
    parameters = variant.choose(conv, Sizes(batch, height, width), machine)
    recipe = probe(lambda w: variant.pack_weights(w, conv, parameters), conv.weight_shape)
    weights = kernel.weights_of(conv, "float32")
    expected = variant.pack_weights(weights, conv, parameters)
    packed = recipe.pack(weights, "float32")
    assert packed.shape == variant.packed_shape(conv, parameters)
    tolerance = 1e-6 if variant.name == "winograd" else 0
    scale = max(np.abs(expected).max(), 1e-9)
    np.testing.assert_allclose(packed / scale, expected / scale, rtol=0, atol=tolerance)


def test_a_recipe_comes_back_from_a_file_much_smaller_than_the_weights(tmp_path):
    axis = Axis(4, 2, 1, 1)
    conv = ConvTranspose2d(64, 64, axis, axis)
    machine = machine_of(TARGETS[1])
    variant = variants_for(machine)["revd2"]
    tile = variant.choose(conv, Sizes(1, 16, 16), machine)
    recipe = probe(lambda w: variant.pack_weights(w, conv, tile), conv.weight_shape)
    recipe.save(tmp_path / "recipe.npz")
    read = Recipe.load(tmp_path / "recipe.npz")
    assert (read.shape, read.digest()) == (recipe.shape, recipe.digest())
    assert (tmp_path / "recipe.npz").stat().st_size < 4 * np.prod(conv.weight_shape) / 20


def test_packed_weights_have_the_dtype_that_is_asked_for():
    recipe = probe(lambda w: w.reshape(-1), (2, 3, 1, 2))
    weights = np.arange(12, dtype="float32").reshape(2, 3, 1, 2)
    packed = recipe.pack(weights, "float16")
    assert packed.dtype == np.float16
    np.testing.assert_array_equal(packed, np.arange(12))


@pytest.mark.parametrize(
    "pack",
    [
        pytest.param(lambda w: np.abs(w), id="not linear"),
        pytest.param(lambda w: w.sum(axis=0), id="sums over channels"),
        pytest.param(lambda w: w * np.arange(1, 5)[:, None, None, None], id="weighs channels"),
    ],
)
def test_what_is_no_packing_is_refused(pack):
    with pytest.raises(NotAPacking):
        probe(pack, (4, 3, 2, 2))
