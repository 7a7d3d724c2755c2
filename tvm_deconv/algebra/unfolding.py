"""A nearest resize that was folded into a kernel, taken out of it again: fewer products, of bytes.

Along an axis a resize by r and a kernel w make the kernel W = w * (1, ..., 1), each weight at r
neighbouring taps (``axis_of_resize``). A tap of W adds up to r weights, so it may need 16 bits
where w is of bytes, and there are K + r - 1 of them for K weights. The products of w are enough:

    S[k][i] = sum over the channels of x[i] * w[k]
    y[o] = sum over k of S[k][(o + p - k) // r]

These are K for a sample in place of K + r - 1, from which its r outputs are added up; where two
taps of an axis are a phase, F(2, 2) takes r + 1/2, but of 16 bits (``exact_winograd``). In two
dimensions a 3x3 kernel behind a resize by 2 takes 9 products of bytes for the 4 outputs of a
sample, where folded taps are 16 products of 16 bits and F(2x2, 2x2) takes 6.25.
"""

from __future__ import annotations

import numpy as np

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d

# Phases of an axis, all of whose outputs are written out one after the other.
_MOST_PHASES = 8
# The largest byte, before or after a shift of its zero.
_BYTE = 255
_INT32 = 2**31


def refusal(op: ConvTranspose2d) -> str | None:
    """Why no resize can be taken out of a layer, in words; None if its weights decide."""
    if op.step != (1, 1):
        return f"a step of {op.step}"
    if op.groups > 1:
        return f"{op.groups} groups"
    if op.strides == (1, 1):
        return "there is no factor"
    for name, axis in (("height", op.h), ("width", op.w)):
        if axis.stride > _MOST_PHASES:
            return f"stride {axis.stride} in {name}, where it is at most {_MOST_PHASES}"
        if axis.dilation > 1 or axis.zero_taps:
            return f"a dilated kernel in {name}"
        if taps(axis) < 1:
            return f"kernel {axis.kernel} is shorter than stride {axis.stride} in {name}"
        if offsets(axis)[0] > 0:
            return f"{axis.pad_begin} samples cropped in {name}, more than the kernel reaches"
    return None


def taps(axis: Axis) -> int:
    """Of the kernel without the resize."""
    return axis.kernel - axis.stride + 1


def offset(axis: Axis, phase: int, k: int) -> int:
    """How many samples after its block a phase reads sums of the tap ``k``."""
    return (phase + axis.pad_begin - k) // axis.stride


def offsets(axis: Axis) -> tuple[int, int]:
    """The smallest and the largest of all phases and taps."""
    return offset(axis, 0, taps(axis) - 1), offset(axis, axis.stride - 1, 0)


def unfolded(op: ConvTranspose2d, weights: np.ndarray) -> np.ndarray | None:
    """The IOHW integers without the resize, as int64; None if there is none in them."""
    made = weights.astype(np.int64)
    for at, axis in ((2, op.h), (3, op.w)):
        made, rest = _divided(np.moveaxis(made, at, 0), axis.stride)
        if rest.any():
            return None
        made = np.moveaxis(made, 0, at)
    return made


def fits(kernel: np.ndarray, bits: int) -> bool:
    """Whether signed elements of ``bits`` hold the unfolded weights, and int32 all of their sums.

    Of any bytes, and of some of the products, as they are kept before they are added up.
    """
    half = 2 ** (bits - 1)
    if kernel.min(initial=0) < -half or kernel.max(initial=0) >= half:
        return False
    return bool(np.abs(kernel).sum((0, 2, 3)).max(initial=0) * _BYTE < _INT32)


def _divided(folded: np.ndarray, factor: int) -> tuple[np.ndarray, np.ndarray]:
    """By so many ones, along the first axis: the quotient, and what is left over."""
    rest = folded.copy()
    count = len(folded) - factor + 1
    for k in range(count):
        rest[k + 1 : k + factor] -= rest[k]
    return rest[:count], rest[count:]
