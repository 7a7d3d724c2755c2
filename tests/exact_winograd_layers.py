"""Layers whose phases have two taps an axis, and weights of folded nearest resizes."""

from __future__ import annotations

import numpy as np

from tvm_deconv.algebra.geometry import Axis, ConvAxis, axis_of_resize

NEAREST = axis_of_resize(ConvAxis(3, 1, 1), 2)
KERNEL_4 = Axis(4, 2, 1, 1)


def folded(kernel, factor):
    """IOHW weights of a nearest resize with the convolution behind it: each tap moved by all f."""
    *channels, rows, columns = kernel.shape
    made = np.zeros((*channels, rows + factor - 1, columns + factor - 1), np.int64)
    for fh, fw in np.ndindex(factor, factor):
        made[:, :, fh : fh + rows, fw : fw + columns] += kernel[..., ::-1, ::-1]
    return made
