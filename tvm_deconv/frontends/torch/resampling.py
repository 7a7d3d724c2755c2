"""``F.interpolate`` in every mode, by the formulas of PyTorch's CPU kernels.

Output sample i of an axis lies at place step * i (nearest, and whatever aligns the corners) or
step * (i + 1/2) - 1/2 of the input, where the step is 1 / scale_factor if that is given and not
recomputed, else input / output size, or (input - 1) / (output - 1) between aligned corners
(ATen/native/UpSample.h, ``area_pixel_compute_scale`` and ``area_pixel_compute_source_index``).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.resample import resample
from tvm_deconv.frontends.resampled import Resampled
from tvm_deconv.frontends.taps import Coordinate, Nearest, cubic, linear

from .translation import Converter, Translation
from .values import shape_of

# PyTorch's bicubic is Keys' with this parameter; with antialias it is Pillow's.
_ANTIALIASED_A = -0.5

# Up to this sum of output height and width 2-D maps take the kernel for channels_last.
_SMALL = 128


def nearest(exact: bool) -> Converter:
    def convert(
        t: Translation, x: relax.Expr, _size: Any, scales: Sequence[float] | None = None
    ) -> relax.Expr:
        short = _takes_channels_last_kernel(t)
        double = str(x.ty.dtype) == "float64" and not short
        place = _exact_place if exact else _nearest_place
        floor: Any = Nearest("floor")

        def axis(index: int, size: Any, scale: float | None) -> Resampled:
            return Resampled(index, size, place(scale, short, double), floor)

        return _resampled(t, x, scales, axis)

    return convert


def interpolation(name: str, antialias: bool = False) -> Converter:
    """``linear`` (of one to three axes) or ``cubic``."""

    def convert(
        t: Translation,
        x: relax.Expr,
        _size: Any,
        align_corners: bool,
        scales: Sequence[float] | None = None,
    ) -> relax.Expr:
        sizes = shape_of(x)

        def axis(index: int, size: Any, scale: float | None) -> Resampled:
            step = _fixed_step(scale, align_corners, sizes[index], size) if antialias else None
            place = _place(scale, align_corners, name == "linear", antialias)
            return Resampled(index, size, place, _kernel(name, step))

        return _resampled(t, x, scales, axis)

    return convert


def separate_scales(of: Converter, corners: bool) -> Converter:
    """The overloads that name one scale for each axis, ``align_corners`` before them or not."""

    def convert(t: Translation, x: relax.Expr, size: Any, *rest: Any) -> relax.Expr:
        scales = list(rest[1:] if corners else rest)
        given = None if any(scale is None for scale in scales) else scales
        return of(t, x, size, rest[0], given) if corners else of(t, x, size, given)

    return convert


def _resampled(
    t: Translation,
    x: relax.Expr,
    scales: Sequence[float] | None,
    axis: Callable[[int, Any, float | None], Resampled],
) -> relax.Expr:
    axes = [
        axis(index, size, None if scales is None else scales[index - 2])
        for index, size in enumerate(t.shape)
        if index >= 2
    ]
    return resample(t.builder, x, axes)


def _kernel(name: str, step: float | None) -> Any:
    outside = step is not None
    if name == "linear":
        return linear(step, outside)
    return cubic(_ANTIALIASED_A, step, outside) if outside else cubic()


def _fixed_step(scale: float | None, align_corners: bool, size: Any, target: Any) -> float:
    """How many input samples an output sample is apart; the reach of an antialiasing kernel."""
    if scale is not None and scale > 0 and not align_corners:
        return 1 / scale
    if not isinstance(size, int) or not isinstance(target, int):
        raise ModelError("antialias of a free size needs scale_factor without align_corners")
    if align_corners:
        return (size - 1) / (target - 1) if target > 1 else 0.0
    return size / target


def _place(
    scale: float | None, align_corners: bool, from_zero: bool, antialias: bool
) -> Coordinate:
    def place(ops: Any, i: Any, n: Any, m: Any) -> Any:
        if align_corners:
            # A single output sample is the first of the input.
            step = ops.where(ops.equal(m, 1.0), 0.0, (n - 1.0) / ops.largest(m - 1.0, 1.0))
            if not antialias:
                return i * step
        else:
            step = n / m if scale is None or scale <= 0 else 1 / scale
        centred = (i + 0.5) * step - 0.5
        if not antialias and not from_zero:
            return centred
        # Linear and antialiasing kernels copy where the sizes are equal, whatever the scale is.
        return ops.where(ops.equal(m, n), i, centred if antialias else ops.largest(centred, 0.0))

    return place


def _nearest_place(scale: float | None, short: bool, double: bool) -> Coordinate:
    def place(ops: Any, i: Any, n: Any, m: Any) -> Any:
        if double:
            return ops.single(ops.double(i) * _step(ops, scale, n, m, True))
        scaled = i * _step(ops, scale, n, m, False)
        if not short or scale is None:
            return scaled
        # Whatever the scale is, this kernel copies one to one and one to two.
        twice = ops.where(ops.equal(m, n + n), i * 0.5, scaled)
        return ops.where(ops.equal(m, n), i, twice)

    return place


def _exact_place(scale: float | None, short: bool, double: bool) -> Coordinate:
    def place(ops: Any, i: Any, n: Any, m: Any) -> Any:
        step = ops.double(_step(ops, scale, n, m, double))
        centre = ops.double(i + 0.5) * step
        if short:
            return ops.single(centre)
        # Compiled to a fused multiply-add: the product is not rounded.
        low = centre - 0.5 if double else ops.single(centre - 0.5)
        return ops.single(ops.largest(low, 0.0) + 0.5)

    return place


def _step(ops: Any, scale: float | None, n: Any, m: Any, double: bool) -> Any:
    if scale is not None and scale > 0:
        return 1 / scale if double else ops.single(n * 0.0 + 1 / scale)
    return ops.double(n) / ops.double(m) if double else n / m


def _takes_channels_last_kernel(t: Translation) -> bool:
    """``_use_vectorized_kernel_cond_2d`` and ``_3d`` of ATen/native/cpu/UpSampleKernel.cpp.

    Of free sizes the small ones count: only there can a fractional scale give the sizes that the
    kernels treat differently.
    """
    record = t.node.args[0].meta["val"]
    if record.ndim == 3:
        return False
    layout = torch.channels_last if record.ndim == 4 else torch.channels_last_3d
    if isinstance(record.shape[1], int) and record.shape[1] > 3:
        strides = record.stride()
        if record.is_contiguous(memory_format=layout) and strides[1] == 1:
            return True
    if record.ndim == 5:
        return False
    height, width = t.shape[2:]
    fixed = isinstance(height, int) and isinstance(width, int)
    return not fixed or height + width <= _SMALL
