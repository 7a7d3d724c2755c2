"""Every variant against a float64 scatter, and each against the loop order it is named for."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import check, has_output, layers, square
from tvm import te, tirx

from tvm_deconv.geometry import Axis, ConvAxis, ConvTranspose2d, axis_of_resize, axis_of_subpixel
from tvm_deconv.schedules.machine import cpu_machine
from tvm_deconv.schedules.variants import VARIANTS
from tvm_deconv.targets import resolve_target

every_variant = pytest.mark.parametrize("variant", sorted(VARIANTS))


def computes(variant, conv):
    return VARIANTS[variant].refusal(conv) is None


@every_variant
@settings(deadline=None, max_examples=15)
@given(layers(), st.sampled_from(["float32", "float16"]), st.sampled_from(["", "hw", "nhw", "w"]))
def test_any_layer_equals_the_scatter_definition(variant, layer, dtype, symbolic):
    conv, shape = layer
    if has_output(conv, shape) and computes(variant, conv):
        check(variant, conv, shape, dtype, symbolic=symbolic)
