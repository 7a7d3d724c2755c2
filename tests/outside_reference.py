"""What taps beyond an enlarged map add, from the outermost rows and columns of the small one."""

from __future__ import annotations

import numpy as np
from reference import conv2d

from tvm_deconv.algebra.outside import outside_weights


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
