"""Whole networks, as trained, with random weights.

Each is a function of the graph and its input, whose size it takes over, so that a test runs the
same network on a picture of a few pixels.
"""

from __future__ import annotations

from functools import partial

import numpy as np

from .graph import NetworkBuilder, Tensor
from .parts import concat, conv, nearest, plus, subpixel
from .skips import anchored, unet
from .spec import Activation, LayerSpec
from .workload import Workload

# Weights of the last convolution of a residual branch: no network without normalization would keep
# its activations in range over dozens of blocks that each add as much as they get.
_BRANCH = 0.3


def espcn(
    graph: NetworkBuilder,
    x: Tensor,
    *,
    features: tuple[int, ...],
    activation: Activation,
    factor: int,
) -> Tensor:
    """A convolution 5x5, some 3x3, and the sub-pixel convolution."""
    for number, channels in enumerate(features):
        x = conv(graph, x, channels, 3 if number else 5, activation=activation)
    return subpixel(graph, x, 1, factor)


def fsrcnn(graph: NetworkBuilder, x: Tensor, *, d: int, s: int, m: int, factor: int) -> Tensor:
    """Feature extraction, shrinking, ``m`` mappings, expanding, deconvolution."""
    x = conv(graph, x, d, 5, activation="prelu")
    x = conv(graph, x, s, 1, activation="prelu")
    for _ in range(m):
        x = conv(graph, x, s, activation="prelu")
    x = conv(graph, x, d, 1, activation="prelu")
    spec = LayerSpec(
        "deconv", d, 1, 9, x.height, x.width, factor=factor, padding=4, output_padding=factor - 1
    )
    return graph.layer(x, spec)


def edsr(graph: NetworkBuilder, x: Tensor, *, blocks: int, features: int, factor: int) -> Tensor:
    """Residual blocks without normalization, one sub-pixel stage, convolution to RGB."""
    head = x = conv(graph, x, features)
    for _ in range(blocks):
        inner = conv(graph, x, features, activation="relu")
        x = plus(graph, x, conv(graph, inner, features, gain=_BRANCH))
    x = plus(graph, head, conv(graph, x, features))
    return conv(graph, subpixel(graph, x, features, factor), 3)


def rrdbnet(graph: NetworkBuilder, x: Tensor, *, blocks: int, features: int, growth: int) -> Tensor:
    """Residual-in-residual dense blocks, two nearest resizes by 2, each with a convolution."""

    def scaled(branch: Tensor) -> Tensor:
        factor = graph.given(np.array(0.2, np.float32))
        return graph.add("Mul", branch.name, factor, shape=branch.shape)

    def dense(block: Tensor) -> Tensor:
        maps = [block]
        for _ in range(4):
            stacked = concat(graph, maps)
            maps.append(conv(graph, stacked, growth, activation="leaky_relu"))
        return plus(graph, block, scaled(conv(graph, concat(graph, maps), features)))

    head = x = conv(graph, x, features)
    for _ in range(blocks):
        x = plus(graph, x, scaled(dense(dense(dense(x)))))
    x = plus(graph, head, conv(graph, x, features))
    for _ in range(2):
        x = nearest(graph, x, features, activation="leaky_relu")
    return conv(graph, conv(graph, x, features, activation="leaky_relu"), 3)


def style_transfer(graph: NetworkBuilder, x: Tensor) -> Tensor:
    """Two strided convolutions, five residual blocks, two nearest resizes; instance norm."""

    def normalized(y: Tensor, activation: Activation | None = "relu") -> Tensor:
        scale, shift = graph.normal(y.channels, mean=1), graph.normal(y.channels)
        y = graph.add("InstanceNormalization", y.name, scale, shift, shape=y.shape)
        return graph.activation(y, activation)

    x = normalized(conv(graph, x, 32, 9, reflect=True))
    for channels in (64, 128):
        x = normalized(conv(graph, x, channels, stride=2, reflect=True))
    for _ in range(5):
        inner = normalized(conv(graph, x, 128, reflect=True))
        x = plus(graph, x, normalized(conv(graph, inner, 128, reflect=True), None))
    for channels in (64, 32):
        x = normalized(nearest(graph, x, channels, reflect=True))
    return conv(graph, x, 3, 9, reflect=True)


def dcgan(graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...]) -> Tensor:
    """Five deconvolutions 4x4, the first from a vector to 4x4; batch norm and ReLU between."""

    def deconv(y: Tensor, channels: int, activation: Activation | None = None) -> Tensor:
        factor, padding = (1, 0) if y is x else (2, 1)
        spec = LayerSpec(
            "deconv",
            y.channels,
            channels,
            4,
            y.height,
            y.width,
            factor=factor,
            padding=padding,
            bias=False,
            activation=activation,
        )
        return graph.layer(y, spec)

    y = x
    for channels in features:
        y = deconv(y, channels)
        moments = [graph.normal(channels, mean=mean) for mean in (1, 0, 0)]
        variance = graph.normal(channels, mean=1)
        y = graph.add("BatchNormalization", y.name, *moments, variance, shape=y.shape)
        y = graph.activation(y, "relu")
    return deconv(y, 3, "tanh")


