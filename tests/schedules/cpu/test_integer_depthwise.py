"""Depthwise layers of bytes as they lie: any steps, strides, dilations and sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pytest
from integer_forms import DEPTHWISE, exact
from kernel import HOST

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.depthwise.tile import (
    DepthwiseTile,
    choose_depthwise_tile,
    depthwise_cycles,
    refusal,
)
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.cpu.integer.tile import choose_tile, tile_cycles
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

VNNI = dot_of(resolve_target({"kind": "llvm", "mcpu": "cascadelake"}))
MACHINE = CpuMachine("avx512", 16, 32, 32 << 10, 1 << 20, 2, narrow=VNNI)
SAME = Axis(3, 1, 1, 1)


def depthwise(channels, h, w=None, outputs=1):
    return ConvTranspose2d(channels, channels * outputs, h, w or h, groups=channels)


exact = partial(exact, DEPTHWISE)


@pytest.mark.parametrize(
    "op",
    [
        depthwise(3, Axis(3, 1, 0, 2), Axis(7, 1, 3, 3)),
        depthwise(2, Axis(3, 1, 2, 2, dilation=2), Axis(3, 1, 4, 3, dilation=4)),
        depthwise(3, Axis(4, 2, 1, 1), outputs=2),
        depthwise(2, Axis(5, 3, 1, 0, 1), Axis(9, 1, 4, 4)),
        depthwise(2, Axis(2, 3, 0, 0, 1), Axis(2, 3, 1, 0)),
        depthwise(2, Axis(1), Axis(1), outputs=8),
        depthwise(3, Axis(3, 1, 5, 2), Axis(3, 1, 7, 0)),
    ],
    ids=["uneven", "dilated", "transposed", "mixed", "sparse", "1x1", "cropped"],
)
@pytest.mark.parametrize("shape", [(9, 41), (14, 7)])
def test_any_kernel_and_stride_is_exact(op, shape):
    exact(op, (2, op.in_channels, *shape))


@pytest.mark.parametrize("step", [(2, 2), (1, 4), (3, 1)])
@pytest.mark.parametrize("free", ["", "nhw"])
def test_steps_are_exact(step, free):
    op = depthwise(3, Axis(3, 1, 1, 0), Axis(5, 1, 2, 1))
    exact(op, (2, 3, 12, 83), "int8", -9, step=step, free=free)


def test_random_sizes_and_channels_are_exact():
    rng = np.random.default_rng(2)
    for _ in range(6):
        channels, rows, columns = (int(n) for n in rng.integers(1, (40, 40, 150)))
        op = depthwise(channels, SAME)
        tile, _ = choose_depthwise_tile(op, dot_of(HOST), Sizes(1, rows, columns), MACHINE)
        exact(op, (1, channels, rows, columns), "int8", 127, tile=tile)


@pytest.mark.parametrize("most", [127, -128])
@pytest.mark.parametrize("zero_point", [0, 255])
def test_nothing_saturates_on_the_way(most, zero_point):
    op = depthwise(1, Axis(9, 1, 4, 4))
    weight = np.full(op.weight_shape, most)
    exact(
        op, (1, 1, 9, 20), "uint8", zero_point, weight=weight, store=Store("float32"), extreme=True
    )


def test_the_model_counts_what_the_busiest_thread_does():
    op, sizes = depthwise(64, SAME), Sizes(1, 56, 56)
    tile, cycles = choose_depthwise_tile(op, VNNI, sizes, MACHINE)
    direct = choose_tile(op, VNNI, sizes, MACHINE)
    assert cycles < 0.7 * tile_cycles(op, VNNI, sizes, direct, MACHINE)
    one = depthwise_cycles(op, VNNI, sizes, tile, replace(MACHINE, threads=1))
    assert one == pytest.approx(2 * cycles)
    # Channels that all are one piece of work leave a thread without any.
    assert depthwise_cycles(op, VNNI, sizes, DepthwiseTile(56, 64), MACHINE) > 1.8 * cycles


@pytest.mark.parametrize(
    ("op", "dot", "reason"),
    [
        (ConvTranspose2d(4, 4, SAME, SAME, groups=2), VNNI, "a group has 2 input channels"),
        (depthwise(1, SAME, outputs=9), VNNI, "a group has 9 output channels, more than 8"),
        (depthwise(2, SAME), wide_dot_of(HOST), "does not multiply words of bytes"),
        (replace(depthwise(2, SAME), step=(1, 3)), VNNI, "steps of 3 along the width"),
        (depthwise(1, Axis(25), Axis(33)), VNNI, "900 products would be written out"),
    ],
)
def test_what_cannot_be_read_as_it_lies_is_refused(op, dot, reason):
    assert reason in refusal(op, dot)
