"""Resize and Upsample: every mode, attribute and way to say the size that the opset has."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Graph, NodeRefused, Value, need_axes

SCALES = (2.0, 3.0, 4.0, 1.5, 0.5, 1.0, 2.5, 0.75, 0.6, 1 / 3, 1.3, 5.0)
_ABSURD = (17.0, 100.0, 1000.0, 0.01, 1e-3)
_COORDINATES = (
    "asymmetric",
    "half_pixel",
    "pytorch_half_pixel",
    "align_corners",
    "tf_crop_and_resize",
)
_ROUNDING = ("floor", "round_prefer_floor", "round_prefer_ceil", "ceil")


def resize(g: Graph, x: Value) -> Value:
    """Any resize."""
    need_axes(x, 3, 5)
    mode = g.draw.pick(("nearest", "linear", "cubic"), [4, 3, 1])
    if g.opset < 11:
        return _old(g, x, mode)
    return resized(g, x, resize_attributes(g, mode), by_sizes=g.draw.chance(0.4))


def nearest(g: Graph, x: Value) -> Value:
    """Nearest by whole factors, with the modes that make it one and those that do not."""
    need_axes(x, 4, 5)
    r = g.draw.pick((2, 3, 4))
    others = [g.draw.pick((r, 2, 3, 1), [8, 1, 1, 1]) for _ in range(x.rank - 3)]
    scales = [1.0, 1.0, float(r), *map(float, others)]
    coordinates, rounding = "asymmetric", "floor"
    if g.draw.chance(0.5):
        coordinates, rounding = g.draw.pick(_coordinates(g)), g.draw.pick(_ROUNDING)
    attributes = {
        "mode": "nearest",
        "coordinate_transformation_mode": coordinates,
        "nearest_mode": rounding,
    }
    return resized(g, x, attributes, by_sizes=g.draw.chance(0.25), scales=scales)


def resize_attributes(g: Graph, mode: str) -> dict[str, Any]:
    """Any that go with the mode, as of opset 11."""
    found: dict[str, Any] = {"mode": mode}
    if g.draw.chance(0.8):
        found["coordinate_transformation_mode"] = g.draw.pick(_coordinates(g))
    if mode == "nearest" and g.draw.chance(0.8):
        found["nearest_mode"] = g.draw.pick((*_ROUNDING, "FOO"), [4, 4, 4, 4, 0.1])
    if mode == "cubic" or g.draw.chance(0.05):
        found["cubic_coeff_a"] = g.draw.pick((None, -0.5, -0.75, -0.25))
        found["exclude_outside"] = g.draw.pick((None, 1, 0))
    if g.draw.chance(0.15):
        found["extrapolation_value"] = g.draw.pick((0.0, 2.5, -1.0))
    if g.opset >= 18:
        found["antialias"] = 1 if g.draw.chance(0.1) else None
    return found


def _coordinates(g: Graph) -> tuple[str, ...]:
    if g.opset < 13:
        return (*_COORDINATES, "tf_half_pixel_for_nn")
    return (*_COORDINATES, "half_pixel_symmetric") if g.opset >= 19 else _COORDINATES


def resized(
    g: Graph,
    x: Value,
    attributes: dict[str, Any],
    by_sizes: bool,
    scales: list[float] | None = None,
) -> Value:
    """By these scales or any; before opset 11, of the attributes only the mode counts."""
    if g.opset < 11:
        return _old(g, x, attributes["mode"], scales)
    axes = x.rank - 2
    scales = scales or _scales(g, x)
    roi: str = ""
    if attributes.get("coordinate_transformation_mode") == "tf_crop_and_resize":
        # Where a place is exactly that of an element, rounding decides which a nearest one takes
        # and whether it is inside: none of these bounds is 0 or 1, or has so few digits that a
        # sample lies there.
        begin = [0.0] * 2 + [g.draw.pick((0.0291, 0.2317, 0.4129, -0.1137)) for _ in range(axes)]
        end = [1.0] * 2 + [g.draw.pick((0.9713, 0.8293, 0.6131, 1.1719)) for _ in range(axes)]
        roi = g.floats(*begin, *end)
    elif g.opset < 13:
        roi = g.floats() if g.draw.chance(0.5) else g.floats(*[0.0] * x.rank, *[1.0] * x.rank)
    if g.opset >= 18 and g.draw.chance(0.25):
        # Only the axes that are named.
        chosen = g.draw.pick(([*range(2, x.rank)], [x.rank - 1], [*range(x.rank - 1, 1, -1)]))
        attributes["axes"] = chosen
        scales = [scales[axis] for axis in chosen]
        if roi:
            both = g.constants[roi].reshape(2, -1)[:, chosen]
            roi = g.given(both.reshape(-1))
        sizes = [x.shape[axis] for axis in chosen]
    else:
        sizes = list(x.shape)
    if not by_sizes:
        return g.node("Resize", x, roi, _spelled_scales(g, scales), **attributes)
    wanted = [max(1, int(n * s + 1e-6)) for n, s in zip(sizes, scales, strict=True)]
    if g.draw.chance(0.2):
        wanted[-1] += g.draw.integer(1, 3)
    elif g.draw.chance(0.5):
        # The odd sizes of a network that halved them, rounding up.
        wanted = [n if n == size else n - 1 for n, size in zip(wanted, sizes, strict=True)]
    if g.opset >= 18 and g.draw.chance(0.15):
        attributes["keep_aspect_ratio_policy"] = g.draw.pick(
            ("not_larger", "not_smaller", "stretch")
        )
    empty = "" if g.opset >= 13 else g.floats()
    return g.node("Resize", x, roi, empty, g.ints(*wanted), **attributes)


def _scales(g: Graph, x: Value) -> list[float]:
    one = g.draw.pick(_ABSURD if g.draw.chance(0.02) else SCALES)
    both = [one] * (x.rank - 2)
    if g.draw.chance(0.4):
        both = [g.draw.pick(SCALES) for _ in both]
    front = g.draw.pick(([1.0, 1.0], [1.0, 2.0], [2.0, 1.0]), [40, 1, 1])
    return [*front, *both]


def _spelled_scales(g: Graph, scales: list[float]) -> str:
    return g.given(np.array(scales, "float32"), spelled=True)


def _old(g: Graph, x: Value, mode: str, scales: list[float] | None = None) -> Value:
    """Upsample 9 and Resize 10: only scales, and one meaning."""
    operator = "Upsample" if g.opset < 10 else "Resize"
    if mode == "cubic":
        mode = "linear"
    scales = scales or _scales(g, x)
    return g.node(operator, x, _spelled_scales(g, scales), mode=mode)


def grid_sample(g: Graph, x: Value) -> Value:
    """Samples at places of a grid, some of them outside."""
    if x.rank != 4 or g.opset < 16:
        raise NodeRefused("no GridSample")
    linear, cubic = ("linear", "cubic") if g.opset >= 20 else ("bilinear", "bicubic")
    size = g.draw.pick(((3, 3), (5, 4), (1, 7)))
    grid = np.random.default_rng(g.count).uniform(-1.2, 1.2, (x.shape[0], *size, 2))
    return g.node(
        "GridSample",
        x,
        g.given(grid.astype(g.dtype)),
        mode=g.draw.pick((linear, "nearest", cubic)),
        padding_mode=g.draw.pick(("zeros", "border", "reflection")),
        align_corners=g.draw.below(2),
    )
