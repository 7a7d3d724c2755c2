"""A linear resize by a whole factor and a convolution as one transposed convolution. NumPy only.

One axis; r is the factor, K, d, P and E = d*(K-1) + 1 are those of ``weights``. Sample j of the
enlarged map lies at (j + 1/2)/r - 1/2 of x ("half_pixel") and is interpolated between the samples
on both sides; beyond the ends x goes on with its first and last sample. With x continued so, that
is a transposed convolution of stride r with a triangle h of q = r div 2 samples before it,

    u[j] = sum_i x[i] * h[j - r*i + q],     h[m] = (min(m, M-1-m) + 1 - (r even)/2) / r,

of M = 2r samples for an even r and 2r-1 for an odd one. A convolution of u is then one of x with
the flipped w convolved with h (``weight_interpolation``), of extent E+M-1 and stride r. Each phase
has about (E+M-1)/r taps: 3 for r = 2 and K = 3, so that nothing is saved there but the large map.

**The border.** The convolution pads u with zeros, but u goes on with its edge: ``outside`` says
what is subtracted. x is padded by as many copies of its edge as that needs (``edge_of``). An axis
that is neither enlarged nor copied needs none: its zeros can stay zeros.
"""

from __future__ import annotations

import numpy as np

from tvm_deconv.errors import GeometryError

from .geometry import Axis, ConvAxis
from .outside import Ends
from .weights import Pair, pair

# Two weights of an interpolation that differ by less come from the same place.
_SAME_WEIGHT = 1e-3


def interpolation_kernel(factor: int) -> np.ndarray:
    """h above in float64: what one sample adds to the enlarged axis. Its sum is ``factor``."""
    even = factor % 2 == 0
    count = 2 * factor if even else 2 * factor - 1
    rising = np.minimum(np.arange(count), np.arange(count)[::-1])
    return (rising + (0.5 if even else 1.0)) / factor


def interpolates(indices: np.ndarray, weights: np.ndarray | None, size: int) -> bool:
    """Whether the tables [tap, target] of a resampled axis of ``size`` are u above.

    Its factor is target / size. Whoever makes tables computes places in float32, so weights may be
    off by its rounding of the places.
    """
    target = indices.shape[1]
    if weights is None or target % size:
        return False
    r = target // size
    places = np.clip((np.arange(target) + 0.5) / r - 0.5, 0, size - 1)
    error = _SAME_WEIGHT + 4 * float(np.spacing(np.float32(size)))
    # At the ends several taps name one sample.
    named_alike = indices[:, None] == indices[None]
    of_sample = np.where(named_alike, weights.astype(np.float64)[None], 0).sum(1)
    expected = np.maximum(1 - np.abs(indices - places), 0)
    whole = np.abs(weights.sum(0) - 1) < error
    return bool(whole.all() and (np.abs(of_sample - expected) < error).all())


def weight_interpolation(
    w: np.ndarray, factor: Pair, groups: int = 1, dilation: Pair = 1
) -> np.ndarray:
    """Weights of the transposed convolution equal to ``conv(linear_resize(x), w)``.

    ``w`` is OIHW, (O, C/groups, K_h, K_w); the result is IOHW, (C, O/groups, E_h+M_h-1,
    E_w+M_w-1), of the dtype of ``w``, summed in float64 and rounded once. Its stride is ``factor``,
    its padding ``axis_of_interpolation``. Raises GeometryError if the groups do not divide O.
    """
    (rh, rw), (dh, dw) = pair(factor), pair(dilation, "dilation")
    out_channels, c, kh, kw = w.shape
    if out_channels % groups:
        raise GeometryError(f"out_channels {out_channels} is not divisible by groups={groups}")
    o = out_channels // groups
    triangle = np.outer(interpolation_kernel(rh), interpolation_kernel(rw))
    mh, mw = triangle.shape
    eh, ew = dh * (kh - 1) + 1, dw * (kw - 1) + 1
    taps = w.reshape(groups, o, c, kh, kw).transpose(0, 2, 1, 3, 4).astype(np.float64)
    total = np.zeros((groups, c, o, eh + mh - 1, ew + mw - 1))
    for i in range(kh):
        for j in range(kw):
            top, left = eh - 1 - dh * i, ew - 1 - dw * j
            total[..., top : top + mh, left : left + mw] += taps[..., i, j, None, None] * triangle
    return total.reshape(groups * c, o, *total.shape[3:]).astype(w.dtype)


def ends_of_interpolation(factor: int, zeros: tuple[int, int], copies: tuple[int, int]) -> Ends:
    """What the fold needs at the ends of an axis of the enlarged map, as ``Ends`` names it."""
    if factor == 1 and not any(copies):
        return Ends(factor, zeros, copies, (0, 0), (0, 0))
    begin, end = (edge_of(factor, z + c) for z, c in zip(zeros, copies, strict=True))
    return Ends(factor, zeros, copies, (begin, end), zeros)


def edge_of(factor: int, pad: int) -> int:
    """Samples of x outside that ``pad`` samples outside the enlarged map are interpolated from.

    The outermost lies at (1/2 - pad)/r - 1/2, between the samples floor and floor + 1.
    """
    return -((1 - 2 * pad - factor) // (2 * factor))


def axis_of_interpolation(conv: ConvAxis, padding: Ends) -> Axis:
    """The transposed convolution along one axis, of x padded by ``padding.edge``.

    The paddings of ``conv`` are not read: ``padding`` has them all. Raises GeometryError where
    they are beyond the reach of the kernel, so that an output would see nothing of the map.
    """
    r, reach = padding.factor, conv.extent - 1
    triangle = 2 * r - r % 2
    for side, pad in zip(("begin", "end"), padding.total, strict=True):
        if pad > reach:
            raise GeometryError(
                f"{side} padding {pad} is larger than the reach {reach} of the kernel"
            )
    begin, end = (
        r * edge + r // 2 + reach - pad
        for edge, pad in zip(padding.edge, padding.total, strict=True)
    )
    starts = (reach - conv.dilation * k for k in range(conv.kernel))
    live = {start + m for start in starts for m in range(triangle)}
    kernel = conv.extent + triangle - 1
    zeros = frozenset(range(kernel)) - live
    return Axis(kernel, r, begin, end, zero_taps=zeros, equal_sums=r > 1)
