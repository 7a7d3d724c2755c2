"""What taps beyond an enlarged map add, from the outermost rows and columns of the small one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from reference import conv2d, conv2d_transpose

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.outside import Ends, outside_weights

# A resize (x, (rows, columns)) of NCHW by whole factors.
Enlarge = Callable[[np.ndarray, tuple[int, int]], np.ndarray]


def assert_folded(
    c: dict[str, Any],
    ends: tuple[Ends, Ends],
    enlarge: Enlarge,
    axes: Sequence[Axis],
    fold: Callable[..., np.ndarray],
) -> None:
    """The folded layer less what lies outside is the layer: both of a random case, in float64.

    ``axes`` are those of the transposed convolution, ``fold(w, factors, groups, dilation)`` gives
    its weights.
    """
    rng = np.random.default_rng(c["seed"])
    (ci, co), groups, dilation, (h, w) = c["channels"], c["groups"], c["dilation"], ends
    x = rng.standard_normal((2, ci, *c["size"]))
    kernel = rng.standard_normal((co, ci // groups, *c["kernel"]))
    factors = h.factor, w.factor
    large = pad(enlarge(x, factors), (h.copies, w.copies), "edge")
    zeros = (h.zeros[0], w.zeros[0], h.zeros[1], w.zeros[1])
    expected = conv2d(large, kernel, zeros, dilation, groups)

    op = ConvTranspose2d(ci, co, *axes, groups)
    folded = fold(kernel, factors, groups, dilation)
    assert folded.shape == op.weight_shape
    small = pad(x, (h.edge, w.edge), "edge")
    got = conv2d_transpose(small, folded, op.strides, op.padding, groups=groups)
    for axis in (2, 3):
        got += taken_back(x, kernel, ends, dilation, groups, axis, enlarge)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12 * max(1, np.abs(expected).max()))


def pad(x, sides, mode):
    """Height and width of ``x`` with so many samples more, or fewer where they are negative."""
    more = [[max(side, 0) for side in pair] for pair in sides]
    less = [[max(-side, 0) for side in pair] for pair in sides]
    (top, bottom), (left, right) = less
    padded = np.pad(x, ((0, 0), (0, 0), *more), mode)
    return padded[:, :, top : padded.shape[2] - bottom, left : padded.shape[3] - right]


def taken_back(x, kernel, ends, dilation, groups, axis, enlarge):
    """What the zeros around ``axis`` take away; ``enlarge(x, factors)`` is the resize."""
    own, other = ends if axis == 2 else ends[::-1]
    sizes = [
        n * p.factor + sum(p.total) - d * (k - 1)
        for n, p, d, k in zip(x.shape[2:], ends, dilation, kernel.shape[2:], strict=True)
    ]
    result = np.zeros((len(x), len(kernel), *sizes))
    if not any(own.surplus):
        return result
    across, along = dilation[axis - 2], dilation[3 - axis]
    weights = outside_weights(kernel, axis, across, own.surplus)
    sides = [side for side in range(2) if own.surplus[side]]
    depth = max(own.surplus)
    of_side = weights.reshape(len(sides), len(kernel) * depth, *weights.shape[1:])
    for side, taps in zip(sides, of_side, strict=True):
        line = enlarge(np.moveaxis(x, axis, 2)[:, :, [-side]], (1, other.factor))
        # Rows go on at their ends, columns are between the rows that are outside already.
        copies, zeros = other.line(goes_on=axis == 2)
        line = pad(line, ((0, 0), copies), "edge")
        y = conv2d(line, taps, (0, zeros[0], 0, zeros[1]), (1, along), groups)
        y = np.moveaxis(y.reshape(len(x), len(kernel), depth, -1), 2, axis)
        for place in range(min(own.surplus[side], sizes[axis - 2])):
            at = [slice(None)] * 4
            at[axis] = -1 - place if side else place
            of_line = [slice(None)] * 4
            of_line[axis] = place
            result[tuple(at)] += y[tuple(of_line)]
    return result
