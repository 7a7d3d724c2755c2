"""Layers whose phases have two taps an axis, in both forms; weights of folded nearest resizes."""

from __future__ import annotations

import numpy as np
from integer_kernel import of_layer
from kernel import HOST

from tvm_deconv.algebra.exact_winograd import shares_sums
from tvm_deconv.algebra.geometry import Axis, ConvAxis, axis_of_resize
from tvm_deconv.schedules.cpu.dot import wide_dot_of
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import PointsTile

NEAREST = axis_of_resize(ConvAxis(3, 1, 1), 2)
KERNEL_4 = Axis(4, 2, 1, 1)
TILE = PointsTile(3, 2, 2)


def folded(kernel, factor):
    """IOHW weights of a nearest resize with the convolution behind it: each tap moved by all f."""
    *channels, rows, columns = kernel.shape
    made = np.zeros((*channels, rows + factor - 1, columns + factor - 1), np.int64)
    for fh, fw in np.ndindex(factor, factor):
        made[:, :, fh : fh + rows, fw : fw + columns] += kernel[..., ::-1, ::-1]
    return made


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
