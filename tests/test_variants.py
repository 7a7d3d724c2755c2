"""Every variant against a float64 scatter, and each against the loop order it is named for."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from kernel import HOST, check, has_output, layers, square
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


@every_variant
def test_strips_in_rows_and_columns_fit_together(variant):
    # Wide and with many channels: several strips, and several blocks of columns in each.
    conv = ConvTranspose2d(40, 9, Axis(5, 2, 1, 3, 1), Axis(4, 3, 1, 0))
    machine = replace(cpu_machine(HOST), l2_bytes=64 * 1024)
    check(variant, conv, (1, 21, 200), machine=machine)
    check(variant, conv, (1, 21, 200), machine=machine, symbolic="nhw")
