"""What taps beyond an enlarged map add, from the outermost faces of the small one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from reference import conv, conv_transpose

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.outside import Ends, outside_weights

# A resize (x, a factor for each axis behind NC) by whole factors.
Enlarge = Callable[[np.ndarray, Sequence[int]], np.ndarray]


def assert_folded(
    c: dict[str, Any],
    ends: tuple[Ends, ...],
    enlarge: Enlarge,
    axes: Sequence[Axis],
    fold: Callable[..., np.ndarray],
) -> None:
    """The folded layer less what lies outside is the layer: both of a random case, in float64.

    ``axes`` are those of the transposed convolution, ``fold(w, factors, groups, dilation)`` gives
    its weights.
    """
    rng = np.random.default_rng(c["seed"])
    (ci, co), groups, dilation = c["channels"], c["groups"], c["dilation"]
    x = rng.standard_normal((2, ci, *c["size"]))
    kernel = rng.standard_normal((co, ci // groups, *c["kernel"]))
    factors = tuple(own.factor for own in ends)
    large = pad(enlarge(x, factors), [own.copies for own in ends])
    zeros = [own.zeros[side] for side in range(2) for own in ends]
    expected = conv(large, kernel, zeros, dilation, groups)

    folded = fold(kernel, factors, groups, dilation)
    assert folded.shape == (ci, co // groups, *(axis.kernel for axis in axes))
    small = pad(x, [own.edge for own in ends])
    cropped = [*(axis.pad_begin for axis in axes), *(axis.pad_end for axis in axes)]
    got = conv_transpose(small, folded, [axis.stride for axis in axes], cropped, groups=groups)
    for axis in range(2, x.ndim):
        got += taken_back(x, kernel, ends, dilation, groups, axis, enlarge)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


def pad(x, sides):
    """``x`` with so many copies of its edges, or fewer samples where they are negative."""
    more = [[max(side, 0) for side in pair] for pair in sides]
    padded = np.pad(x, ((0, 0), (0, 0), *more), "edge")
    sizes = padded.shape[2:]
    kept = [
        slice(max(-begin, 0), n - max(-end, 0))
        for (begin, end), n in zip(sides, sizes, strict=True)
    ]
    return padded[(..., *kept)]


def taken_back(x, kernel, ends, dilation, groups, axis, enlarge):
    """What the zeros around ``axis`` take away; ``enlarge(x, factors)`` is the resize."""
    own = ends[axis - 2]
    sizes = [
        n * p.factor + sum(p.total) - d * (k - 1)
        for n, p, d, k in zip(x.shape[2:], ends, dilation, kernel.shape[2:], strict=True)
    ]
    result = np.zeros((len(x), len(kernel), *sizes))
    if not any(own.surplus):
        return result
    weights = outside_weights(kernel, axis, dilation[axis - 2], own.surplus)
    sides = [side for side in range(2) if own.surplus[side]]
    depth = max(own.surplus)
    # A line is a picture of one row, which has no meaning here.
    others = [n for n in range(x.ndim - 2) if n != axis - 2]
    shape = (
        len(sides),
        len(kernel) * depth,
        weights.shape[1],
        *(kernel.shape[2 + n] for n in others),
    )
    for side, taps in zip(sides, weights.reshape(shape), strict=True):
        factors = [ends[n].factor for n in others]
        face = enlarge(x.take(0 if side == 0 else -1, axis), factors)
        # Faces go on along the axes behind their own, and are between those before it.
        along = [ends[n].along(goes_on=n > axis - 2) for n in others]
        face = pad(face, [copies for copies, _ in along])
        zeros = [pair[end] for end in range(2) for _, pair in along]
        y = conv(face, taps, zeros, [dilation[n] for n in others], groups)
        y = y.reshape(len(x), len(kernel), depth, *y.shape[2:])
        for place in range(min(own.surplus[side], sizes[axis - 2])):
            at = [slice(None)] * x.ndim
            at[axis] = -1 - place if side else place
            result[tuple(at)] += y[:, :, place]
    return result
