"""Which input samples a resampled axis reads, found in its tables."""

from __future__ import annotations

from fractions import Fraction

import numpy as np

# Of weights that are computed from coordinates far from 0 and near 0.
_SAME_WEIGHTS = 1e-3


def reads(
    indices: np.ndarray, weights: np.ndarray | None, size: int
) -> tuple[Fraction, Fraction] | None:
    """What ``Reach.reading`` takes: (first, last) of the tables [tap, target] of an axis.

    Output sample ``o`` reads the samples ``o * size / target + [first, last]`` of ``size``. None
    where samples in the middle do not all read alike: the map then depends on where the axis begins
    or ends. Weights of None are all 1.
    """
    target = indices.shape[1]
    factor = Fraction(target, size)
    step, back = factor.numerator, factor.denominator
    middle = np.arange(target // 4, target * 3 // 4 - step)
    if middle.size == 0 or middle.size < 2 * step:
        return None
    used = np.ones(indices.shape, bool) if weights is None else weights != 0
    kept = np.ones(indices.shape) if weights is None else weights
    moved = indices[:, middle + step] - indices[:, middle] == back
    alike = np.abs(kept[:, middle + step] - kept[:, middle]) < _SAME_WEIGHTS
    if not (alike & (moved | (kept[:, middle] < _SAME_WEIGHTS))).all():
        return None
    # In parts of a sample of which there are ``step``.
    places = indices.astype(np.int64) * step - np.arange(target) * back
    first, last = int(places[used].min()), int(places[used].max())
    return Fraction(first, step), Fraction(last, step)
