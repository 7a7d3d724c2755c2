"""Layers whose phases have two or three taps an axis, and weights of folded nearest resizes."""

from __future__ import annotations

import numpy as np

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)

NEAREST = axis_of_resize(ConvAxis(3, 1, 1), 2)
KERNEL_4 = Axis(4, 2, 1, 1)
PLAIN_3 = Axis(3, 1, 1, 1)
SUB_PIXEL = axis_of_subpixel(ConvAxis(3, 1, 1), 2)
# By the taps that each phase has in height and in width.
LAYERS = {
    "kernel 4, stride 2": (KERNEL_4, KERNEL_4),
    "kernel 4, stride 2, cropped": (Axis(4, 2, 3, 0), Axis(4, 2, 2, 1)),
    "kernel 2, stride 1": (Axis(2, 1, 1, 1), Axis(2, 1, 0, 0)),
    "kernel 3": (PLAIN_3, PLAIN_3),
    "kernel 3, uneven paddings": (Axis(3, 1, 2, 0), Axis(3, 1, 0, 1)),
    "sub-pixel": (SUB_PIXEL, SUB_PIXEL),
    "sub-pixel by 3": (axis_of_subpixel(ConvAxis(3, 1, 1), 3), SUB_PIXEL),
    "kernel 6, stride 2": (Axis(6, 2, 2, 2), Axis(6, 2, 1, 3)),
    "two taps down and three across": (KERNEL_4, PLAIN_3),
    "three taps down and two across": (Axis(9, 3, 3, 3), KERNEL_4),
}


def layer(name, inputs, outputs):
    return ConvTranspose2d(inputs, outputs, *LAYERS[name])


def folded(kernel, factor):
    """IOHW weights of a nearest resize with the convolution behind it: each tap moved by all f."""
    *channels, rows, columns = kernel.shape
    made = np.zeros((*channels, rows + factor - 1, columns + factor - 1), np.int64)
    for fh, fw in np.ndindex(factor, factor):
        made[:, :, fh : fh + rows, fw : fw + columns] += kernel[..., ::-1, ::-1]
    return made
