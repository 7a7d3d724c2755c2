"""Outer taps of a kernel that no sum needs: along one axis, how many at its begin and at its end.

Tap k of a convolution with stride s, dilation d and begin padding p reads input ``s*j + d*k - p``
for output j; where that is outside of the input for every output, it reads only zeros. Tap k of a
transposed convolution adds input j to output ``s*j + d*k - p``; where that is cropped for every
input, nothing is left of it. Both are one question: does any of ``count`` numbers j reach one of
``limit`` places? Without such a tap the kernel needs ``d`` less padding at that side, and computes
the same sums. A tap stays whose removal would take more than there is of padding.
"""

from __future__ import annotations


def idle_outer_taps(
    taps: int, stride: int, dilation: int, pads: tuple[int, int], count: int, limit: int
) -> tuple[int, int]:
    """How many of ``taps`` can go at the begin and at the end; at least one is left.

    ``pads`` are those of begin and end. ``count`` and ``limit`` are outputs and inputs of a
    convolution, inputs and outputs of a transposed one.
    """

    def is_used(k: int) -> bool:
        place = dilation * k - pads[0]
        # The first j that is not before the first place.
        j = max(0, -(place // stride))
        return j < count and stride * j + place < limit

    used = [k for k in range(taps) if is_used(k)]
    first, last = (used[0], used[-1]) if used else (taps - 1, 0)
    begin = min(first, pads[0] // dilation)
    end = min(taps - 1 - max(last, begin), pads[1] // dilation)
    return begin, end
