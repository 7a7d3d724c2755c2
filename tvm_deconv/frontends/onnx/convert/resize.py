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

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import chain
from typing import Any

import numpy as np
from tvm import relax, sym, tirx

from tvm_deconv.frontends.numbers_tir import TensorIR
from tvm_deconv.frontends.onnx.formulas import are_one, int64
from tvm_deconv.frontends.onnx.fractions import Fraction, rounded_size, scaled_size, target_of
from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.resample import resample
from tvm_deconv.frontends.resampled import Resampled
from tvm_deconv.frontends.taps import (
    ROUNDINGS,
    Coordinate,
    Kernel,
    Nearest,
    Numbers,
    NumPy,
    cubic,
    linear,
)

from .call import Call, normal_axis, shape_of
from .coordinates import MODES, Ratio, coordinate, of_the_sizes


def resize(call: Call) -> relax.Expr:
    """Resize of opset 10 and later."""
    if call.opset < 11:
        return _old(call, call.scales(1))
    x = call.tensor(0)
    shape = shape_of(x)
    axes = [normal_axis(a, len(shape), "axes:") for a in call.get("axes", range(len(shape)))]
    mode = call.choice("coordinate_transformation_mode", "half_pixel", MODES)
    crops = mode == "tf_crop_and_resize"
    targets = _targets(call, shape, axes)
    roi = call.constant(1, "roi") if crops else None
    if crops and (roi is None or roi.size != 2 * len(axes)):
        refuse(f"mode tf_crop_and_resize needs a roi of {2 * len(axes)} numbers")
    if roi is not None and not np.isfinite(roi).all():
        refuse(f"roi is {_listed(roi.ravel())}: give finite numbers")
    resampled = []
    for i, (axis, target) in enumerate(zip(axes, targets, strict=True)):
        region = (float(roi[i]), float(roi[i + len(axes)])) if roi is not None else None
        if region in (None, (0.0, 1.0)) and _stays(target, shape[axis]):
            continue
        place = coordinate(mode, target.scale, region, target.by)
        kernel = _kernel(call, _step(target.scale))
        resampled.append(Resampled(axis, target.size, place, kernel, crops, target.also))
    fill = call.get("extrapolation_value", 0.0)
    what = f"{call.get('mode', 'nearest')} resize with {mode}"
    return resample(call.builder, x, resampled, fill, what)


def upsample(call: Call) -> relax.Expr:
    """Upsample of opset 7 (scales in an attribute) and 9; Resize-10 has taken its place since."""
    scales = call.scales(1)
    if scales is None:
        given = call.get("scales", None)
        scales = None if given is None else [np.float32(value) for value in given]
    shrink = "shrink: Upsample only enlarges, use Resize"
    if any(scale < 1 for scale in _numbers(scales or [])):
        refuse(f"scales {_listed(scales or [])} {shrink}")
    for scale in scales or []:
        if isinstance(scale, Fraction):
            lacking = tirx.max(int64(scale.by) - scale.size, int64(0))
            call.require([lacking], f"scales {_listed(scales or [])} {shrink}")
    return _old(call, scales)


def _old(call: Call, scales: list[Any] | None) -> relax.Expr:
    x = call.tensor(0)
    shape = shape_of(x)
    if scales is None:
        refuse("has no scales: give one for each axis")
    _check_scales(scales, len(shape))
    mode = call.choice("mode", "nearest", ("nearest", "linear"))
    resampled = []
    for axis, given in enumerate(scales):
        target = _target(call, shape[axis], axis, given)
        if _stays(target, shape[axis]):
            continue
        scale = target.scale
        place = coordinate("asymmetric", scale)
        kernel: Kernel = linear()
        if mode == "nearest":
            kernel = Nearest("ceil" if scale is not None and scale < 1 else "floor")
            place = place if scale is not None else _rounded(place)
        resampled.append(Resampled(axis, target.size, place, kernel, also=target.also))
    return resample(call.builder, x, resampled, what=f"{mode} resize")


def _rounded(place: Coordinate) -> Coordinate:
    """``place`` up where the axis shrinks, and down where it grows, by sizes that are free."""

    def whole(ops: Numbers, i: Any, n: Any, m: Any, *also: Any) -> Any:
        found = place(ops, i, n, m, *also)
        shrinks = (*also, m)[0] < n
        return ops.where(shrinks, ops.ceil(found), ops.floor(found))

    return whole


