"""Networks that join a resized map with a skip, or add their input before the shuffle."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from .graph import NetworkBuilder, Tensor
from .parts import concat, conv, plus
from .spec import LayerSpec


def unet(
    graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...], linear: bool = False
) -> Tensor:
    """Two convolutions a level; on the way up a resize, a Concat with the skip, and two more."""
    skips: list[Tensor] = []
    for channels in features:
        if skips:
            x = _pooled(graph, x)
        for _ in range(2):
            x = conv(graph, x, channels, activation="relu")
        skips.append(x)
    for skip in skips[-2::-1]:
        x = _joined(graph, x, skip, linear)
        x = conv(graph, x, skip.channels, activation="relu")
    return conv(graph, x, 1, 1)


def anchored(
    graph: NetworkBuilder, x: Tensor, *, features: int, blocks: int, factor: int
) -> Tensor:
    """Plain convolutions; the input is added once for each phase before the shuffle (DCR)."""
    y = x
    for _ in range(blocks):
        y = conv(graph, y, features, activation="relu")
    spec = LayerSpec(
        "subpixel", features, 3, 3, x.height, x.width, factor=factor, padding=1, order="DCR"
    )
    graph.layers.append(spec)
    y = graph.contraction(y, spec, spec.padding, 1.0)
    y = plus(graph, concat(graph, [x] * factor**2), y)
    y = graph.add(
        "DepthToSpace", y.name, shape=spec.output_shape, blocksize=factor, mode=spec.order
    )
    low, high = (graph.given(np.array(value, np.float32)) for value in (0, 255))
    return graph.add("Clip", y.name, low, high, shape=y.shape)


def _pooled(graph: NetworkBuilder, x: Tensor) -> Tensor:
    shape = (*x.shape[:2], x.height // 2, x.width // 2)
    return graph.add("MaxPool", x.name, shape=shape, kernel_shape=[2, 2], strides=[2, 2])


def _joined(graph: NetworkBuilder, x: Tensor, skip: Tensor, linear: bool) -> Tensor:
    """A convolution 3x3 of the resized map and the skip, to the channels of the skip.

    Behind a nearest resize it is noted down as what the rewrite makes of it: a layer for each.
    """
    c = skip.channels
    both = concat(graph, [graph.bilinear(x, 2) if linear else graph.nearest(x, 2), skip])
    spec = LayerSpec("conv", both.channels, c, 3, skip.height, skip.width, padding=1)
    if linear:
        graph.layers.append(spec)
    else:
        graph.layers += [
            LayerSpec("nearest", x.channels, c, 3, x.height, x.width, factor=2, padding=1),
            LayerSpec("conv", c, c, 3, skip.height, skip.width, padding=1),
        ]
    y = graph.contraction(both, replace(spec, activation="relu"), spec.padding, 1.0)
    return graph.activation(y, "relu")
