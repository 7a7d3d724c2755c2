"""What networks are written of: layers of a few parameters, sums and Concats."""

from __future__ import annotations

from .graph import NetworkBuilder, Tensor
from .spec import Activation, LayerSpec


def conv(
    graph: NetworkBuilder,
    x: Tensor,
    channels: int,
    kernel: int = 3,
    *,
    activation: Activation | None = None,
    stride: int = 1,
    reflect: bool = False,
    gain: float = 1.0,
) -> Tensor:
    """A convolution that keeps the size (or divides it by ``stride``)."""
    spec = LayerSpec(
        "conv",
        x.channels,
        channels,
        kernel,
        x.height,
        x.width,
        padding=kernel // 2,
        stride=stride,
        activation=activation,
        padding_mode="reflect" if reflect else "zeros",
    )
    return graph.layer(x, spec, gain)


def subpixel(graph: NetworkBuilder, x: Tensor, channels: int, factor: int) -> Tensor:
    spec = LayerSpec(
        "subpixel", x.channels, channels, 3, x.height, x.width, factor=factor, padding=1
    )
    return graph.layer(x, spec)


def nearest(
    graph: NetworkBuilder,
    x: Tensor,
    channels: int,
    *,
    activation: Activation | None = None,
    reflect: bool = False,
) -> Tensor:
    """Nearest resize by 2, then a convolution 3x3."""
    spec = LayerSpec(
        "nearest",
        x.channels,
        channels,
        3,
        x.height,
        x.width,
        factor=2,
        padding=1,
        activation=activation,
        padding_mode="reflect" if reflect else "zeros",
    )
    return graph.layer(x, spec)


def plus(graph: NetworkBuilder, a: Tensor, b: Tensor) -> Tensor:
    return graph.add("Add", a.name, b.name, shape=a.shape)


def concat(graph: NetworkBuilder, maps: list[Tensor]) -> Tensor:
    if len(maps) == 1:
        return maps[0]
    _, _, height, width = maps[0].shape
    shape = (1, sum(each.channels for each in maps), height, width)
    return graph.add("Concat", *(each.name for each in maps), shape=shape, axis=1)
