"""Networks over sounds, (N, C, samples): vocoders, an inverse spectrum, a U-Net that separates.

A group of its own (``"sounds"``), since the other runtimes of the benchmark take pictures only.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .graph import NetworkBuilder, Tensor
from .workload import Workload

_SLOPE = 0.1
_GAIN = 2 / (1 + _SLOPE**2)


def hifigan(
    graph: NetworkBuilder,
    x: Tensor,
    *,
    features: int,
    factors: tuple[int, ...],
    kernels: tuple[int, ...],
    dilations: tuple[tuple[tuple[int, ...], ...], ...],
) -> Tensor:
    """Deconvolutions of twice their factor, each followed by the mean of residual blocks.

    A block has a kernel of ``kernels`` and, for each of its ``dilations``, convolutions with these
    one after the other, and the sum with what they read.
    """
    x = _conv(graph, x, features, 7)
    for factor in factors:
        features //= 2
        x = _deconv(graph, _leaky(graph, x), features, 2 * factor, factor)
        ends = [_block(graph, x, *pair) for pair in zip(kernels, dilations, strict=True)]
        total = ends[0]
        for end in ends[1:]:
            total = graph.add("Add", total.name, end.name, shape=total.shape)
        count = graph.given(np.array(len(ends), np.float32))
        x = graph.add("Div", total.name, count, shape=total.shape)
    return graph.activation(_conv(graph, _leaky(graph, x), 1, 7), "tanh")


def istft_head(graph: NetworkBuilder, x: Tensor, *, length: int, hop: int) -> Tensor:
    """Real and imaginary parts of a spectrum, and the deconvolution that adds up its waves."""
    x = _conv(graph, x, length + 2, 1)
    return _deconv(graph, x, 1, length, hop)


def wave_unet(graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...]) -> Tensor:
    """Kernels of 15 and every second sample on the way down, resize, skip and 5 on the way up."""
    skips: list[Tensor] = []
    for channels in features[:-1]:
        skips.append(_leaky(graph, _conv(graph, x, channels, 15)))
        x = graph.add(
            "MaxPool",
            skips[-1].name,
            shape=(1, channels, skips[-1].width // 2),
            kernel_shape=[1],
            strides=[2],
        )
    x = _leaky(graph, _conv(graph, x, features[-1], 15))
    for skip in skips[::-1]:
        x = graph.add(
            "Resize",
            x.name,
            "",
            graph.given(np.array([1, 1, 2], np.float32)),
            shape=(1, x.channels, 2 * x.width),
            mode="nearest",
            coordinate_transformation_mode="asymmetric",
            nearest_mode="floor",
        )
        shape = (1, x.channels + skip.channels, skip.width)
        both = graph.add("Concat", x.name, skip.name, shape=shape, axis=1)
        x = _leaky(graph, _conv(graph, both, skip.channels, 5))
    return graph.activation(_conv(graph, x, 1, 1), "tanh")


def _block(
    graph: NetworkBuilder, x: Tensor, kernel: int, dilations: tuple[tuple[int, ...], ...]
) -> Tensor:
    for chain in dilations:
        y = x
        for dilation in chain:
            y = _conv(graph, _leaky(graph, y), x.channels, kernel, dilation)
        x = graph.add("Add", y.name, x.name, shape=x.shape)
    return x


def _conv(
    graph: NetworkBuilder, x: Tensor, channels: int, kernel: int, dilation: int = 1
) -> Tensor:
    terms = x.channels * kernel
    weight = graph.normal(channels, x.channels, kernel, std=float(np.sqrt(_GAIN / terms)))
    shape = (1, channels, x.width)
    graph.other_multiply_adds += channels * x.width * terms
    pads = [dilation * (kernel - 1) // 2] * 2
    bias = graph.normal(channels)
    return graph.add("Conv", x.name, weight, bias, shape=shape, pads=pads, dilations=[dilation])


def _deconv(graph: NetworkBuilder, x: Tensor, channels: int, kernel: int, factor: int) -> Tensor:
    """To ``factor`` times the samples, from which those that reach beyond are cropped."""
    terms = x.channels * kernel // factor
    weight = graph.normal(x.channels, channels, kernel, std=float(np.sqrt(_GAIN / terms)))
    shape = (1, channels, x.width * factor)
    graph.other_multiply_adds += x.channels * channels * kernel * x.width
    pads = [(kernel - factor) // 2] * 2
    inputs = (x.name, weight, graph.normal(channels))
    return graph.add("ConvTranspose", *inputs, shape=shape, pads=pads, strides=[factor])


def _leaky(graph: NetworkBuilder, x: Tensor) -> Tensor:
    return graph.add("LeakyRelu", x.name, shape=x.shape, alpha=_SLOPE)


_HIFIGAN = "Kong et al., HiFi-GAN generator {}, NeurIPS 2020: 64 frames of 80 mel bands"

SOUNDS: tuple[Workload, ...] = (
    Workload(
        "hifigan-v1",
        "network",
        _HIFIGAN.format("V1"),
        (1, 80, 64),
        partial(
            hifigan,
            features=512,
            factors=(8, 8, 2, 2),
            kernels=(3, 7, 11),
            dilations=(((1, 1), (3, 1), (5, 1)),) * 3,
        ),
    ),
    Workload(
        "hifigan-v3",
        "network",
        _HIFIGAN.format("V3"),
        (1, 80, 64),
        partial(
            hifigan,
            features=256,
            factors=(8, 8, 4),
            kernels=(3, 5, 7),
            dilations=(((1,), (2,)), ((2,), (6,)), ((3,), (12,))),
        ),
    ),
    Workload(
        "istft-head",
        "network",
        "after Siuzdak, Vocos, ICLR 2024: the last layer and the inverse Fourier transform as a "
        "deconvolution, of 80 features and 200 frames; parts of the spectrum are not exponentials",
        (1, 80, 200),
        partial(istft_head, length=1024, hop=256),
    ),
    Workload(
        "wave-unet",
        "network",
        "after Stoller et al., Wave-U-Net, ISMIR 2018: five of its twelve levels, padded, nearest "
        "resizes in place of its linear ones",
        (1, 1, 16384),
        partial(wave_unet, features=(24, 48, 72, 96, 120)),
    ),
)
