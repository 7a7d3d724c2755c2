"""Layers of bytes by each form that is not tap by tap over words of channels, against float64."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from exact_winograd_layers import NEAREST, folded
from integer_kernel import of_layer
from kernel import HOST

from tvm_deconv.algebra.exact_winograd import shares_sums
from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.cpu.dot import dot_of, wide_dot_of
from tvm_deconv.schedules.cpu.integer.depthwise.kernel import DepthwiseInteger
from tvm_deconv.schedules.cpu.integer.depthwise.tile import DepthwiseTile
from tvm_deconv.schedules.cpu.integer.kernel import Integer
from tvm_deconv.schedules.cpu.integer.tile import Tile
from tvm_deconv.schedules.cpu.integer.unfolded.kernel import UnfoldedInteger
from tvm_deconv.schedules.cpu.integer.unfolded.tile import UnfoldedTile
from tvm_deconv.schedules.cpu.integer.winograd.kernel import WinogradInteger
from tvm_deconv.schedules.cpu.integer.winograd.tile import PointsTile

UNEVEN_3 = Axis(3, 1, 1, 0)


def _random_folded(op):
    """Of bytes behind a nearest resize: a kernel of its factor more taps."""
    factors = np.array(op.strides)
    rows, columns = np.array([op.h.kernel, op.w.kernel]) - factors + 1
    kernel = np.random.default_rng(1).integers(
        -128, 128, (op.in_channels, op.out_channels, rows, columns)
    )
    return folded(kernel, op.h.stride)


def _random(op):
    return np.random.default_rng(1).integers(-128, 128, op.weight_shape)


@dataclass(frozen=True)
class Form:
    """``make(op, dtype, dot, tile, store, weight)`` is its kernel, of random ``weights(op)``.

    ``layer(channels)`` is one that it computes, ``dot`` what multiplies on a target.
    """

    make: Callable[..., Any]
    tile: Any
    weights: Callable[[ConvTranspose2d], np.ndarray]
    layer: Callable[[int], ConvTranspose2d]
    dot: Callable[[Any], Any]


def _direct(op, dtype, dot, tile, store, weight):
    return Integer(op, dtype, dot, tile, store)


def _winograd(op, dtype, dot, tile, store, weight):
    return WinogradInteger(op, dtype, dot, tile, store, shares_sums(op, weight))


def _unfolded(op, dtype, dot, tile, store, weight):
    return UnfoldedInteger(op, dtype, dot, tile, store)


def _depthwise(op, dtype, dot, tile, store, weight):
    return DepthwiseInteger(op, dtype, dot, tile, store)


def _behind_resize(channels):
    return ConvTranspose2d(channels, channels + 1, NEAREST, NEAREST)


def _of_channels(channels):
    return ConvTranspose2d(channels, channels, UNEVEN_3, UNEVEN_3, groups=channels)


DIRECT = Form(_direct, Tile(3, 2, 3), _random_folded, _behind_resize, wide_dot_of)
WINOGRAD = Form(_winograd, PointsTile(3, 2, 2), _random_folded, _behind_resize, wide_dot_of)
UNFOLDED = Form(_unfolded, UnfoldedTile(3, 3, 2, 2), _random_folded, _behind_resize, dot_of)
DEPTHWISE = Form(_depthwise, DepthwiseTile(2, 4), _random, _of_channels, dot_of)
FORMS = {"winograd": WINOGRAD, "unfolded": UNFOLDED, "depthwise": DEPTHWISE}


def exact(
    form, op, shape, dtype="uint8", zero_point=3, dot=None, tile=None, weight=None, **options
):
    """What the form computes, which has to be what float64 does, bit by bit."""
    dot, tile = dot or form.dot(HOST), tile or form.tile
    weight = form.weights(op) if weight is None else weight

    def make(op, dtype, store, sizes):
        return form.make(op, dtype, dot, tile, store, weight)

    given = {"weight": weight, "make": make, **options}
    got, expected = of_layer(op, shape, dtype, zero_point, dot, **given)
    if got is not None:
        np.testing.assert_array_equal(got, expected)
    return expected
