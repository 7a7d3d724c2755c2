"""Sub-pixel convolution to transposed convolution.

    pixel_shuffle(conv2d(x, w), r) => conv2d_transpose(x, weight_shuffle(w, r), strides=r)

Output pixel (r*y + f) of channel o is pixel y of convolution channel src(o, f). A transposed
convolution with stride r reaches it through kernel index r*(E-1-d*k) + f when its begin padding is
r*(E-1-P): see ``algebra.weights`` for the weights and ``geometry.axis_of_subpixel`` for the
paddings. The numbers are the same products in another order, so the work does not change.

What stands between the convolution and the shuffle:

- *Scale and shift per channel* (bias, batch norm) directly after the convolution are folded into
  the weights and one bias, in float64, rounded once.
- *A bias* becomes a value per phase, (O, r_h, r_w). If the phases of each channel agree it is added
  as (1, O, 1, 1); else the result is viewed as (N, O, H, r_h, W, r_w), so that a constant of
  (1, O, 1, r_h, 1, r_w) suffices and no constant is as large as the image.
- *Pointwise operators* commute with the shuffle, which only moves values. Those with one constant
  per channel (PReLU) get one per phase, in the same view.
- *Repeated channels* that are added, or joined by any other pointwise operator, are a nearest
  resize after the shuffle if each phase of an output channel has the same of them:
  shuffle(conv(x) + repeat(z)) = deconv(x) + nearest(z), of which the kernel adds the second part in
  its store (the input that mobile networks add before the shuffle).
- *Groups* stay if each group maps to a group (``weights``); *dilation* is written out densely.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any, TypeAlias

import numpy as np

from tvm_deconv.algebra import geometry

from . import layouts, phases, pointwise
from .convolution import read_conv
from .graph import Builder, Graph, Refused, Tensor, Transposed
from .operators import DEQUANTIZE, QUANTIZE
from .regions import collect
from .repeats import Repeated, read_repeats
from .rule import Emit, Plan, Rule
from .shuffle import Shuffle, read_shuffle
from .shuffled import Folded, Shuffled, fold

ShuffledConv: TypeAlias = Shuffled[Shuffle]


class SubPixel(Rule[ShuffledConv]):
    """Given and result, as mini-IR.

    Given::

        c = conv2d(x, w, padding=P)                       # r_h*r_w*O channels
        a = pointwise(c)                                  # bias, batch norm, activations
        y = pixel_shuffle(a, r)                           # or reshape, permute_dims, reshape

    Result::

        t = conv2d_transpose(x, W, strides=r, padding=r*(E-1-P))
        y = pointwise'(t)                                 # constants per channel
        # or, with constants per phase:
        v = reshape(t, (N, O, H, r_h, W, r_w))
        y = reshape(pointwise'(v), (N, O, H*r_h, W*r_w))

    Does not handle: strides other than 1, weights that are not constant, an intermediate that
    somebody else reads, padding beyond the reach of the kernel, mixed dtypes, groups whose
    channels the shuffle mixes.
    """

    name = "sub-pixel convolution"
    statement = (
        "pixel_shuffle(conv2d(x, w), r) => conv2d_transpose(x, weight_shuffle(w, r), strides=r)"
    )

    def match(self, graph: Graph, var: Tensor) -> ShuffledConv | Refused | None:
        """The convolution that feeds the shuffle ``var`` and the pointwise operators between."""
        shuffle = read_shuffle(graph, var)
        if shuffle is None or isinstance(shuffle, Refused):
            return shuffle
        region = collect(
            graph,
            shuffle.data,
            shuffle.data_layout,
            lambda tensor, layout: resized_by(graph, tensor, layout, shuffle) is not None,
        )
        if isinstance(region, Refused):
            return region
        conv = read_conv(graph, region.source)
        if conv is None:
            return Refused(f"input is not a convolution: {graph.describe(region.source)}")
        if isinstance(conv, Refused):
            return conv
        return Shuffled(shuffle, conv, region)

    def plan(self, graph: Graph, match: ShuffledConv) -> Plan | Refused:
        """The transposed convolution with what is not folded into it."""
        conv, shuffle, region = match.conv, match.shuffle, match.region
        if conv.out_layout != region.layout:
            return Refused(
                f"{graph.describe(conv.var)} gives {conv.out_layout}, the shuffle reads "
                f"{region.layout}"
            )
        folded = fold(graph, match)
        if isinstance(folded, Refused):
            return folded
        rh, rw = shuffle.factor
        channels, _, kernel_h, kernel_w = conv.weight.shape
        h, w = folded.axes
        outputs = shuffle.source.shape[0]
        op = geometry.ConvTranspose2d(conv.in_channels, outputs, h, w, conv.groups)
        sizes = partial(graph.sizes_text, shuffle.result)
        sides = folded.region.sides
        return Plan(
            root=shuffle.result,
            conv=conv.var,
            before=f"conv {sizes(kernel_h, kernel_w)} {conv.in_channels}->{channels}, "
            f"shuffle {sizes(rh, rw)} {shuffle.order}",
            after=describe(graph, shuffle.result, op)
            + (f" + resize {sizes(rh, rw)}" if sides else ""),
            absorbed=match.upsamplings,
            emit=rewrite(graph, match, folded, op),
            layout=layouts.common(conv.data_layout, shuffle.result_layout, *sides.values()),
        )


def rewrite(
    graph: Graph, match: ShuffledConv, folded: Folded, op: geometry.ConvTranspose2d
) -> Emit:
    """Build the result of a match of which everything holds."""
    conv, shuffle, region = match.conv, match.shuffle, folded.region
    source = shuffle.source

    def emit(builder: Builder, remap) -> Any:
        x = layouts.to(builder, remap(conv.data), conv.data_layout, "NCHW")
        value = builder.conv_transpose(x, folded.weight, op)
        n, _, *sizes = layouts.dims(graph.shape(conv.var) or (), conv.out_layout)
        view = phases.view(source, n, sizes)
        form: pointwise.ConstantForm = phases.ChannelForm(source)
        later = phases.differ(source, pointwise.channel_constants(region))
        per_phase = later or phases.differ(source, [folded.bias])
        if per_phase:
            value = builder.split_phases(value, view)
            form = phases.PhaseForm(source)
        if folded.bias.any():
            value = builder.apply("add", (value, form.constant(builder, folded.bias)))
        sides = {
            side: _emit_side(graph, builder, remap, shuffle, side, layout)
            for side, layout in region.sides.items()
        }
        holds_bytes = any(step.op in (QUANTIZE, DEQUANTIZE) for step in region.steps)
        if (sides or holds_bytes) and per_phase and not later:
            # A kernel adds a tensor in its store, and makes bytes, where that has four axes.
            value = builder.merge_phases(value, view)
            form, per_phase = phases.ChannelForm(source), False
        if per_phase:
            sides = {side: builder.split_phases(x, view) for side, x in sides.items()}
        value = pointwise.emit(region, builder, value, form, sides)
        if per_phase:
            value = builder.merge_phases(value, view)
        return layouts.to(builder, value, "NCHW", shuffle.result_layout)

    return emit


def describe(graph: Graph, layer: Tensor, op: Transposed) -> str:
    """``deconv 9x9 stride 3x3 32->1 pad (3, 3, 3, 3)``: what ``layer`` becomes."""
    groups = f" groups {op.groups}" if op.groups > 1 else ""
    sizes = partial(graph.sizes_text, layer)
    padding = op.padding[1::2] if graph.is_line(layer) else op.padding
    return (
        f"deconv {sizes(*(axis.kernel for axis in op.axes))} stride {sizes(*op.strides)} "
        f"{op.in_channels}->{op.out_channels}{groups} pad {padding}"
    )


def resized_by(graph: Graph, tensor: Tensor, layout: str, shuffle: Shuffle) -> Repeated | None:
    """The tensor that ``shuffle`` would make a nearest resize of; None if it would not.

    ``tensor`` must have each of its channels once for every phase of that output channel.
    """
    found = read_repeats(graph, tensor, layout)
    if found is None or found.source.size != shuffle.source.size:
        return None
    shape = graph.shape(found.data) or ()
    channels = np.arange(shuffle.source.shape[0])
    same = bool((found.source[shuffle.source] == channels[:, None, None]).all())
    return found if same and shape[layout.index("C")] == channels.size else None


def _emit_side(
    graph: Graph, builder: Builder, remap: Callable, shuffle: Shuffle, side: Tensor, layout: str
) -> Any:
    found = resized_by(graph, side, layout, shuffle)
    assert found is not None
    x = layouts.to(builder, remap(found.data), layout, "NCHW")
    return builder.nearest(x, shuffle.factor)
