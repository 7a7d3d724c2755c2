"""A convolution behind which a shuffle stands, of pictures and of volumes alike.

What both rules check is here: that nobody else reads what would disappear, and that the scale and
the shift per channel go into the weights.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Generic, TypeVar

import numpy as np

from tvm_deconv.algebra.geometry import Axis, axis_of_subpixel
from tvm_deconv.algebra.weights import weight_shuffle_by
from tvm_deconv.errors import GeometryError

from . import pointwise
from .convolution import Conv
from .graph import Graph, Refused, Tensor
from .growth import refuse_growth
from .shuffle import Shuffle
from .volume_shuffle import VolumeShuffle

S = TypeVar("S", Shuffle, VolumeShuffle)


@dataclass(frozen=True)
class Shuffled(Generic[S]):
    """A shuffle, the convolution that feeds it, and the pointwise operators between."""

    shuffle: S
    conv: Conv
    region: pointwise.Region

    @property
    def conv_var(self) -> Tensor:
        return self.conv.var

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        return frozenset({self.shuffle.result})


@dataclass(frozen=True)
class Folded:
    """A candidate as a transposed convolution: its axes, weights (IOHW or IODHW) and bias.

    ``region`` is what of the pointwise operators is not folded into the weights.
    """

    axes: tuple[Axis, ...]
    weight: np.ndarray
    bias: np.ndarray
    region: pointwise.Region


def fold(graph: Graph, match: Shuffled) -> Folded | Refused:
    """The transposed convolution, with the leading scale and shift in it, or why there is none."""
    shuffle, conv, region = match.shuffle, match.conv, match.region
    inside = region.members | shuffle.members | {conv.var}
    for var in sorted(inside - {shuffle.result}, key=graph.position.__getitem__):
        reader = graph.outside_reader(var, inside)
        if reader is not None:
            return Refused(f"{graph.describe(var)} is also read by {reader}")
    scale, shift, rest = pointwise.split_affine(region, conv.weight.shape[0])
    with np.errstate(over="ignore"):
        scaled = conv.weight * scale.reshape(-1, *[1] * (conv.weight.ndim - 1))
        weight, bias = scaled.astype(conv.dtype), shift.astype(conv.dtype)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        return Refused(f"weights of {graph.describe(conv.var)} are not finite in {conv.dtype}")
    try:
        axes = tuple(map(axis_of_subpixel, conv.axes, shuffle.factor))
        outputs = weight.shape[0] // prod(shuffle.factor)
        sizes = conv.in_channels, outputs // conv.groups, *(axis.kernel for axis in axes)
        refused = refuse_growth(graph, conv, sizes)
        if refused is not None:
            return refused
        weight = weight_shuffle_by(weight, shuffle.source, conv.groups, conv.dilation)
    except GeometryError as error:
        return Refused(f"{graph.describe(conv.var)}: {error}")
    return Folded(axes, weight, bias, rest)