def vae_decoder(graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...]) -> Tensor:
    """Residual blocks with group norm and SiLU; three nearest resizes, each with a convolution.

    ``features`` are the channels of the four levels, from the latent to the picture.
    """

    def normalized(y: Tensor) -> Tensor:
        """Group norm of 32 groups and SiLU, in the operators that exporters write."""
        rows = graph.given(np.array([0, 32, -1], np.int64))
        ones, zeros = (graph.given(np.full(32, value, np.float32)) for value in (1, 0))
        groups = (1, 32, y.channels // 32 * y.height * y.width)
        z = graph.add("Reshape", y.name, rows, shape=groups)
        z = graph.add("InstanceNormalization", z.name, ones, zeros, shape=groups, epsilon=1e-6)
        back = graph.given(np.array(y.shape, np.int64))
        z = graph.add("Reshape", z.name, back, shape=y.shape)
        z = graph.add("Mul", z.name, graph.normal(y.channels, 1, 1, mean=1), shape=y.shape)
        z = graph.add("Add", z.name, graph.normal(y.channels, 1, 1), shape=y.shape)
        gate = graph.activation(z, "sigmoid")
        return graph.add("Mul", z.name, gate.name, shape=y.shape)

    def residual(y: Tensor, channels: int) -> Tensor:
        inner = conv(graph, normalized(y), channels)
        inner = conv(graph, normalized(inner), channels)
        if y.channels != channels:
            y = conv(graph, y, channels, 1)
        return plus(graph, y, inner)

    x = conv(graph, conv(graph, x, x.channels, 1), features[0])
    for _ in range(2):
        x = residual(x, features[0])
    for level, channels in enumerate(features):
        for _ in range(3):
            x = residual(x, channels)
        if level < len(features) - 1:
            x = nearest(graph, x, channels)
    return conv(graph, normalized(x), 3)


def bilinear_decoder(graph: NetworkBuilder, x: Tensor, *, features: tuple[int, ...]) -> Tensor:
    """A stage for each of ``features``: a bilinear resize by 2 and two convolutions 3x3."""
    for channels in features:
        x = graph.bilinear(x, 2)
        for _ in range(2):
            x = conv(graph, x, channels, activation="leaky_relu")
    return conv(graph, x, 1)


NETWORKS: tuple[Workload, ...] = (
    Workload(
        "espcn-x3",
        "network",
        "Shi et al., ESPCN x3, CVPR 2016: 5-3-3, 64-32 features, tanh, luma",
        (1, 1, 224, 224),
        partial(espcn, features=(64, 32), activation="tanh", factor=3),
    ),
    Workload(
        "espcn-x3-64-64-32",
        "network",
        "after Shi et al., ESPCN x3, CVPR 2016: one layer more, ReLU; figures in earlier READMEs",
        (1, 1, 224, 224),
        partial(espcn, features=(64, 64, 32), activation="relu", factor=3),
    ),
    Workload(
        "fsrcnn-x3",
        "network",
        "Dong et al., FSRCNN(56,12,4) x3, ECCV 2016: PReLU, luma",
        (1, 1, 224, 224),
        partial(fsrcnn, d=56, s=12, m=4, factor=3),
    ),
    Workload(
        "edsr-baseline-x2",
        "network",
        "Lim et al., EDSR baseline x2, CVPRW 2017: 16 blocks, 64 features; no mean shift",
        (1, 3, 96, 96),
        partial(edsr, blocks=16, features=64, factor=2),
    ),
    Workload(
        "rrdbnet-x4-small",
        "network",
        "Wang et al., ESRGAN (RRDBNet x4), ECCVW 2018: 3 blocks of its 23, 64 features, growth 32",
        (1, 3, 64, 64),
        partial(rrdbnet, blocks=3, features=64, growth=32),
    ),
    Workload(
        "style-transfer",
        "network",
        "Johnson et al., fast style transfer, ECCV 2016, with instance norm (Ulyanov et al. 2016) "
        "and nearest resizes (Odena et al. 2016), reflection padding before every convolution",
        (1, 3, 256, 256),
        style_transfer,
    ),
    Workload(
        "dcgan",
        "network",
        "Radford et al., DCGAN generator 64x64, ICLR 2016: kernel 4 (its Torch version)",
        (1, 100, 1, 1),
        partial(dcgan, features=(1024, 512, 256, 128)),
    ),
    Workload(
        "vae-decoder-small",
        "network",
        "Rombach et al., latent diffusion (Stable Diffusion VAE decoder), CVPR 2022: half of its "
        "channels, picture 256x256, without the attention of the middle block",
        (1, 4, 32, 32),
        partial(vae_decoder, features=(256, 256, 128, 64)),
    ),
    Workload(
        "bilinear-decoder",
        "network",
        "after Alhashim and Wonka, DenseDepth, arXiv 2018: three stages of its decoder for depth, "
        "without the skip connections; a quarter of its channels, depth map 256x256",
        (1, 128, 32, 32),
        partial(bilinear_decoder, features=(64, 32, 16)),
    ),
    Workload(
        "unet-nearest",
        "network",
        "after Ronneberger et al., U-Net, MICCAI 2015: three levels of 32, 64 and 128 channels, "
        "nearest resizes in place of its up-convolutions, zero padding",
        (1, 3, 256, 256),
        partial(unet, features=(32, 64, 128)),
    ),
    Workload(
        "unet-bilinear",
        "network",
        "after Ronneberger et al., U-Net, MICCAI 2015: the same with bilinear resizes, as in many "
        "U-Nets in PyTorch",
        (1, 3, 256, 256),
        partial(unet, features=(32, 64, 128), linear=True),
    ),
    Workload(
        "mobile-anchor-x3",
        "network",
        "after Du et al., anchor-based plain network (ABPN, base7) x3, CVPRW 2021: in float32, "
        "five layers of 28 channels, without the second layer of 27",
        (1, 3, 180, 320),
        partial(anchored, features=28, blocks=5, factor=3),
    ),
)
