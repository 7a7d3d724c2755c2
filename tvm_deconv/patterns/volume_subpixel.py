"""Convolution and shuffle of a volume to transposed convolution.

    pixel_shuffle(conv3d(x, w), r) => conv3d_transpose(x, weight_shuffle(w, r), strides=r)

As ``subpixel`` for pictures, along three axes: output sample r*q + f of channel o is sample q of
convolution channel src(o, f), which a transposed convolution of stride r reaches through kernel
index r*(E-1-d*k) + f along each axis when its begin padding is r*(E-1-P). Scales and shifts per
channel (bias, batch norm) directly behind the convolution are folded into the weights and one bias,
and other pointwise operators commute with the shuffle. Constants whose phases differ are added
where the result is viewed as (N, O, D, r_d, H, r_h, W, r_w).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import axis_of_subpixel
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.algebra.weights import weight_shuffle_by
from tvm_deconv.errors import GeometryError

from . import pointwise
from .graph import Builder, Dim, Graph, Refused, Tensor, VolumeBuilder
from .layouts import VOLUME
from .regions import collect
from .rule import Emit, Plan, Rule
from .volume_convolution import VolumeConv, read_volume_conv, times
from .volume_shuffle import VolumeShuffle, read_volume_shuffle


@dataclass(frozen=True)
class ShuffledVolume:
    """A shuffle, the convolution that feeds it, and the pointwise operators between."""

    shuffle: VolumeShuffle
    conv: VolumeConv
    region: pointwise.Region

    @property
    def conv_var(self) -> Tensor:
        return self.conv.var

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        return frozenset({self.shuffle.result})


class VolumeSubPixel(Rule[ShuffledVolume]):
    """Given and result, as mini-IR.

    Given::

        c = conv3d(x, w, padding=P)                       # r_d*r_h*r_w*O channels
        a = pointwise(c)                                  # bias, batch norm, activations
        y = reshape(permute_dims(reshape(a)))             # the shuffle

    Result::

        t = conv3d_transpose(x, W, strides=r, padding=r*(E-1-P))
        y = pointwise'(t)                                 # constants per channel
        # or, with constants per phase:
        v = reshape(t, (N, O, D, r_d, H, r_h, W, r_w))
        y = reshape(pointwise'(v), (N, O, D*r_d, H*r_h, W*r_w))

    Does not handle: layouts other than NCDHW, strides other than 1, weights that are not constant,
    an intermediate that somebody else reads, padding beyond the reach of the kernel, mixed
    dtypes, groups whose channels the shuffle mixes.
    """

    name = "sub-pixel convolution"
    statement = (
        "pixel_shuffle(conv3d(x, w), r) => conv3d_transpose(x, weight_shuffle(w, r), strides=r)"
    )

    def match(self, graph: Graph, var: Tensor) -> ShuffledVolume | Refused | None:
        """The convolution that feeds the shuffle ``var`` and the pointwise operators between."""
        shuffle = read_volume_shuffle(graph, var)
        if shuffle is None:
            return None
        region = collect(graph, shuffle.data, VOLUME)
        if isinstance(region, Refused):
            return region
        conv = read_volume_conv(graph, region.source)
        if conv is None:
            return Refused(f"input is not a convolution: {graph.describe(region.source)}")
        return conv if isinstance(conv, Refused) else ShuffledVolume(shuffle, conv, region)

    def plan(self, graph: Graph, match: ShuffledVolume) -> Plan | Refused:
        """The transposed convolution with what is not folded into it."""
        shuffle, conv, region = match.shuffle, match.conv, match.region
        inside = region.members | shuffle.members | {conv.var}
        for var in sorted(inside - {shuffle.result}, key=graph.position.__getitem__):
            reader = graph.outside_reader(var, inside)
            if reader is not None:
                return Refused(f"{graph.describe(var)} is also read by {reader}")
        channels = conv.weight.shape[0]
        scale, shift, rest = pointwise.split_affine(region, channels)
        with np.errstate(over="ignore"):
            weight = (conv.weight * scale[:, None, None, None, None]).astype(conv.dtype)
            bias = shift.astype(conv.dtype)
        if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
            return Refused(f"weights of {graph.describe(conv.var)} are not finite in {conv.dtype}")
        try:
            weight = weight_shuffle_by(weight, shuffle.source, conv.groups, conv.dilation)
            d, h, w = map(axis_of_subpixel, conv.axes, shuffle.factor)
        except GeometryError as error:
            return Refused(f"{graph.describe(conv.var)}: {error}")
        inputs, outputs = conv.in_channels, shuffle.source.shape[0]
        op = ConvTranspose3d(inputs, outputs, d, h, w, conv.groups)
        groups = f" groups {op.groups}" if op.groups > 1 else ""
        view = _view(graph, match)
        return Plan(
            root=shuffle.result,
            conv=conv.var,
            before=f"conv {times(conv.weight.shape[2:])} {inputs}->{channels}, "
            f"shuffle {times(shuffle.factor)}",
            after=f"deconv {times(weight.shape[2:])} stride {times(shuffle.factor)} "
            f"{inputs}->{outputs}{groups} pad {op.padding}",
            absorbed=match.upsamplings,
            emit=_emit(match, rest, op, weight, bias, view),
        )


def _emit(
    match: ShuffledVolume,
    rest: pointwise.Region,
    op: ConvTranspose3d,
    weight: np.ndarray,
    bias: np.ndarray,
    view: tuple[Dim, ...],
) -> Emit:
    source = match.shuffle.source
    constants = [bias, *pointwise.channel_constants(rest)]
    first = source[:, :1, :1, :1]
    per_phase = any((values[source] != values[first]).any() for values in constants)
    form = _Constants(source, per_phase)

    def emit(builder: Builder, remap: Any) -> Any:
        assert isinstance(builder, VolumeBuilder)
        value = builder.conv3d_transpose(remap(match.conv.data), weight, op)
        if per_phase:
            value = builder.split_phases(value, view)
        if bias.any():
            value = builder.apply("add", (value, form.constant(builder, bias)))
        value = pointwise.emit(rest, builder, value, form)
        return builder.merge_phases(value, view) if per_phase else value

    return emit


@dataclass(frozen=True)
class _Constants:
    """Constants per channel as (1, O, 1, 1, 1), or as (1, O, 1, r_d, 1, r_h, 1, r_w)."""

    source: np.ndarray
    per_phase: bool

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        if values.ndim and self.per_phase:
            values = values[self.source][None, :, None, :, None, :, None, :]
        elif values.ndim:
            values = values[self.source[:, 0, 0, 0]].reshape(1, -1, 1, 1, 1)
        return builder.constant(values)

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        # A phase is three axes.
        return pointwise.prelu_of(self, builder, x, slope)


def _view(graph: Graph, match: ShuffledVolume) -> tuple[Dim, ...]:
    """(N, O, D, r_d, H, r_h, W, r_w) for the convolution's own sizes."""
    n, _, *sizes = graph.shape(match.conv.var) or ()
    o, *factor = match.shuffle.source.shape
    return (n, o, *(dim for pair in zip(sizes, factor, strict=True) for dim in pair))
