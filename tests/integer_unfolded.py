"""A layer of bytes behind a nearest resize by unfolded taps, against float64."""

from __future__ import annotations

import numpy as np
from exact_winograd_layers import folded
from integer_kernel import of_layer
from kernel import HOST

from tvm_deconv.schedules.cpu.dot import dot_of
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.tile import UnfoldedTile

TILE = UnfoldedTile(3, 3, 2, 2)


def exact(op, shape, dtype="uint8", zero_point=3, dot=None, tile=TILE, kernel=None, **options):
    """What the form computes, which has to be what float64 does, bit by bit."""
    rng, dot = np.random.default_rng(1), dot or dot_of(HOST)
    if kernel is None:
        factor = op.h.stride
        size = op.h.kernel - factor + 1
        kernel = rng.integers(-128, 128, (op.in_channels, op.out_channels, size, size))
    weight = folded(kernel, op.h.stride)

    def make(op, dtype, store, sizes):
        return UnfoldedInteger(op, dtype, dot, tile, store)

    given = {"weights": "int16", "weight": weight, "dot": dot, "make": make, **options}
    got, expected = of_layer(op, shape, dtype, zero_point, **given)
    if got is not None:
        np.testing.assert_array_equal(got, expected)
    return expected
