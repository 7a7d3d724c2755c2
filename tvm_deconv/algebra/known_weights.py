"""What the weights of a layer save: taps that are zero, and phases with a product in common."""

from __future__ import annotations

from dataclasses import replace
from functools import reduce

import numpy as np

from .geometry import Axis, ConvTranspose2d
from .packing import kernel_indices

# Sums of taps that differ by less are the same up to the roundings of a fold in float32, of which
# there are a few: parts of the largest sum of absolute weights.
_ROUNDING = 2.0**-21


def without_zero_taps(conv: ConvTranspose2d, weight: np.ndarray) -> ConvTranspose2d:
    """The layer that leaves out what is zero in its IOHW ``weight``."""
    # The first of thousands of filters nearly always says that nothing is.
    is_full = bool(weight[:1, :1].size and weight[:1, :1].all())
    h, w = (
        replace(axis, zero_taps=frozenset() if is_full else _zero_taps(weight, dimension))
        for axis, dimension in ((conv.h, 2), (conv.w, 3))
    )
    return replace(conv, h=h, w=w)


def with_equal_sums(conv: ConvTranspose2d, weight: np.ndarray) -> ConvTranspose2d:
    """The layer that knows whether its phases have equal sums."""
    h, w = (
        replace(axis, equal_sums=_has_equal_sums(weight, axis, dimension))
        for axis, dimension in ((conv.h, 2), (conv.w, 3))
    )
    return replace(conv, h=h, w=w)


def with_known_weights(conv: ConvTranspose2d, weight: np.ndarray) -> ConvTranspose2d:
    """The layer that knows both of its weights."""
    return with_equal_sums(without_zero_taps(conv, weight), weight)


def obeying(conv: ConvTranspose2d, weight: np.ndarray) -> np.ndarray:
    """IOHW ``weight`` with as little changed as makes what the layer knows of it true."""
    made = weight.copy()
    for axis, dimension in ((conv.h, 2), (conv.w, 3)):
        along = np.moveaxis(made, dimension, 0)
        along[sorted(axis.zero_taps)] = 0
        if axis.equal_sums:
            phases = [[tap.k for tap in axis.taps(f)] for f in range(axis.stride)]
            wanted = along[phases[0]].sum(0)
            for first, *others in phases[1:]:
                along[first] = wanted - along[others].sum(0)
    return made


def by_taps(weight: np.ndarray, axis: Axis, dimension: int) -> np.ndarray:
    """``weight`` with the dimension of kernel indices as two, of phases and of taps.

    A tap that a phase lacks is 0.
    """
    widths = [(0, 0)] * weight.ndim
    widths[dimension] = (0, 1)
    indices = kernel_indices(axis)
    shape = (*weight.shape[:dimension], *indices.shape, *weight.shape[dimension + 1 :])
    taken = np.pad(weight, widths).take(indices.reshape(-1), dimension, mode="wrap")
    return taken.reshape(shape)


def phase_sums(op: ConvTranspose2d, weights: np.ndarray) -> np.ndarray:
    """(O, r_h, r_w): sums of the IOHW weights that a channel and phase reads, as int64."""
    by_group = weights.astype(np.int64).reshape(op.groups, op.group_inputs, *weights.shape[1:])
    sums = np.pad(by_group.sum(1), [(0, 0), (0, 0), (0, 1), (0, 1)])
    sums = sums[..., kernel_indices(op.h), :].sum(3)[..., kernel_indices(op.w)].sum(4)
    return sums.reshape(op.out_channels, *op.strides)


def _zero_taps(weight: np.ndarray, dimension: int) -> frozenset[int]:
    others = tuple(axis for axis in range(4) if axis != dimension)
    empty = ~weight.any(axis=others)
    # A kernel of zeros only keeps its taps: a sum over none of them has no loop.
    return frozenset() if empty.all() else frozenset(int(k) for k in np.flatnonzero(empty))


def _has_equal_sums(weight: np.ndarray, axis: Axis, dimension: int) -> bool:
    """Whether the taps of all phases have the same sum, with each tap of the other axis."""
    if axis.stride == 1:
        return False
    with np.errstate(invalid="ignore"):  # of weights that are no numbers
        ends = [float(end) for end in (weight.min(initial=0), weight.max(initial=0))]
    if not np.isfinite(ends).all():
        return False
    # The first of thousands of filters nearly always tells the phases apart.
    bound = weight.shape[dimension] * max(map(abs, ends))
    if _sums(weight[:1, :1], axis, dimension)[0] > _ROUNDING * bound:
        return False
    apart, largest = _sums(weight, axis, dimension)
    return apart <= _ROUNDING * largest


def _sums(weight: np.ndarray, axis: Axis, dimension: int) -> tuple[float, float]:
    """How far sums of phases are apart, and the largest of absolute weights."""
    taps = by_taps(weight, axis, dimension).astype("float64", copy=False)
    # Of few taps each, which NumPy's own sum takes three times as long for.
    along = np.moveaxis(taps, dimension + 1, 0)
    sums, absolute = reduce(np.add, along), reduce(np.add, map(np.abs, along))
    apart = np.abs(sums - sums.take([0], dimension)).max(initial=0)
    return float(apart), float(absolute.max(initial=0))
