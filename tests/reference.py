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
    return conv(x, w, padding, dilation, groups)


def conv(x, w, padding, dilation, groups=1):
    """Stride-1 correlation along all axes behind NC; ``padding`` has all begins, then all ends."""
    axes = w.ndim - 2
    x = np.pad(x, ((0, 0), (0, 0), *zip(padding[:axes], padding[axes:], strict=True)))
    o, c, *kernel = w.shape
    n, _, *sizes = x.shape
    of_axes = list(zip(sizes, dilation, kernel, strict=True))
    out_sizes = [size - d * (k - 1) for size, d, k in of_axes]
    out = np.zeros((n, groups, o // groups, *out_sizes), np.result_type(x, w))
    xs = x.reshape(n, groups, c, *sizes)
    ws = w.reshape(groups, o // groups, c, *kernel)
    for tap in np.ndindex(*kernel):
        places = zip(tap, dilation, out_sizes, strict=True)
        window = xs[(..., *(slice(k * d, k * d + size) for k, d, size in places))]
        out += np.einsum("ngc...,goc->ngo...", window, ws[(..., *tap)])
    return out.reshape(n, o, *out_sizes)


def conv2d_transpose(
    x, w, strides=(1, 1), padding=(0, 0, 0, 0), output_padding=(0, 0), dilation=(1, 1), groups=1
):
    """Scatter form, NCHW and IOHW: every input sample adds a scaled kernel to the output."""
    return conv_transpose(x, w, strides, padding, output_padding, dilation, groups)


def conv_transpose(x, w, strides, padding, output_padding=None, dilation=None, groups=1):
    """Scatter form along all axes behind NC; ``padding`` has all begins, then all ends."""
    axes = w.ndim - 2
    output_padding, dilation = output_padding or (0,) * axes, dilation or (1,) * axes
    n, c, *sizes = x.shape
    _, o, *kernel = w.shape
    full = [
        (size - 1) * s + d * (k - 1) + 1 + extra
        for size, s, d, k, extra in zip(
            sizes, strides, dilation, kernel, output_padding, strict=True
        )
    ]
    out = np.zeros((n, groups, o, *full), np.result_type(x, w))
    xs = x.reshape(n, groups, c // groups, *sizes)
    ws = w.reshape(groups, c // groups, o, *kernel)
    for tap in np.ndindex(*kernel):
        places = zip(tap, dilation, strides, sizes, strict=True)
        at = [slice(k * d, k * d + s * (size - 1) + 1, s) for k, d, s, size in places]
        out[(..., *at)] += np.einsum("ngc...,gco->ngo...", xs, ws[(..., *tap)])
    out = out.reshape(n, groups * o, *full)
    of_axes = zip(padding[:axes], padding[axes:], full, strict=True)
    return out[(..., *(slice(begin, size - end) for begin, end, size in of_axes))]


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
    """Linear resize (half_pixel) by whole factors, behind NC: one output sample at a time."""
    for axis, r in enumerate(factor, start=2):
        size = x.shape[axis]
        samples = []
        for j in range(r * size):
            place = min(max((j + 0.5) / r - 0.5, 0), size - 1)
            low = int(place)
            a, b = (x.take(min(i, size - 1), axis) for i in (low, low + 1))
            samples.append(a + (place - low) * (b - a))
        x = np.stack(samples, axis)
    return x


# Of a call and its operands: what is called and means the same in Relax and in Relay.
OPERATORS = {
    "add": lambda c, x, y: x + y,
    "subtract": lambda c, x, y: x - y,
    "multiply": lambda c, x, y: x * y,
    "divide": lambda c, x, y: x / y,
    "maximum": lambda c, x, y: np.maximum(x, y),
    "minimum": lambda c, x, y: np.minimum(x, y),
    "greater": lambda c, x, y: x > y,
    "where": lambda c, m, x, y: np.where(m, x, y),
    "sigmoid": lambda c, x: 1 / (1 + np.exp(-x)),
    "tanh": lambda c, x: np.tanh(x),
    "nn.relu": lambda c, x: np.maximum(x, 0),
    "repeat": lambda c, x: x.repeat(int(c.attrs.repeats), int(c.attrs.axis)),
    "take": lambda c, x, i: x.take(i, int(c.attrs.axis)),
}
