"""A layer of bytes in both forms, tap by tap and by F(2x2, 2x2), against float64."""

from __future__ import annotations

import numpy as np
from exact_winograd_layers import folded
from integer_kernel import of_layer
from kernel import HOST

from tvm_deconv.algebra.exact_winograd import shares_sums
from tvm_deconv.schedules.cpu.dot import wide_dot_of
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import PointsTile

TILE = PointsTile(3, 2, 2)


def both(op, shape, dtype="uint8", zero_point=3, dot=None, tile=TILE, weight=None, **options):
    """What both forms compute, which has to be what float64 does, bit by bit."""
    rng, dot = np.random.default_rng(1), dot or wide_dot_of(HOST)
    if weight is None:
        weight = folded(rng.integers(-128, 128, (op.in_channels, op.out_channels, 3, 3)), 2)
    shared = shares_sums(op, weight)

    def make(op, dtype, store, sizes):
        return WinogradInteger(op, dtype, dot, tile, store, shared)

    for form in ({"make": make}, {}):
        given = {"weights": "int16", "weight": weight, "dot": dot, **form, **options}
        got, expected = of_layer(op, shape, dtype, zero_point, **given)
        if got is not None:
            np.testing.assert_array_equal(got, expected)
    return expected, shared
