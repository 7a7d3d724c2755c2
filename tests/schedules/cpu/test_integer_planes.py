"""Depthwise layers of bytes whose maps are single vectors, on processors with AVX-512 VBMI."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from integer_kernel import of_layer
from kernel import HOST

from tvm_deconv.algebra.byte_forms import Forms
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.cpu.integer.depthwise.kernel import DepthwiseInteger
from tvm_deconv.schedules.cpu.integer.depthwise.planes import (
    PlanesInteger,
    PlanesTile,
    choose_planes,
    refusal,
)
from tvm_deconv.schedules.cpu.integer.kernel import Store, Sum
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.lower.integer_choice import integer_kernel

SERVER = machine_of(resolve_target({"kind": "llvm", "mcpu": "icelake-server", "num-cores": 2}))
OLDER = machine_of(resolve_target({"kind": "llvm", "mcpu": "cascadelake", "num-cores": 2}))
SAME = Axis(3, 1, 1, 1)
needs_vbmi = pytest.mark.skipif(
    not cpu_machine(HOST).orders_bytes, reason="this processor has no AVX-512 VBMI"
)


def depthwise(channels, h, w=None, outputs=1):
    return ConvTranspose2d(channels, channels * outputs, h, w or h, groups=channels)


def exact(op, shape, dtype="uint8", zero_point=3, planes=4, **options):
    dot = machine_of(HOST).narrow

    def make(stepped, dtype, store, sizes):
        assert refusal(stepped, dot, sizes, machine_of(HOST)) is None
        return PlanesInteger(stepped, dtype, dot, PlanesTile(planes), store)

    got, expected = of_layer(op, shape, dtype, zero_point, dot, make=make, **options)
    np.testing.assert_array_equal(got, expected)


@needs_vbmi
@pytest.mark.parametrize(("dtype", "zero_point"), [("uint8", 3), ("uint8", 255), ("int8", -9)])
@pytest.mark.parametrize(
    ("op", "size", "step"),
    [
        (depthwise(9, SAME), (7, 7), (1, 1)),
        (depthwise(5, Axis(5, 1, 2, 2)), (7, 7), (2, 2)),
        (depthwise(3, SAME, outputs=2), (4, 5), (1, 1)),
        (depthwise(4, Axis(3, 1, 0, 2), Axis(7, 1, 3, 3)), (3, 21), (1, 3)),
        (depthwise(2, Axis(3, 1, 4, 4, dilation=4), Axis(1)), (60, 1), (1, 1)),
        (depthwise(2, Axis(3, 1, 3, 0)), (7, 9), (2, 1)),
        (depthwise(1, Axis(1)), (7, 9), (1, 1)),
    ],
    ids=["3x3", "5x5 by 2", "two outputs", "wide", "dilated", "cropped", "1x1"],
)
def test_any_taps_and_steps_are_exact(op, size, step, dtype, zero_point):
    exact(op, (2, op.in_channels, *size), dtype, zero_point, step=step)


@needs_vbmi
@pytest.mark.parametrize(
    "store",
    [
        Store("int8", has_shift=True, has_slope=True),
        Store("float32"),
        Store("uint8", is_value=True),
        Store("uint8", sum=Sum("uint8", "int8")),
    ],
    ids=["sloped", "sums", "values", "added"],
)
def test_any_store_is_exact(store):
    own = {"zero_point": 7, "scale": 0.25}
    exact(depthwise(6, SAME), (1, 6, 7, 7), store=store, own=own)


@needs_vbmi
def test_the_largest_sums_of_many_taps_do_not_saturate():
    op = depthwise(2, Axis(7, 1, 3, 3))
    exact(op, (1, 2, 7, 7), "uint8", 0, store=Store("float32"), extreme=True)


def test_small_maps_are_taken_so_where_bytes_are_ordered_by_an_instruction():
    op, sizes = depthwise(960, SAME), Sizes(1, 7, 7)
    kernels = [
        integer_kernel(op, "uint8xint8", Store("uint8"), sizes, machine, Preferences(), Forms())
        for machine in (SERVER, OLDER)
    ]
    (of_server, reason), (of_older, _) = kernels
    assert isinstance(of_server, PlanesInteger)
    assert isinstance(of_older, DepthwiseInteger)
    assert "map by map" in reason


def test_the_model_counts_what_the_busiest_thread_does():
    op, sizes = depthwise(64, SAME), Sizes(1, 7, 7)
    tile, cycles = choose_planes(op, SERVER.narrow, sizes, SERVER)
    assert 64 % tile.planes == 0
    _, alone = choose_planes(op, SERVER.narrow, sizes, replace(SERVER, threads=1))
    assert alone == pytest.approx(2 * cycles)


@pytest.mark.parametrize(
    ("op", "size", "reason"),
    [
        (ConvTranspose2d(4, 4, SAME, SAME, groups=2), (7, 7), "a group has 2 input channels"),
        (depthwise(2, Axis(4, 2, 1, 1)), (5, 5), "strides of"),
        (depthwise(2, SAME), (8, 8), "maps of 64 samples and 64 outputs"),
        (depthwise(2, Axis(3)), (7, 7), "maps of 49 samples and 81 outputs"),
        (depthwise(2, SAME), (None, 7), "the size of a map is free"),
        (depthwise(2, Axis(9, 1, 4, 4)), (7, 7), "21 words of taps, at most 16"),
    ],
)
def test_what_is_no_vector_is_refused(op, size, reason):
    assert reason in refusal(op, SERVER.narrow, Sizes(1, *size), SERVER)


def test_no_processor_without_the_instruction_takes_it():
    reason = refusal(depthwise(2, SAME), OLDER.narrow, Sizes(1, 7, 7), OLDER)
    assert "no instruction" in reason
