"""Networks over volumes: what segments medical scans.

A group of its own (``"volumes"``), since the other runtimes of the benchmark take pictures only.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from math import prod

import numpy as np

from .graph import NetworkBuilder, Tensor
from .workload import Workload


def unet_3d(graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...], labels: int) -> Tensor:
    """Two convolutions a level, half of the channels in the first; a deconvolution on each way up.

    The way up begins with the last level's channels and joins the skips of the others.
    """
    skips: list[Tensor] = []
    for channels in features:
        if skips:
            x = _pooled(graph, x)
        x = _conv(graph, _conv(graph, x, channels // 2), channels)
        skips.append(x)
    return _way_up(graph, x, skips[-2::-1], labels)


def decoder_3d(graph: NetworkBuilder, x: Tensor, *, skips: tuple[int, ...], labels: int) -> Tensor:
    """The way up of ``unet_3d`` alone: ``skips`` are the channels of its further inputs, in order.

    Each of them is twice as large as the one before, the first twice as large as ``x``.
    """
    sizes = ([size << level for size in x.shape[2:]] for level in range(1, len(skips) + 1))
    given = [graph.more_input((1, skip, *size)) for skip, size in zip(skips, sizes, strict=True)]
    return _way_up(graph, x, given, labels)


def _way_up(graph: NetworkBuilder, x: Tensor, skips: Sequence[Tensor], labels: int) -> Tensor:
    for skip in skips:
        joined = [_deconv(graph, x), skip]
        shape = (1, sum(part.channels for part in joined), *skip.shape[2:])
        both = graph.add("Concat", *(part.name for part in joined), shape=shape, axis=1)
        x = _conv(graph, _conv(graph, both, skip.channels), skip.channels)
    return _conv(graph, x, labels, kernel=1, activation=False)


def _conv(
    graph: NetworkBuilder, x: Tensor, channels: int, *, kernel: int = 3, activation: bool = True
) -> Tensor:
    terms = x.channels * kernel**3
    weight = graph.normal(channels, x.channels, *[kernel] * 3, std=float(np.sqrt(2 / terms)))
    shape = (1, channels, *x.shape[2:])
    graph.other_multiply_adds += prod(shape) * terms
    y = graph.add(
        "Conv", x.name, weight, graph.normal(channels), shape=shape, pads=[kernel // 2] * 6
    )
    return graph.activation(y, "relu") if activation else y


def _deconv(graph: NetworkBuilder, x: Tensor) -> Tensor:
    """To twice the size, with as many channels: each output is of one tap."""
    c = x.channels
    weight = graph.normal(c, c, 2, 2, 2, std=float(np.sqrt(1 / c)))
    shape = (1, c, *(2 * size for size in x.shape[2:]))
    graph.other_multiply_adds += prod(shape) * c
    bias = graph.normal(c)
    return graph.add("ConvTranspose", x.name, weight, bias, shape=shape, strides=[2, 2, 2])


def _pooled(graph: NetworkBuilder, x: Tensor) -> Tensor:
    shape = (*x.shape[:2], *(size // 2 for size in x.shape[2:]))
    return graph.add("MaxPool", x.name, shape=shape, kernel_shape=[2] * 3, strides=[2] * 3)


_ORIGIN = (
    "Cicek et al., 3D U-Net, MICCAI 2016, with half the channels and padded convolutions; "
    "batch norms are folded into the weights"
)

VOLUMES: tuple[Workload, ...] = (
    Workload(
        "unet-3d",
        "network",
        _ORIGIN,
        (1, 1, 64, 64, 64),
        partial(unet_3d, features=(32, 64, 128, 256), labels=3),
    ),
    Workload(
        "unet-3d-decoder",
        "network",
        f"{_ORIGIN}; what stands behind its lowest level",
        (1, 256, 8, 8, 8),
        partial(decoder_3d, skips=(128, 64, 32), labels=3),
    ),
)
