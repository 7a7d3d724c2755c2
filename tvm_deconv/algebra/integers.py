"""Integers and scales behind the float32 weights of a quantized network.

    w = scale * q,   q an integer

Weights come to our kernels as float32: dequantized by an importer, reordered by a rewrite, summed
where a nearest resize was folded, scaled by a batch norm. Instead of carrying scales through all of
that they are found again: of a row of weights that share one, the largest is ``scale * n`` for a
small n, which is searched. What is found reproduces the weights to float32's rounding, so it does
not matter whether it is what somebody once wrote into a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import product

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import kernel_indices

# Quantizers spread weights from -127 to 127, or to -128; tried first, for weights that were not
# touched since.
_USUAL = (127, 128)
# Sums of 16 differences of 8-bit numbers: a nearest resize by 4, folded.
_LARGEST = 16 * 255
# How far a weight may be from an integer, in units of the scale, to be looked at closely.
_NEAR = 2e-3
# Of the largest weight of a row: a few roundings of float32. Where a nearest resize was folded, a
# small weight may be the difference of large ones.
_ROUNDING = 5e-7
_SAMPLED = 24


def integer_weights(
    op: ConvTranspose2d, weight: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    """IOHW ``weight`` as (integers, int64; scales, float32, of shape (O, r_h, r_w)), or None.

    Each output channel has a scale for each of its phases.
    """
    by_group = weight.reshape(op.groups, op.group_inputs, *weight.shape[1:])
    found = np.zeros(by_group.shape, np.int64)
    scales = np.ones((op.out_channels, *op.strides), "float32")
    for fh, fw in product(*map(range, op.strides)):
        kh, kw = (np.unique(kernel_indices(axis)[f]) for axis, f in ((op.h, fh), (op.w, fw)))
        at = np.ix_(*map(np.arange, by_group.shape[:3]), kh[kh >= 0], kw[kw >= 0])
        taps = by_group[at]
        rows = taps.transpose(0, 2, 1, 3, 4).reshape(op.out_channels, -1)
        grid = integer_rows(rows)
        if grid is None:
            return None
        integers, scales[:, fh, fw] = grid
        shape = (op.groups, op.group_outputs, op.group_inputs, *taps.shape[3:])
        found[at] = integers.reshape(shape).transpose(0, 2, 1, 3, 4)
    return found.reshape(weight.shape), scales


def weight_dtype(integers: np.ndarray) -> str | None:
    """int8 or int16, whatever holds all of them; None for more than that."""
    low, high = integers.min(initial=0), integers.max(initial=0)
    for dtype in ("int8", "int16"):
        bounds = np.iinfo(dtype)
        if bounds.min <= low and high <= bounds.max:
            return dtype
    return None


def integer_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """(R, n) float32 as (integers, int64; scales, (R,) float32), or None if a row has no scale."""
    integers = np.zeros(rows.shape, np.int64)
    scales = np.ones(len(rows), "float32")
    if not rows.size:
        return integers, scales
    if not np.isfinite(rows).all():
        return None
    wide = rows.astype("float64")
    largest = np.abs(wide).max(1)
    left = np.flatnonzero(largest)
    # The largest of each row is among them, and needs no look.
    order = np.argsort(-np.abs(wide), axis=1)[:, :: max(1, rows.shape[1] // _SAMPLED)]
    sample = np.take_along_axis(wide, order, 1)
    for n, is_exact in _candidates():
        if not left.size:
            break
        units = sample[left] * (n / largest[left])[:, None]
        near = np.abs(units - np.rint(units)).max(1) < _NEAR
        for row in left[near]:
            scale = _scale(rows[row], float(largest[row]), n, 0 if is_exact else _ROUNDING)
            if scale is not None:
                scales[row] = scale
                integers[row] = np.rint(wide[row] / float(scale)).astype(np.int64)
        left = np.setdiff1d(left, left[near][(integers[left[near]] != 0).any(1)])
    return None if left.size else (integers, scales)


def _candidates() -> Iterator[tuple[int, bool]]:
    """What the largest weight may be, and whether the row has to come back bit by bit."""
    yield from ((n, True) for n in _USUAL)
    yield from ((n, False) for n in range(1, _LARGEST + 1))


def _scale(row: np.ndarray, largest: float, n: int, rounding: float) -> np.float32 | None:
    """The float32 near ``largest / n`` that gives most of the row back bit by bit.

    None where a weight is off by more than ``rounding`` of the largest.
    """
    best, most = None, -1
    for scale in _neighbours(np.float32(largest / n)):
        integers = np.rint(row.astype("float64") / float(scale))
        back = integers.astype("float32") * scale
        if (np.abs(back - row) > rounding * largest).any():
            continue
        equal = int((back == row).sum())
        if equal > most:
            best, most = scale, equal
    return best


def _neighbours(scale: np.float32) -> Iterable[np.float32]:
    """``scale`` and the next few above and below, in the order of their distance."""
    yield scale
    below = above = scale
    for _ in range(3):
        below = np.nextafter(below, np.float32(0), dtype="float32")
        above = np.nextafter(above, np.float32(np.inf), dtype="float32")
        yield from (below, above)
