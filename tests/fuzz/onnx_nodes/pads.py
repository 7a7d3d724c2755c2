"""Pad: every mode, growing and cropping, by attributes and by operands."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..graph import Graph, Value, need_axes

_MODES = ("constant", "reflect", "edge", "wrap")


def pad(g: Graph, x: Value, least: int = -2, most: int = 3) -> Value:
    """Pads of the spatial axes, now and then of all."""
    need_axes(x, 3)
    modes = _MODES if g.opset >= 19 else _MODES[:3]
    mode = g.draw.pick(modes)
    low = least if g.draw.chance(0.25) else 0
    front = 2 if g.draw.chance(0.95) else 0
    same = g.draw.pick((1, 2, most)) if g.draw.chance(0.5) else None
    wanted = [0] * front
    wanted += [same or g.draw.integer(0, most - low) + low for _ in range(x.rank - front)]
    ends = [0] * front
    ends += [same or g.draw.integer(0, most - low) + low for _ in range(x.rank - front)]
    value = g.draw.pick((None, 0.0, 1.5, -2.25)) if mode == "constant" else None
    if g.opset < 11:
        return g.node("Pad", x, mode=mode, pads=[*wanted, *ends], value=value)
    attributes: dict[str, Any] = {
        "mode": mode if g.draw.chance(0.9) or mode != "constant" else None
    }
    operands: list[Any] = [g.ints(*wanted, *ends)]
    if value is not None:
        operands.append(g.given(np.array(value, g.dtype)))
    if g.opset >= 18 and g.draw.chance(0.3):
        axes = g.draw.shuffled(range(2, x.rank))
        chosen = [wanted[axis] for axis in axes] + [ends[axis] for axis in axes]
        operands = [g.ints(*chosen), operands[1] if value is not None else "", g.ints(*axes)]
    return g.node("Pad", x, *operands, **attributes)
