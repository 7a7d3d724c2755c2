"""RESIZE_NEAREST_NEIGHBOR and RESIZE_BILINEAR, with TFLite's rules for where a sample lies.

The scale is in / out in float32, with AlignCorners (in - 1) / (out - 1) where out > 1. Sample i of
the output lies at i * scale, with HalfPixelCenters at (i + 0.5) * scale - 0.5. Nearest takes the
sample at floor(i * scale), at floor((i + 0.5) * scale), and with AlignCorners the nearest to
i * scale, a half away from zero.
"""

from __future__ import annotations

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse
from tvm_deconv.frontends.tflite.translation import NCHW

from .call import Call

_INT64 = 7  # TensorProto.INT64


def resize_nearest_neighbor(call: Call) -> None:
    """By whole factors as a resize that the rewrite knows, else with the indices as numbers."""
    corners, half = _places(call)
    sizes, wanted = call.image()[1:3], _wanted(call)
    x = call.form(0, NCHW)
    if wanted is None or None in sizes:
        mode = "align_corners" if corners else "half_pixel" if half else "asymmetric"
        rounding = "floor" if mode == "asymmetric" else "round_prefer_ceil"
        call.result(_resize(call, x, "nearest", mode, nearest_mode=rounding), NCHW)
        return
    scales = [1.0, 1.0]
    for axis, (size, want) in enumerate(zip(sizes, wanted, strict=True), 2):
        found = nearest_indices(size or 0, want, corners, half)
        factor = want // (size or 1)
        if factor and np.array_equal(found, np.arange(size or 0).repeat(factor)):
            scales.append(factor)
            continue
        scales.append(1)
        x = call.emit("Gather", x, call.constant(found), axis=axis)
    if scales != [1] * 4:
        factors = call.constant(scales, np.float32)
        how = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"}
        x = call.emit("Resize", x, "", factors, mode="nearest", **how)
    call.result(x, NCHW)


def nearest_indices(size: int, wanted: int, corners: bool, half: bool) -> np.ndarray:
    """The input sample of each output sample along an axis, in TFLite's float32."""
    i = np.arange(wanted, dtype=np.float32)
    scale = np.float32(size) / np.float32(wanted)
    if corners and wanted > 1:
        scale = np.float32(size - 1) / np.float32(wanted - 1)
    place = (i + (np.float32(0.5) if half else np.float32(0))) * scale
    # std::round of what is not negative.
    found = np.floor(place.astype(np.float64) + 0.5) if corners else np.floor(place)
    return np.minimum(found.astype(np.int64), size - 1)


def resize_bilinear(call: Call) -> None:
    corners, half = _places(call)
    mode = "align_corners" if corners else "half_pixel" if half else "asymmetric"
    resized = _resize(call, call.in_single(call.form(0, NCHW)), "linear", mode)
    call.result(call.rounded(resized), NCHW)


def _places(call: Call) -> tuple[bool, bool]:
    corners, half = (bool(call.option(name)) for name in ("AlignCorners", "HalfPixelCenters"))
    if corners and half:
        refuse("AlignCorners and HalfPixelCenters are both set: TFLite has no such resize")
    return corners, half


def _wanted(call: Call) -> tuple[int, ...] | None:
    """Height and width of the result; None where computed from free sizes."""
    value = call.graph.value(call.input(1))
    if value is None:
        return None
    if value.shape != (2,) or (value < 1).any():
        refuse(f"its size is {value.tolist()}: give 2 positive numbers")
    return tuple(int(size) for size in value)


def _resize(call: Call, x: str, kind: str, place: str, **how: str) -> str:
    how["coordinate_transformation_mode"] = place
    sizes, wanted = call.image()[1:3], _wanted(call)
    pairs = list(zip(sizes, wanted or (), strict=False))
    if pairs and place != "align_corners" and all(n and want % n == 0 for n, want in pairs):
        factors = [1, 1, *(want // (n or 1) for n, want in pairs)]
        return call.emit("Resize", x, "", call.constant(factors, np.float32), mode=kind, **how)
    begin = call.emit("Shape", x, start=0, end=2)
    if wanted is None:
        size = call.emit("Cast", call.form(1), to=_INT64)
    else:
        size = call.constant(np.array(wanted))
    return call.emit(
        "Resize", x, "", "", call.emit("Concat", begin, size, axis=0), mode=kind, **how
    )