@dataclass(frozen=True)
class _Target:
    """Output size of an axis, and its scale (None: what ``by`` makes of the sizes and ``also``)."""

    size: Any
    scale: np.float32 | None = None
    also: tuple[Any, ...] = ()
    by: Ratio = of_the_sizes


def _targets(call: Call, shape: Sequence[Any], axes: Sequence[int]) -> list[_Target]:
    """What becomes of each of ``axes``."""
    scales, sizes = call.scales(2), call.sizes(3, "sizes")
    # An empty tensor stands for one that is not given, in what PyTorch wrote at opset 11.
    if scales:
        if sizes is not None and len(sizes):
            refuse("has scales and sizes: give one of them")
        _check_scales(scales, len(axes))
        return [_target(call, shape[a], a, s) for a, s in zip(axes, scales, strict=True)]
    if sizes is None or not len(sizes):
        refuse("has neither scales nor sizes: give one of them")
    if len(sizes) != len(axes):
        refuse(f"has {len(sizes)} sizes, {len(axes)} are needed")
    policy = call.choice(
        "keep_aspect_ratio_policy", "stretch", ("stretch", "not_larger", "not_smaller")
    )
    own = [shape[axis] for axis in axes]
    if policy != "stretch":
        return _of_one_scale(own, sizes, policy)
    return [_Target(size, _ratio(n, size)) for n, size in zip(own, sizes, strict=True)]


def _of_one_scale(own: Sequence[Any], sizes: Sequence[Any], policy: str) -> list[_Target]:
    """All axes by the smallest of the scales to ``sizes``, or by the largest."""

    def by(ops: Numbers, _n: Any, _m: Any, *also: Any) -> Any:
        ratios = [size / n for size, n in zip(also[::2], also[1::2], strict=True)]
        return reduce(ops.least if policy == "not_larger" else ops.largest, ratios)

    also = tuple(chain.from_iterable(zip(sizes, own, strict=True)))
    if all(isinstance(n, int) for n in also):
        scale = np.float32(by(NumPy("float32"), None, None, *map(np.float32, also)))
        return [_Target(int(np.floor(np.float64(scale * np.float32(n)) + 0.5)), scale) for n in own]
    ops = TensorIR("float32")
    free = by(ops, None, None, *map(ops.number, also))
    return [
        _Target(tirx.Cast("int64", ops.double(free * ops.number(n)) + 0.5), None, also, by)
        for n in own
    ]


def _check_scales(scales: Sequence[Any], count: int) -> None:
    if len(scales) != count:
        refuse(f"has {len(scales)} scales, {count} are needed")
    if not all(np.isfinite(scale) and scale > 0 for scale in _numbers(scales)):
        refuse(f"scales are {_listed(scales)}: give positive numbers")


def _numbers(scales: Sequence[Any]) -> list[np.float32]:
    """Those scales that do not depend on sizes."""
    return [scale for scale in scales if isinstance(scale, np.float32)]


def _listed(values: Iterable[Any]) -> str:
    return "[" + ", ".join(map(_spelled, values)) + "]"


def _spelled(value: Any) -> str:
    if isinstance(value, Fraction):
        return f"{value.size} / {value.by}"
    return f"{value:g}" if isinstance(value, (float, np.floating)) else str(value)


def _target(call: Call, size: Any, axis: int, scale: Any) -> _Target:
    """What a scale makes of the ``size`` of an axis.

    Of one that was divided from sizes it is the dividend or what rounding leaves of it.
    """
    if isinstance(scale, np.float32):
        return _Target(scaled_size(size, scale), scale)
    if not (isinstance(scale, Fraction) and scale.factor == 1 and are_one(scale.by, size)):
        refuse(
            f"its scale of axis {axis} is computed as {_spelled(scale)}, which is no ratio to the "
            f"size {size} of that axis: give the shapes of the inputs"
        )
    rounded = rounded_size(scale.size, size)
    meant = target_of(rounded)
    return _Target(rounded, also=() if meant is None else (meant,))


def _ratio(size: Any, target: Any) -> np.float32 | None:
    fixed = isinstance(size, int) and isinstance(target, int)
    return np.float32(target) / np.float32(size) if fixed else None


def _stays(target: _Target, size: Any) -> bool:
    """Whether an axis is copied. A scale of 1 is; so are equal sizes of free axes."""
    if target.scale is not None:
        return bool(target.scale == 1)
    return bool(sym.Analyzer().can_prove_equal(target.size, size))


def _step(scale: np.float32 | None) -> float | None:
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
