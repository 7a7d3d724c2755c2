"""Float64 NumPy references, written from the definitions and from nothing in the package.

``tvm_deconv.measure.reference`` computes the same faster, and is what these are there to judge.
"""

from __future__ import annotations

import numpy as np


def to_nchw(layout, x):
    """``x`` of a layout such as NHWC as NCHW."""
    return x.transpose([layout.index(name) for name in "NCHW"])


def from_nchw(layout, x):
    """``x``, which is NCHW, in a layout such as NHWC."""
    return x.transpose(["NCHW".index(name) for name in layout])


def conv2d(x, w, padding=(0, 0, 0, 0), dilation=(1, 1), groups=1):
    """Stride-1 correlation, NCHW and OIHW; ``padding`` is (top, left, bottom, right)."""
    top, left, bottom, right = padding
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    o, c, kh, kw = w.shape
    dh, dw = dilation
    n, _, h, wide = x.shape
    oh, ow = h - dh * (kh - 1), wide - dw * (kw - 1)
    out = np.zeros((n, groups, o // groups, oh, ow), np.result_type(x, w))
    xs = x.reshape(n, groups, c, h, wide)
    ws = w.reshape(groups, o // groups, c, kh, kw)
    for i in range(kh):
        for j in range(kw):
            window = xs[..., i * dh : i * dh + oh, j * dw : j * dw + ow]
            out += np.einsum("ngchw,goc->ngohw", window, ws[..., i, j])
    return out.reshape(n, o, oh, ow)


def conv2d_transpose(
    x, w, strides=(1, 1), padding=(0, 0, 0, 0), output_padding=(0, 0), dilation=(1, 1), groups=1
):
    """Scatter form, NCHW and IOHW: every input sample adds a scaled kernel to the output."""
    top, left, bottom, right = padding
    n, c, h, wide = x.shape
    _, o, kh, kw = w.shape
    (sh, sw), (dh, dw) = strides, dilation
    full_h = (h - 1) * sh + dh * (kh - 1) + 1 + output_padding[0]
    full_w = (wide - 1) * sw + dw * (kw - 1) + 1 + output_padding[1]
    out = np.zeros((n, groups, o, full_h, full_w), np.result_type(x, w))
    xs = x.reshape(n, groups, c // groups, h, wide)
    ws = w.reshape(groups, c // groups, o, kh, kw)
    for i in range(kh):
        for j in range(kw):
            part = np.einsum("ngchw,gco->ngohw", xs, ws[..., i, j])
            rows = slice(i * dh, i * dh + sh * (h - 1) + 1, sh)
            out[..., rows, j * dw : j * dw + sw * (wide - 1) + 1 : sw] += part
    out = out.reshape(n, groups * o, full_h, full_w)
    return out[:, :, top : full_h - bottom, left : full_w - right]


def pixel_shuffle(x, factor, order="CRD"):
    """Depth to space, NCHW, by its definition: one output pixel at a time."""
    rh, rw = factor
    n, c, h, w = x.shape
    o = c // (rh * rw)
    out = np.empty((n, o, h * rh, w * rw), x.dtype)
    for fh in range(rh):
        for fw in range(rw):
            phase = fh * rw + fw
            for k in range(o):
                source = k * rh * rw + phase if order == "CRD" else phase * o + k
                out[:, k, fh::rh, fw::rw] = x[:, source]
    return out


def nearest(x, factor):
    return x.repeat(factor[0], axis=2).repeat(factor[1], axis=3)


def linear(x, factor):
    """Linear resize (half_pixel) by whole factors, NCHW: one output row and column at a time."""
    for axis, r in zip((2, 3), factor, strict=True):
        size = x.shape[axis]
        samples = []
        for j in range(r * size):
            place = min(max((j + 0.5) / r - 0.5, 0), size - 1)
            low = int(place)
            a, b = (x.take(min(i, size - 1), axis) for i in (low, low + 1))
            samples.append(a + (place - low) * (b - a))
        x = np.stack(samples, axis)
    return x
