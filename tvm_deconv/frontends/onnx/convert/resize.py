"""Resize and Upsample, of every opset, as the standard and ONNX Runtime compute them.

An axis is resampled by its scale as it is given, in float32, where TVM's importer keeps only the
sizes and takes their ratio. What the standard leaves open is done as ONNX Runtime does it:

- sizes are ``int(float32(scale) * float32(size))``;
- before opset 11 nearest truncates where it enlarges and rounds up where it shrinks.

ONNX Runtime 1.32 breaks the standard, and the standard is followed, where

- the output has the sizes of the input: it copies, whatever roi and a scale such as 1.2 say;
- a scale is 1: it ignores roi on that axis (``tf_crop_and_resize``);
- ``exclude_outside`` comes with mode linear: it refuses.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import relax, sym, tirx

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.resample import LARGEST_SIZE, Resampled, resample
from tvm_deconv.frontends.taps import ROUNDINGS, Kernel, Nearest, cubic, linear

from .call import Call, normal_axis, shape_of
from .coordinates import MODES, coordinate

# Sizes up to which the integer formula of a scaled size is compared with the float32 one.
_COMPARED_SIZES = 1 << 16


def resize(call: Call) -> relax.Expr:
    """Resize of opset 10 and later."""
    if call.opset < 11:
        return _old(call, call.constant(1, "scales"))
    x = call.tensor(0)
    shape = shape_of(x)
    axes = [normal_axis(a, len(shape), "axes:") for a in call.get("axes", range(len(shape)))]
    mode = call.choice("coordinate_transformation_mode", "half_pixel", MODES)
    crops = mode == "tf_crop_and_resize"
    scales, sizes = _scales_and_sizes(call, shape, axes)
    roi = call.constant(1, "roi") if crops else None
    if crops and (roi is None or roi.size != 2 * len(axes)):
        refuse(f"mode tf_crop_and_resize needs a roi of {2 * len(axes)} numbers")
    if roi is not None and not np.isfinite(roi).all():
        refuse(f"roi is {_listed(roi)}: give finite numbers")
    resampled = []
    for i, axis in enumerate(axes):
        region = (float(roi[i]), float(roi[i + len(axes)])) if roi is not None else None
        if region in (None, (0.0, 1.0)) and _stays(scales[i], sizes[i], shape[axis]):
            continue
        place = coordinate(mode, scales[i], region)
        step = _step(scales[i], sizes[i], shape[axis])
        resampled.append(Resampled(axis, sizes[i], place, _kernel(call, step), fills=crops))
    fill = call.get("extrapolation_value", 0.0)
    what = f"{call.get('mode', 'nearest')} resize with {mode}"
    return resample(call.builder, x, resampled, fill, what)


def upsample(call: Call) -> relax.Expr:
    """Upsample of opset 7 (scales in an attribute) and 9; Resize-10 has taken its place since."""
    scales = call.constant(1, "scales")
    if scales is None:
        given = call.get("scales", None)
        if given is None:
            refuse("has no scales: give one for each axis")
        scales = np.asarray(given, np.float32)
    if (scales < 1).any():
        refuse(f"scales {_listed(scales)} shrink: Upsample only enlarges, use Resize")
    return _old(call, scales)


def _old(call: Call, scales: np.ndarray | None) -> relax.Expr:
    x = call.tensor(0)
    shape = shape_of(x)
    if scales is None:
        refuse("has no scales: give one for each axis")
    _check_scales(scales, len(shape))
    mode = call.choice("mode", "nearest", ("nearest", "linear"))
    resampled = []
    for axis, scale in enumerate(scales.astype(np.float32)):
        if scale == 1:
            continue
        size = scaled_size(shape[axis], scale)
        kernel: Kernel = linear()
        if mode == "nearest":
            kernel = Nearest("ceil" if scale < 1 else "floor")
        resampled.append(Resampled(axis, size, coordinate("asymmetric", scale), kernel))
    return resample(call.builder, x, resampled, what=f"{mode} resize")


def _scales_and_sizes(
    call: Call, shape: Sequence[Any], axes: Sequence[int]
) -> tuple[list[np.float32 | None], list[Any]]:
    """Scale (None: the ratio of the sizes) and output size along each of ``axes``."""
    scales = call.constant(2, "scales")
    sizes = call.sizes(3, "sizes")
    # An empty tensor stands for one that is not given, in what PyTorch wrote at opset 11.
    if scales is not None and scales.size:
        if sizes is not None and len(sizes):
            refuse("has scales and sizes: give one of them")
        _check_scales(scales, len(axes))
        scales = scales.astype(np.float32)
        found = [scaled_size(shape[axis], s) for axis, s in zip(axes, scales, strict=True)]
        return list(scales), found
    if sizes is None or not len(sizes):
        refuse("has neither scales nor sizes: give one of them")
    if len(sizes) != len(axes):
        refuse(f"has {len(sizes)} sizes, {len(axes)} are needed")
    policy = call.choice(
        "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller")
    )
    if policy == "stretch":
        return [_ratio(shape[axis], size) for axis, size in zip(axes, sizes, strict=True)], list(
            sizes
        )
    fixed = [shape[axis] for axis in axes]
    if not all(isinstance(n, int) for n in (*fixed, *sizes)):
        refuse(f"keep_aspect_ratio_policy {policy} is computed for fixed sizes: give the shapes")
    ratios = [np.float32(size) / np.float32(n) for size, n in zip(sizes, fixed, strict=True)]
    scale = min(ratios) if policy == "not_larger" else max(ratios)
    rounded = [int(np.floor(np.float64(scale * np.float32(n)) + 0.5)) for n in fixed]
    return [scale] * len(axes), rounded


def _check_scales(scales: np.ndarray, count: int) -> None:
    if scales.size != count:
        refuse(f"has {scales.size} scales, {count} are needed")
    if not (np.isfinite(scales).all() and (scales > 0).all()):
        refuse(f"scales are {_listed(scales)}: give positive numbers")


def _listed(values: np.ndarray) -> str:
    return "[" + ", ".join(f"{value:g}" for value in values.ravel()) + "]"


def scaled_size(size: Any, scale: np.float32) -> Any:
    """``int(scale * size)`` in float32, as ONNX Runtime computes output sizes.

    For a free ``size`` it is an integer formula, ``size * p // q``, if that gives the same for all
    sizes up to 65,536; the float32 formula cannot be bounded by TVM's arithmetic.
    """
    if float(scale) * (size if isinstance(size, int) else 1) > LARGEST_SIZE:
        refuse(f"scale {scale:g} makes a size over {LARGEST_SIZE}")
    if isinstance(size, int):
        return int(scale * np.float32(size))
    sizes = np.arange(_COMPARED_SIZES)
    expected = (sizes.astype(np.float32) * scale).astype(np.int64)
    for q in range(1, 65):
        p = round(float(scale) * q)
        if p and np.array_equal(sizes * p // q, expected):
            return sym.Analyzer().simplify(tirx.floordiv(size * p, q))
    return tirx.Cast("int64", size.astype("float32") * tirx.const(float(scale), "float32"))


def _ratio(size: Any, target: Any) -> np.float32 | None:
    fixed = isinstance(size, int) and isinstance(target, int)
    return np.float32(target) / np.float32(size) if fixed else None


def _stays(scale: np.float32 | None, target: Any, size: Any) -> bool:
    """Whether an axis is copied. A scale of 1 is; so are equal sizes of free axes."""
    if scale is not None:
        return bool(scale == 1)
    return bool(sym.Analyzer().can_prove_equal(target, size))


def _step(scale: np.float32 | None, target: Any, size: Any) -> float | None:
    """Input samples from one output sample to the next; None where only known at run time."""
    return None if scale is None else float(np.float32(1) / scale)


def _kernel(call: Call, step: float | None) -> Kernel:
    mode = call.choice("mode", "nearest", ("nearest", "linear", "cubic"))
    rounding = call.choice("nearest_mode", "round_prefer_floor", ROUNDINGS)
    antialias = bool(call.get("antialias", 0))
    if mode == "nearest":
        if antialias:
            refuse("antialias is 1 in mode nearest: it is for linear and cubic")
        return Nearest(rounding)
    outside = bool(call.get("exclude_outside", 0))
    stretch = step if antialias else None
    if antialias and step is None:
        refuse("antialias is computed for scales or fixed sizes: give the shapes")
    if mode == "linear":
        return linear(stretch, outside)
    return cubic(call.get("cubic_coeff_a", -0.75), stretch, outside)
