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

from functools import partial
from typing import Any, TypeAlias

from tvm_deconv.algebra.volumes import ConvTranspose3d

from . import phases, pointwise
from .convolution import read_conv
from .graph import Builder, Graph, Refused, Tensor
from .layouts import VOLUME
from .regions import collect
from .rule import Emit, Plan, Rule
from .shuffled import Folded, Shuffled, fold
from .subpixel import describe
from .volume_shuffle import VolumeShuffle, read_volume_shuffle

ShuffledVolume: TypeAlias = Shuffled[VolumeShuffle]


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
        conv = read_conv(graph, region.source)
        if conv is None:
            return Refused(f"input is not a convolution: {graph.describe(region.source)}")
        return conv if isinstance(conv, Refused) else Shuffled(shuffle, conv, region)

    def plan(self, graph: Graph, match: ShuffledVolume) -> Plan | Refused:
        """The transposed convolution with what is not folded into it."""
        folded = fold(graph, match)
        if isinstance(folded, Refused):
            return folded
        shuffle, conv = match.shuffle, match.conv
        channels, outputs = conv.weight.shape[0], shuffle.source.shape[0]
        d, h, w = folded.axes
        sizes = partial(graph.sizes_text, shuffle.result)
        op = ConvTranspose3d(conv.in_channels, outputs, d, h, w, conv.groups)
        return Plan(
            root=shuffle.result,
            conv=conv.var,
            before=f"conv {sizes(*conv.weight.shape[2:])} {conv.in_channels}->{channels}, "
            f"shuffle {sizes(*shuffle.factor)}",
            after=describe(graph, shuffle.result, op),
            absorbed=match.upsamplings,
            emit=rewrite(graph, match, folded, op),
        )


def rewrite(graph: Graph, match: ShuffledVolume, folded: Folded, op: ConvTranspose3d) -> Emit:
    """Build the result of a match of which everything holds."""
    source, region = match.shuffle.source, folded.region
    constants = [folded.bias, *pointwise.channel_constants(region)]
    per_phase = phases.differ(source, constants)
    form = phases.PhaseForm(source) if per_phase else phases.ChannelForm(source)

    def emit(builder: Builder, remap: Any) -> Any:
        value = builder.conv_transpose(remap(match.conv.data), folded.weight, op)
        n, _, *sizes = graph.shape(match.conv.var) or ()
        view = phases.view(source, n, sizes)
        if per_phase:
            value = builder.split_phases(value, view)
        if folded.bias.any():
            value = builder.apply("add", (value, form.constant(builder, folded.bias)))
        value = pointwise.emit(region, builder, value, form)
        return builder.merge_phases(value, view) if per_phase else value

    return emit
