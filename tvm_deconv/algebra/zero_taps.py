"""Rows and columns of a kernel that hold nothing but zeros, and so need no multiplications."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .geometry import ConvTranspose2d


def without_zero_taps(conv: ConvTranspose2d, weight: np.ndarray) -> ConvTranspose2d:
    """The layer that leaves out what is zero in its IOHW ``weight``."""
    # The first of thousands of filters nearly always says that nothing is.
    is_full = bool(weight[:1, :1].size and weight[:1, :1].all())
    h, w = (
        replace(axis, zero_taps=frozenset() if is_full else _zero_taps(weight, dimension))
        for axis, dimension in ((conv.h, 2), (conv.w, 3))
    )
    return replace(conv, h=h, w=w)


def _zero_taps(weight: np.ndarray, dimension: int) -> frozenset[int]:
    others = tuple(axis for axis in range(4) if axis != dimension)
    empty = ~weight.any(axis=others)
    # A kernel of zeros only keeps its taps: a sum over none of them has no loop.
    return frozenset() if empty.all() else frozenset(int(k) for k in np.flatnonzero(empty))
