"""Weights of the transposed convolution that replaces an upsampling pattern. NumPy only.

A transposed convolution with stride r, kernel W and begin padding p adds, along each axis,

    y[o, r*i + k - p] += x[c, i] * W[c, o, k].                                              (1)

Below, K is the kernel of the stride-1 convolution, d its dilation, P its begin padding and
E = d*(K-1) + 1 its extent. Everything is separable in h and w, so one axis is shown.

**Sub-pixel** ("D-SP"): a convolution to r*O channels, then a shuffle. With src(o, f) the channel
that holds phase f of output channel o,

    y[o, r*i' + f] = sum_{c,k} w[src(o, f), c, k] * x[c, i' + d*k - P].

Put i = i' + d*k - P in (1): the output index r*i' + f asks for kernel index
r*(E-1-d*k) + f when p = r*(E-1-P). Hence ``weight_shuffle``, which only moves values:

    W[c, o, r*(E-1-d*k) + f] = w[src(o, f), c, k]      and zero elsewhere.

``CRD`` (PyTorch, ONNX) has src(o, f) = o*r + f, ``DCR`` (the default of ONNX, TFLite) has
src(o, f) = f*O + o; over two axes f is the row-major index of (f_h, f_w).

**Nearest resize** ("D-NN"): x is repeated r times, then convolved. Sample i covers the positions
r*i + f, 0 <= f < r, so with p = E-1-P the term of tap k lands on kernel index E-1-d*k + f:

    W[c, o, m] = sum of w[o, c, k] over all (k, f) with E-1-d*k + f = m,

which is the flipped kernel convolved with ones(r): ``weight_convolution``, of extent E+r-1. The
sums are taken in float64 and rounded once. Convolution with ones is injective, so there is an
inverse: D[m] = W[m] - W[m-1] + D[m-r] for the flipped dense kernel D.

**Groups.** Group g of the convolution may become group g of the transposed convolution only if
every phase of an output channel comes from the same group: src(o, f) // (r*O/groups) must equal
o // (O/groups). In CRD order that holds exactly when groups divides O; in DCR order the phases
are outermost and it holds for groups = 1 only. Anything else is refused.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from tvm_deconv.errors import GeometryError

Pair = int | tuple[int, int]


def pair(value: Pair, name: str = "factor") -> tuple[int, int]:
    """(h, w) from one int for both or from two. GeometryError if not positive integers."""
    values = tuple(value) if isinstance(value, (tuple, list)) else (value, value)
    if len(values) != 2 or any(int(v) != v or v < 1 for v in values):
        raise GeometryError(f"{name} must be one or two positive integers, got {value!r}")
    return int(values[0]), int(values[1])


def phase_channels(channels: int, factor: Pair, order: str = "CRD") -> np.ndarray:
    """The channel that holds each phase: int array of shape (channels/(r_h*r_w), r_h, r_w)."""
    rh, rw = pair(factor)
    if channels % (rh * rw):
        raise GeometryError(
            f"out_channels {channels} is not divisible by r_h*r_w = {rh * rw} (factor {rh}x{rw})"
        )
    index = np.arange(channels)
    if order == "CRD":
        return index.reshape(-1, rh, rw)
    if order == "DCR":
        return index.reshape(rh, rw, -1).transpose(2, 0, 1)
    raise GeometryError(f"channel order must be 'CRD' or 'DCR', got {order!r}")


def weight_shuffle(
    w: np.ndarray,
    factor: Pair,
    order: str = "CRD",
    groups: int = 1,
    dilation: Pair = 1,
) -> np.ndarray:
    """Weights of the transposed convolution equal to ``shuffle(conv(x, w))``.

    ``w`` is OIHW, (r_h*r_w*O, C/groups, K_h, K_w); the result is IOHW,
    (C, O/groups, r_h*E_h, r_w*E_w) with E the dilated extent. Its stride is ``factor``; its
    padding is ``geometry.axis_of_subpixel``. Raises GeometryError if the channels do not divide,
    or if a group does not map to a group.
    """
    out_channels = _check_weights(w, groups)
    return weight_shuffle_by(w, phase_channels(out_channels, factor, order), groups, dilation)


def weight_shuffle_by(
    w: np.ndarray, source: np.ndarray, groups: int = 1, dilation: int | tuple[int, ...] = 1
) -> np.ndarray:
    """``weight_shuffle`` for any channel order: ``source[o, f_h, f_w]`` is a row of ``w``.

    Of volumes likewise: ``w`` is OIDHW, ``source[o, f_d, f_h, f_w]`` one of its rows.
    """
    o, *factor = source.shape
    axes = len(factor)
    out_channels = _check_weights(w, groups, axes)
    if source.size != out_channels:
        raise GeometryError(f"{source.size} phases for {out_channels} convolution channels")
    _check_groups(source, groups)
    steps = (dilation,) * axes if isinstance(dilation, int) else dilation
    _, c, *kernel = w.shape
    extent = [d * (k - 1) + 1 for d, k in zip(steps, kernel, strict=True)]
    phases = np.flip(w, tuple(range(2, w.ndim)))[source]
    phases = phases.reshape(groups, o // groups, *factor, c, *kernel)
    # From (group, o, phases, c, taps) to (group, c, o, taps and phases of each axis).
    order = [0, 2 + axes, 1, *(n for i in range(axes) for n in (3 + axes + i, 2 + i))]
    sizes = [n for pair in zip(extent, factor, strict=True) for n in pair]
    dense = np.zeros((groups, c, o // groups, *sizes), w.dtype)
    taps = (..., *(place for d in steps for place in (slice(None, None, d), slice(None))))
    dense[taps] = phases.transpose(order)
    ends = (e * r for e, r in zip(extent, factor, strict=True))
    return dense.reshape(groups * c, o // groups, *ends)


def weight_unshuffle(
    w: np.ndarray,
    factor: Pair,
    order: str = "CRD",
    groups: int = 1,
    dilation: Pair = 1,
) -> np.ndarray:
    """Inverse of ``weight_shuffle``: IOHW (C, O/groups, r_h*E_h, r_w*E_w) to OIHW."""
    (rh, rw), (dh, dw) = pair(factor), pair(dilation, "dilation")
    channels, per_group, h, wide = w.shape
    if h % rh or wide % rw:
        raise GeometryError(f"kernel {h}x{wide} is not divisible by the factor {rh}x{rw}")
    if channels % groups:
        raise GeometryError(f"in_channels {channels} is not divisible by groups={groups}")
    c = channels // groups
    phases = w.reshape(groups, c, per_group, h // rh, rh, wide // rw, rw)
    phases = phases[:, :, :, ::dh, :, ::dw][:, :, :, ::-1, :, ::-1].transpose(0, 2, 4, 6, 1, 3, 5)
    source = phase_channels(groups * per_group * rh * rw, (rh, rw), order)
    _check_groups(source, groups)
    out = np.empty((source.size, c, phases.shape[5], phases.shape[6]), w.dtype)
    out[source] = phases.reshape(*source.shape, *out.shape[1:])
    return out


def weight_convolution(
    w: np.ndarray, factor: Pair, groups: int = 1, dilation: Pair = 1
) -> np.ndarray:
    """Weights of the transposed convolution equal to ``conv(nearest_resize(x), w)``.

    ``w`` is OIHW, (O, C/groups, K_h, K_w); the result is IOHW, (C, O/groups, E_h+r_h-1,
    E_w+r_w-1), of the dtype of ``w``. Its stride is ``factor``; its padding is
    ``geometry.axis_of_resize``.
    """
    _check_weights(w, groups)
    return convolved_with_ones(w, pair(factor), groups, pair(dilation, "dilation"))


def convolved_with_ones(
    w: np.ndarray, factor: Sequence[int], groups: int, dilation: Sequence[int]
) -> np.ndarray:
    """``weight_convolution`` along any number of axes: OI and these as IO and these.

    One sample of x meets r neighbouring taps, so the flipped kernel is convolved with ones(r).
    """
    o, c, *kernel = w.shape
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    flipped = np.flip(w, tuple(range(2, w.ndim)))
    flipped = flipped.reshape(groups, o // groups, c, *kernel).swapaxes(1, 2)
    sizes = [extent + r - 1 for extent, r in zip(extents, factor, strict=True)]
    total = np.zeros((groups, c, o // groups, *sizes), np.float64)
    for phase in np.ndindex(*factor):
        sides = zip(phase, extents, dilation, strict=True)
        # What begins at the phase, along each axis.
        taps = [slice(f, f + extent, step) for f, extent, step in sides]
        index: tuple[Any, ...] = (Ellipsis, *taps)
        total[index] += flipped
    return total.reshape(groups * c, o // groups, *sizes).astype(w.dtype)


def phase_bias(b: np.ndarray, factor: Pair, order: str = "CRD") -> np.ndarray:
    """Bias of the r_h*r_w*O convolution channels as (O, r_h, r_w): one value per phase."""
    return b[phase_channels(_vector(b), factor, order)]


def _vector(b: np.ndarray) -> int:
    if b.ndim != 1:
        raise GeometryError(f"bias must be a vector, got shape {b.shape}")
    return b.size


def _check_weights(w: np.ndarray, groups: int, axes: int = 2) -> int:
    if w.ndim != 2 + axes:
        layout = f"OI{'DHW'[-axes:]}"
        raise GeometryError(f"weights must be {layout} with {2 + axes} axes, got shape {w.shape}")
    if groups < 1 or w.shape[0] % groups:
        raise GeometryError(f"out_channels {w.shape[0]} is not divisible by groups={groups}")
    return w.shape[0]


def _check_groups(source: np.ndarray, groups: int) -> None:
    o = source.shape[0]
    if o % groups:
        raise GeometryError(
            f"groups={groups} does not divide the {o} channels after the shuffle: "
            "the phases of one output channel come from different groups"
        )
    of_output = np.arange(o) // (o // groups)
    of_source = source // (source.size // groups)
    if (of_source.reshape(o, -1) != of_output[:, None]).any():
        raise GeometryError(
            f"groups={groups}: the channel order takes the phases of one output channel "
            "from different groups"
        )
