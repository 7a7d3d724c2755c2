"""The coordinate transformations of ONNX Resize.

From the standard (Operators.md, Resize-19), rounded where ONNX Runtime rounds: it computes in
float32, the last sum of ``half_pixel_symmetric`` and the one output of ``tf_crop_and_resize`` in
float64.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np

from tvm_deconv.frontends.taps import Coordinate, Numbers

MODES = (
    "half_pixel",
    "half_pixel_symmetric",
    "pytorch_half_pixel",
    "align_corners",
    "asymmetric",
    "tf_crop_and_resize",
    "tf_half_pixel_for_nn",
)


# (arithmetic, input size, output size, ``Resampled.also``) -> scale of an axis of free size.
Ratio: TypeAlias = Callable[..., Any]


def of_the_sizes(ops: Numbers, n: Any, m: Any, *also: Any) -> Any:
    """The ratio of the sizes, or of the one that is meant to that of the input."""
    return (*also, m)[0] / n


def coordinate(
    mode: str,
    scale: np.float32 | None,
    region: tuple[float, float] | None = None,
    by: Ratio = of_the_sizes,
) -> Coordinate:
    """Output to input places by ``scale`` (None: by what ``by`` makes of the sizes).

    ``region`` is the normalised start and end of ``tf_crop_and_resize``.
    """

    def ratio(ops: Numbers, n: Any, m: Any, *also: Any) -> Any:
        return by(ops, n, m, *also) if scale is None else float(scale)

    def half_pixel(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        return (i + 0.5) / ratio(ops, n, m, *also) - 0.5

    def half_pixel_symmetric(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        """About the centre, wherever the scale does not fit the sizes."""
        step = ratio(ops, n, m, *also)
        offset = n / 2.0 * (1.0 - m / (n * step))
        step = ops.double(step) if scale is None else step
        return ops.single(ops.double(offset) + (ops.double(i) + 0.5) / step - 0.5)

    def pytorch_half_pixel(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        return ops.where(m > 1.0, half_pixel(ops, i, n, m, *also), 0.0)

    def align_corners(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        return i * (n - 1.0) / ops.largest(m - 1.0, 1.0)

    def asymmetric(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        return i / ratio(ops, n, m, *also)

    def tf_half_pixel_for_nn(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        """ONNX Runtime copies along an axis that keeps its size, where 0.5 may round to 1."""
        if scale is not None:
            return (i + 0.5) / ratio(ops, n, m, *also)
        offset = ops.where(m > n, 0.5, ops.where(n > m, 0.5, 0.0))
        return (i + offset) / ratio(ops, n, m, *also)

    def tf_crop_and_resize(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        start, end = region or (0.0, 1.0)
        extent = float(np.float32(end) - np.float32(start))
        # Through float64, or LLVM contracts product and sum, which rounds once instead of twice.
        first = ops.single(start * ops.double(n - 1.0))
        several = first + i * extent * (n - 1.0) / ops.largest(m - 1.0, 1.0)
        middle = 0.5 * float(np.float32(start) + np.float32(end))
        one = ops.single(middle * ops.double(n - 1.0))
        return ops.where(m > 1.0, several, one)

    return {
        "half_pixel": half_pixel,
        "half_pixel_symmetric": half_pixel_symmetric,
        "pytorch_half_pixel": pytorch_half_pixel,
        "align_corners": align_corners,
        "asymmetric": asymmetric,
        "tf_half_pixel_for_nn": tf_half_pixel_for_nn,
        "tf_crop_and_resize": tf_crop_and_resize,
    }[mode]
