"""Winograd's F(2x2, 2x2) of phases with two taps an axis, in integers: exact, and products shared.

Along an axis, two neighbouring outputs of a phase with taps g are made of three samples d,

    y[0] = d[0]*g[0] + d[1]*g[1] = (d[0] - d[1])*g[0] + d[1]*(g[0] + g[1])
    y[1] = d[1]*g[0] + d[2]*g[1] = (d[2] - d[1])*g[1] + d[1]*(g[0] + g[1])

with three products in place of four: F(2, 2) at the points 0, 1 and infinity, where nothing is
divided, so integers stay integers. All phases read the same samples d, some of them for outputs one
block earlier (``Axis.shifts``).

A phase of a folded nearest resize adds up all K taps of the kernel, so at the point 1 the weights
of all phases are one and the same sum, and so are the products: with r phases there are 2r + 1 for
2r outputs where the taps themselves take 4r. In two dimensions r = 2 takes 25 in place of 64, and
36 where the phases share nothing (a transposed convolution of kernel 4 and stride 2).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.known_weights import by_taps

# Of each phase: the taps of an axis, the outputs of a tile, and the points.
TAPS = OUTPUTS = 2
POINTS = 3
# The largest byte, or difference of two; a difference of differences may be twice that.
_BYTE = 255
_INT16, _INT32 = 2**15, 2**31
# Phases of an axis, all of whose outputs are written out one after the other.
_MOST_PHASES = 4


@dataclass(frozen=True)
class Products:
    """Those of an axis: at 0 and infinity one for each phase, at 1 too, or a ``shared`` one.

    They are counted in this order.
    """

    phases: int
    shared: bool

    @property
    def count(self) -> int:
        return (2 if self.shared else 3) * self.phases + self.shared

    @property
    def firsts(self) -> tuple[int, int, int]:
        """The first one at each point."""
        at_one = 1 if self.shared else self.phases
        return 0, self.phases, self.phases + at_one

    def terms(self, phase: int, output: int) -> tuple[int, int]:
        """The two that add up to an output of a phase."""
        zero, one, infinity = self.firsts
        return (infinity if output else zero) + phase, one + (0 if self.shared else phase)

    @property
    def all_terms(self) -> list[tuple[int, int]]:
        """``terms`` of all outputs of a tile."""
        return [self.terms(f, i) for f in range(self.phases) for i in range(OUTPUTS)]

    @property
    def are_differences(self) -> np.ndarray:
        """For each, whether two samples are subtracted for it."""
        _, one, infinity = self.firsts
        at = np.arange(self.count)
        return (at < one) | (at >= infinity)


def refusal(op: ConvTranspose2d) -> str | None:
    """Why a layer has no such form, in words; None if it has."""
    if op.step != (1, 1):
        return f"a step of {op.step}"
    if op.groups > 1:
        return f"{op.groups} groups"
    for name, axis in (("height", op.h), ("width", op.w)):
        if not 1 < axis.stride <= _MOST_PHASES:
            return f"stride {axis.stride} in {name}, where it is 2 to {_MOST_PHASES}"
        if any(len(axis.taps(f)) != TAPS for f in range(axis.stride)):
            return f"phases do not have {TAPS} taps each in {name}"
        if axis.tap_step != 1 or max(axis.shifts) > 1:
            return f"taps do not lie side by side in {name}"
    return None


def products_of(op: ConvTranspose2d, shared: bool) -> tuple[Products, Products]:
    """Of height and width."""
    return Products(op.h.stride, shared), Products(op.w.stride, shared)


def shares_sums(op: ConvTranspose2d, weights: np.ndarray) -> bool:
    """Whether the taps of all phases have equal sums along height, and along width."""
    by_height, by_width = (
        by_taps(weights, axis, at).sum(at + 1) for at, axis in ((2, op.h), (3, op.w))
    )
    return bool((by_height == by_height[:, :, :1]).all() and (by_width == by_width[..., :1]).all())


def transformed(op: ConvTranspose2d, weights: np.ndarray, shared: bool) -> np.ndarray:
    """IOHW integers as (products in height, products in width, I, O), int64."""
    made = weights.astype(np.int64)
    for at, products in zip((2, 3), products_of(op, shared), strict=True):
        taps = by_taps(made, op.h if at == 2 else op.w, at)
        first, last = (taps.take(i, at + 1) for i in range(TAPS))
        total = first + last
        parts = [first, total.take([0], at) if shared else total, last]
        made = np.concatenate(parts, at)
        assert made.shape[at] == products.count
    return made.transpose(2, 3, 0, 1)


def fits(op: ConvTranspose2d, weights: np.ndarray, shared: bool) -> bool:
    """Whether transformed weights are int16, and whatever is added up of their products int32.

    Of any bytes: samples are taken as they are, without their zero point.
    """
    made = np.abs(transformed(op, weights, shared))
    if made.max(initial=0) >= _INT16:
        return False
    height, width = products_of(op, shared)
    is_twice = np.outer(height.are_differences, width.are_differences)
    # (products in height, products in width, O)
    most = made.sum(2) * (_BYTE * (1 + is_twice))[..., None]
    return all(
        most[np.ix_(rows, columns)].sum((0, 1)).max(initial=0) < _INT32
        for rows, columns in product(height.all_terms, width.all_terms)
    )
