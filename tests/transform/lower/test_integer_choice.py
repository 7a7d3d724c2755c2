"""Layers of bytes go to float32 where that is faster by the machine model, and nowhere else."""

from __future__ import annotations

import pytest

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_subpixel
from tvm_deconv.backends import machine_of
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.lower.integer_choice import integer_kernel

BYTES, VALUES = Store("uint8"), Store("uint8", is_value=True)


@pytest.mark.parametrize(
    ("mcpu", "factor", "store", "winograd", "in_floats"),
    [
        ("skylake-avx512", 2, VALUES, None, True),
        ("skylake-avx512", 2, VALUES, False, False),
        ("skylake-avx512", 2, BYTES, False, False),
        ("skylake-avx512", 1, BYTES, False, False),
        ("haswell", 1, BYTES, None, True),
        ("haswell", 2, VALUES, False, False),
        ("cascadelake", 2, VALUES, None, False),
    ],
)
def test_float32_is_taken_where_it_was_measured_to_be_faster(
    mcpu, factor, store, winograd, in_floats
):
    """64 channels of 96x96. By 2, to floats, pairs of AVX-512 take 8.8 ms tap by tap, 2.5 by
    F(4x4, 3x3) (code for Skylake on Zen 5).
    """
    axis = axis_of_subpixel(ConvAxis(3, 1, 1), factor)
    op, sizes = ConvTranspose2d(64, 64, axis, axis), Sizes(1, 96, 96)
    machine = machine_of(resolve_target({"kind": "llvm", "mcpu": mcpu, "num-cores": 1}))
    forms = Forms(winograd)
    found = integer_kernel(op, "uint8xint8", store, sizes, machine, Preferences(), forms)
    assert isinstance(found, Refused) == in_floats
