"""Conv and ConvTranspose with every attribute, in one to three dimensions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import prod
from typing import Any

from ..graph import Graph, Value, need_axes

KERNELS = (3, 1, 2, 4, 5, 7, 6, 9, 8)
CHANNELS = (4, 1, 2, 3, 8, 5, 6, 16, 12, 9, 32, 17)
# Nobody has them, but they are legal: of a size and of a stride.
_ABSURD_KERNELS, _ABSURD_STRIDES = (33, 100, 200), (16, 100, 1000)
_ABSURD = 0.01
_AUTO_PADS = ("SAME_UPPER", "SAME_LOWER", "VALID", "NOTSET")


@dataclass(frozen=True)
class Layer:
    """What was drawn: the weights' shape, the output's channels, the terms of each sum."""

    operator: str
    shape: tuple[int, ...]
    outputs: int
    terms: int
    attributes: dict[str, Any]


Make = Callable[[Graph, Value, Layer], Value]


def of_floats(g: Graph, x: Value, layer: Layer) -> Value:
    """Weights, and a bias in most cases; rarely inputs of the model or the results of a node."""
    weight: Value | str = g.weight(*layer.shape, terms=layer.terms)
    if g.draw.chance(0.03):
        weight = g.node("Neg", weight)
    operands = [weight, *([g.weight(layer.outputs)] if g.draw.chance(0.6) else [])]
    return g.node(layer.operator, x, *operands, **layer.attributes)


def conv(
    g: Graph,
    x: Value,
    channels: int | None = None,
    same: bool = False,
    make: Make = of_floats,
) -> Value:
    """A convolution to ``channels``; ``same``: of the size of its input, and otherwise simple.

    ``make`` adds the nodes.
    """
    axes, groups = _axes_and_groups(g, x)
    kernel = _per_axis(g, KERNELS, axes)
    outputs = channels or groups * g.draw.pick((1, 2, 3, 4)) if groups > 1 else channels
    outputs = outputs or g.draw.pick(CHANNELS)
    if outputs % groups:
        groups = 1
    dilations = _per_axis(g, (1, 2, 3), axes) if g.draw.chance(0.15) else [1] * axes
    attributes: dict[str, Any] = {"dilations": dilations, "group": groups}
    if same:
        reach = [d * (k - 1) for d, k in zip(dilations, kernel, strict=True)]
        attributes["pads"] = [r // 2 for r in reach] + [r - r // 2 for r in reach]
    else:
        attributes["strides"] = _per_axis(g, (1, 2, 3), axes) if g.draw.chance(0.25) else None
        attributes |= _padding(g, kernel, axes)
    attributes["kernel_shape"] = _kernel_shape(g, kernel)
    _leave_out_defaults(g, attributes)
    terms = x.shape[1] // groups * prod(kernel)
    shape = (outputs, x.shape[1] // groups, *kernel)
    return make(g, x, Layer("Conv", shape, outputs, terms, attributes))


def conv_transpose(
    g: Graph, x: Value, channels: int | None = None, make: Make = of_floats
) -> Value:
    """A transposed convolution: any crop, output padding, dilation, output shape."""
    axes, groups = _axes_and_groups(g, x)
    kernel = _per_axis(g, KERNELS, axes)
    outputs = max(1, (channels or g.draw.pick(CHANNELS)) // groups)
    strides = _per_axis(g, (2, 1, 3, 4), axes)
    attributes: dict[str, Any] = {
        "strides": strides,
        "dilations": _per_axis(g, (1, 2, 3), axes) if g.draw.chance(0.2) else None,
        "group": groups,
        **_padding(g, kernel, axes, beyond=3),
    }
    if g.draw.chance(0.35):
        attributes["output_padding"] = [g.draw.below(s) for s in strides]
    if g.draw.chance(0.1):
        wanted = [n * s + g.draw.below(3) for n, s in zip(x.shape[2:], strides, strict=True)]
        attributes["output_shape"] = wanted
    attributes["kernel_shape"] = _kernel_shape(g, kernel)
    _leave_out_defaults(g, attributes)
    terms = x.shape[1] // groups * prod(kernel) // prod(strides)
    shape = (x.shape[1], outputs, *kernel)
    return make(g, x, Layer("ConvTranspose", shape, outputs * groups, terms, attributes))


def _axes_and_groups(g: Graph, x: Value) -> tuple[int, int]:
    need_axes(x, 3, 5)
    axes = x.rank - 2
    channels = x.shape[1]
    divisors = [n for n in range(2, channels + 1) if channels % n == 0]
    return axes, g.draw.pick(divisors) if divisors and g.draw.chance(0.2) else 1


def _per_axis(g: Graph, options: tuple[int, ...], axes: int) -> list[int]:
    """The same for all axes, or one for each."""
    if g.draw.chance(_ABSURD):
        options = _ABSURD_KERNELS if options is KERNELS else _ABSURD_STRIDES
    if axes == 1 or not g.draw.chance(0.3):
        return [g.draw.pick(options)] * axes
    return [g.draw.pick(options) for _ in range(axes)]


def _padding(g: Graph, kernel: list[int], axes: int, beyond: int = 0) -> dict[str, Any]:
    """``pads`` up to the kernel and ``beyond``, or ``auto_pad``."""
    way = g.draw.pick(("even", "none", "any", "auto"), [4, 1, 3, 1])
    if way == "none":
        return {}
    if way == "auto":
        return {"auto_pad": g.draw.pick(_AUTO_PADS)}
    if way == "even":
        return {"pads": [k // 2 for k in kernel] * 2}
    return {"pads": [g.draw.integer(0, k + beyond) for k in kernel * 2][: 2 * axes]}


def _kernel_shape(g: Graph, kernel: list[int]) -> list[int] | None:
    """What the weights say, or nothing, or rarely something else."""
    if g.draw.chance(0.01):
        return [k + 1 for k in kernel]
    return kernel if g.draw.chance(0.6) else None


def _leave_out_defaults(g: Graph, attributes: dict[str, Any]) -> None:
    if g.draw.chance(0.5):
        for name in ("dilations", "group"):
            if attributes.get(name) in (1, [1] * len(attributes.get("dilations") or ())):
                attributes[name] = None
