"""Winograd's minimal filtering in integers: exact, and products shared.

A phase with K taps makes m outputs along an axis of m + K - 1 samples by as many products:

    y = A ((G g) * (B d))

where B d are the samples at each point, G g the taps, and A adds up products. Where all three are
integers, y is ``unit`` times what it should be (``Scheme``):

- F(2, 2), at the points 0, 1 and infinity, divides by nothing: 3 products for 4, and ``unit`` is 1.
- F(4, 3), at 0, 1, -1, 2, -2 and infinity (Lavin and Gray, arXiv 1509.09308), has quarters, sixths
  and 24ths in G. Taken times 24 they are integers: 6 products for 12, and ``unit`` is 24. What of
  that may stand in A is there, so that weights are of 16 bits.

In two dimensions the sum is ``unit`` = u_h u_w = 2^s q times what it should be, q odd. It need not
fit into int32: modulo 2^32 it is multiplied by the inverse of q, and shifted to the right by s
bits, which leaves the true sum as long as that is below 2^(31 - s). So 3x3 taps take 36 products of
16 bits for the 16 outputs that 144 of 8 bits make, exactly.

All phases read the same samples d, some of them for outputs one block earlier (``Axis.shifts``).

A phase of a folded nearest resize adds up all K taps of the kernel, so at the point 1 the weights
of all phases are one and the same sum, and so are the products: with r phases F(2, 2) takes 2r + 1
for 2r outputs where the taps themselves take 4r. In two dimensions r = 2 takes 25 in place of 64,
and 36 where the phases share nothing (a transposed convolution of kernel 4 and stride 2).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.known_weights import by_taps, phase_sums

# The largest byte, or difference of two.
_BYTE = 255
_INT16 = 2**15
# Phases of an axis, all of whose outputs are written out one after the other.
_MOST_PHASES = 4


@dataclass(frozen=True)
class Scheme:
    """F(``outputs``, ``taps``) along an axis, as sums of whatever can be added.

    ``at_points`` takes ``points`` samples, ``weights`` is G times ``unit`` but for what ``sums``
    has of it, which takes ``points`` products and gives ``unit`` times the outputs. ``cost`` is how
    many additions and shifts are in ``at_points`` and in ``sums``.
    """

    taps: int
    outputs: int
    unit: int
    weights: tuple[tuple[int, ...], ...]
    at_points: Callable[[Sequence[Any]], list[Any]]
    sums: Callable[[Sequence[Any]], list[Any]]
    cost: tuple[int, int]

    @property
    def points(self) -> int:
        return self.outputs + self.taps - 1


def _two_at_points(d: Sequence[Any]) -> list[Any]:
    return [d[0] - d[1], d[1], d[2] - d[1]]


def _two_sums(m: Sequence[Any]) -> list[Any]:
    return [m[0] + m[1], m[1] + m[2]]


def _four_at_points(d: Sequence[Any]) -> list[Any]:
    even, odd = d[4] - d[2], d[3] - d[1]
    far_even, far_odd = d[4] - d[2] * 4, d[3] - d[1] * 4
    twice = odd * 2
    return [
        even + (d[0] - d[2]) * 4,
        far_even + far_odd,
        far_even - far_odd,
        even + twice,
        even - twice,
        (d[5] - d[3]) - odd * 4,
    ]


def _four_sums(m: Sequence[Any]) -> list[Any]:
    near, far = m[1] + m[2], m[3] + m[4]
    across_near, across_far = m[1] - m[2], m[3] - m[4]
    return [
        m[0] + near + far,
        across_near + across_far * 2,
        near + far * 4,
        across_near + (across_far * 4 + m[5]) * 2,
    ]


F22 = Scheme(2, 2, 1, ((1, 0), (1, 1), (0, 1)), _two_at_points, _two_sums, (2, 2))
F43 = Scheme(
    3,
    4,
    24,
    ((6, 0, 0), (-4, -4, -4), (-4, 4, -4), (1, 2, 4), (1, -2, 4), (0, 0, 12)),
    _four_at_points,
    _four_sums,
    (17, 14),
)
SCHEMES = {scheme.taps: scheme for scheme in (F22, F43)}


@dataclass(frozen=True)
class Products:
    """Those of an axis: at each point one for each phase, or at the point 1 a ``shared`` one.

    They are counted in this order.
    """

    scheme: Scheme
    phases: int
    shared: bool

    @cached_property
    def firsts(self) -> list[int]:
        """The first one at each point, and how many there are."""
        each = [1 if self._is_shared(p) else self.phases for p in range(self.scheme.points)]
        return [0, *accumulate(each)]

    @property
    def count(self) -> int:
        return self.firsts[-1]

    def of_phase(self, phase: int) -> list[int]:
        """One at each point."""
        points = range(self.scheme.points)
        return [self.firsts[p] + (0 if self._is_shared(p) else phase) for p in points]

    def _is_shared(self, point: int) -> bool:
        return self.shared and point == 1


def refusal(op: ConvTranspose2d) -> str | None:
    """Why a layer has no such form, in words; None if it has."""
    if op.step != (1, 1):
        return f"a step of {op.step}"
    if op.groups > 1:
        return f"{op.groups} groups"
    for name, axis in (("height", op.h), ("width", op.w)):
        if axis.stride > _MOST_PHASES:
            return f"stride {axis.stride} in {name}, where it is at most {_MOST_PHASES}"
        if scheme_of(axis) is None:
            return f"phases do not have 2 or 3 taps each in {name}"
        if axis.tap_step != 1 or max(axis.shifts) > 1:
            return f"taps do not lie side by side in {name}"
    return None


def scheme_of(axis: Axis) -> Scheme | None:
    """That of as many taps as each phase has; None where there is none."""
    counts = {len(axis.taps(phase)) for phase in range(axis.stride)}
    return SCHEMES.get(counts.pop()) if len(counts) == 1 else None


def schemes_of(op: ConvTranspose2d) -> tuple[Scheme, Scheme]:
    """Of height and width of a layer that is not refused."""
    height, width = scheme_of(op.h), scheme_of(op.w)
    assert height is not None and width is not None
    return height, width


def name_of(op: ConvTranspose2d) -> str:
    """Such as F(4x4, 3x3)."""
    (a, b) = schemes_of(op)
    return f"F({a.outputs}x{b.outputs}, {a.taps}x{b.taps})"


def products_of(op: ConvTranspose2d, shared: bool) -> tuple[Products, Products]:
    """Of height and width."""
    height, width = schemes_of(op)
    return Products(height, op.h.stride, shared), Products(width, op.w.stride, shared)


def additions(op: ConvTranspose2d, shared: bool) -> tuple[int, int]:
    """And shifts: of the samples of a tile, and of all outputs of a tile of one channel."""
    height, width = products_of(op, shared)
    down, across = height.scheme, width.scheme
    samples = down.cost[0] * across.points + across.cost[0] * down.points
    columns = down.outputs * width.phases * across.cost[1]
    return samples, height.phases * (down.cost[1] * width.count + columns)


def shares_sums(op: ConvTranspose2d, weights: np.ndarray) -> bool:
    """Whether phases, two or more of two taps, have equal sums along height, and along width."""
    if schemes_of(op) != (F22, F22) or op.strides == (1, 1):
        return False
    by_height, by_width = (
        by_taps(weights, axis, at).sum(at + 1) for at, axis in ((2, op.h), (3, op.w))
    )
    return bool((by_height == by_height[:, :, :1]).all() and (by_width == by_width[..., :1]).all())


def transformed(op: ConvTranspose2d, weights: np.ndarray, shared: bool) -> np.ndarray:
    """IOHW integers as (products in height, products in width, I, O), int64."""
    made = weights.astype(np.int64)
    for at, products in zip((2, 3), products_of(op, shared), strict=True):
        taps = by_taps(made, op.h if at == 2 else op.w, at)
        parts = []
        for point, row in enumerate(products.scheme.weights):
            own = sum(taps.take(i, at + 1) * factor for i, factor in enumerate(row) if factor)
            count = products.firsts[point + 1] - products.firsts[point]
            parts.append(own.take(range(count), at))
        made = np.concatenate(parts, at)
        assert made.shape[at] == products.count
    return made.transpose(2, 3, 0, 1)


def shift_and_inverse(op: ConvTranspose2d) -> tuple[int, int]:
    """s, and the inverse of q modulo 2^32 as int32, where sums are 2^s q times what they should be.

    The inverse is 1 where q is.
    """
    unit = prod(scheme.unit for scheme in schemes_of(op))
    shift = (unit & -unit).bit_length() - 1
    inverse = pow(unit >> shift, -1, 2**32)
    return shift, inverse - 2**32 if inverse >= 2**31 else inverse


def fits(op: ConvTranspose2d, weights: np.ndarray, shared: bool) -> bool:
    """Whether transformed weights are int16, and the sums of bytes fit in what is left of int32.

    Of any bytes: samples are taken as they are, without their zero point.
    """
    if np.abs(transformed(op, weights, shared)).max(initial=0) >= _INT16:
        return False
    sums = phase_sums(op, np.abs(weights.astype(np.int64)))
    shift, _ = shift_and_inverse(op)
    return bool(sums.max(initial=0) * _BYTE < 2 ** (31 - shift))
