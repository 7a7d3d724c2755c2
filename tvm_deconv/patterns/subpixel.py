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

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from tvm_deconv.algebra import geometry, weights
from tvm_deconv.errors import GeometryError

from . import layouts, pointwise
from .convolution import Conv, read_conv
from .graph import Builder, Dim, Graph, Refused, Tensor
from .operators import DEQUANTIZE, QUANTIZE
from .regions import collect
from .repeats import Repeated, read_repeats
from .rule import Emit, Plan, Rule
from .shuffle import Shuffle, read_shuffle


@dataclass(frozen=True)
class ShuffledConv:
    """A shuffle, the convolution that feeds it, and the pointwise operators between."""

    shuffle: Shuffle
    conv: Conv
    region: pointwise.Region

    @property
    def conv_var(self) -> Tensor:
        return self.conv.var

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        return frozenset({self.shuffle.result})


@dataclass(frozen=True)
class SubPixelConv:
    """A candidate as a transposed convolution: its geometry, weights (IOHW) and bias.

    ``region`` is what of the pointwise operators is not folded into the weights.
    """

    shuffle: Shuffle
    conv: Conv
    region: pointwise.Region
    op: geometry.ConvTranspose2d
    weight: np.ndarray
    bias: np.ndarray


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
        return ShuffledConv(shuffle, conv, region)

    def plan(self, graph: Graph, match: ShuffledConv) -> Plan | Refused:
        """The transposed convolution with what is not folded into it."""
        checked = check(graph, match)
        if isinstance(checked, Refused):
            return checked
        conv, shuffle = checked.conv, checked.shuffle
        rh, rw = shuffle.factor
        channels, _, kernel_h, kernel_w = conv.weight.shape
        sizes = partial(graph.sizes_text, shuffle.result)
        return Plan(
            root=shuffle.result,
            conv=conv.var,
            before=f"conv {sizes(kernel_h, kernel_w)} {conv.in_channels}->{channels}, "
            f"shuffle {sizes(rh, rw)} {shuffle.order}",
            after=describe(graph, shuffle.result, checked.op)
            + (f" + resize {sizes(rh, rw)}" if checked.region.sides else ""),
            absorbed=match.upsamplings,
            emit=rewrite(graph, checked),
            layout=layouts.common(
                conv.data_layout, shuffle.result_layout, *checked.region.sides.values()
            ),
        )


def check(graph: Graph, match: ShuffledConv) -> SubPixelConv | Refused:
    """Everything that must hold, in the order of the docstring of ``SubPixel``."""
    shuffle, conv, region = match.shuffle, match.conv, match.region
    if conv.out_layout != region.layout:
        return Refused(
            f"{graph.describe(conv.var)} gives {conv.out_layout}, the shuffle reads {region.layout}"
        )
    inside = region.members | shuffle.members | {conv.var}
    for var in sorted(inside - {shuffle.result}, key=graph.position.__getitem__):
        reader = graph.outside_reader(var, inside)
        if reader is not None:
            return Refused(f"{graph.describe(var)} is also read by {reader}")
    scale, shift, rest = pointwise.split_affine(region, conv.weight.shape[0])
    scaled = conv.weight * scale[:, None, None, None]
    with np.errstate(over="ignore"):
        weight, bias = scaled.astype(conv.dtype), shift.astype(conv.dtype)
    if not (np.isfinite(weight).all() and np.isfinite(bias).all()):
        return Refused(f"weights of {graph.describe(conv.var)} are not finite in {conv.dtype}")
    rh, rw = shuffle.factor
    try:
        weight = weights.weight_shuffle_by(weight, shuffle.source, conv.groups, conv.dilation)
        op = geometry.ConvTranspose2d(
            conv.in_channels,
            shuffle.source.shape[0],
            geometry.axis_of_subpixel(conv.h, rh),
            geometry.axis_of_subpixel(conv.w, rw),
            conv.groups,
        )
    except GeometryError as error:
        return Refused(f"{graph.describe(conv.var)}: {error}")
    return SubPixelConv(shuffle, conv, rest, op, weight, bias)


def rewrite(graph: Graph, match: SubPixelConv) -> Emit:
    """Build the result; assumes that ``check`` passed."""

    def emit(builder: Builder, remap) -> Any:
        conv, shuffle = match.conv, match.shuffle
        x = layouts.to(builder, remap(conv.data), conv.data_layout, "NCHW")
        value = builder.conv2d_transpose(x, match.weight, match.op)
        form: pointwise.ConstantForm = ChannelForm(shuffle.source)
        later = _differs(match, pointwise.channel_constants(match.region))
        per_phase = later or _differs(match, [match.bias])
        if per_phase:
            value = builder.split_phases(value, _view(graph, match))
            form = PhaseForm(shuffle.source)
        if match.bias.any():
            value = builder.apply("add", (value, form.constant(builder, match.bias)))
        sides = {
            side: _emit_side(graph, builder, remap, match, side) for side in match.region.sides
        }
        holds_bytes = any(step.op in (QUANTIZE, DEQUANTIZE) for step in match.region.steps)
        if (sides or holds_bytes) and per_phase and not later:
            # A kernel adds a tensor in its store, and makes bytes, where that has four axes.
            value = builder.merge_phases(value, _view(graph, match))
            form, per_phase = ChannelForm(shuffle.source), False
        if per_phase:
            sides = {k: builder.split_phases(v, _view(graph, match)) for k, v in sides.items()}
        value = pointwise.emit(match.region, builder, value, form, sides)
        if per_phase:
            value = builder.merge_phases(value, _view(graph, match))
        return layouts.to(builder, value, "NCHW", shuffle.result_layout)

    return emit


@dataclass(frozen=True)
class ChannelForm:
    """Constants whose phases agree: the first phase's value stands for all, as (1, O, 1, 1)."""

    source: np.ndarray

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        return pointwise.PlainForm().constant(builder, self._first(values))

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        return pointwise.PlainForm().prelu(builder, x, self._first(slope))

    def _first(self, values: np.ndarray) -> np.ndarray:
        return values[self.source[:, 0, 0]] if values.ndim else values


@dataclass(frozen=True)
class PhaseForm:
    """Constants per phase, (1, O, 1, r_h, 1, r_w), for a tensor (N, O, H, r_h, W, r_w)."""

    source: np.ndarray

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        if values.ndim:
            values = values[self.source][None, :, None, :, None, :]
        return builder.constant(values)

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        # A phase is two axes.
        return pointwise.prelu_of(self, builder, x, slope)


def describe(graph: Graph, layer: Tensor, op: geometry.ConvTranspose2d) -> str:
    """``deconv 9x9 stride 3x3 32->1 pad (3, 3, 3, 3)``: what ``layer`` becomes."""
    groups = f" groups {op.groups}" if op.groups > 1 else ""
    sizes = partial(graph.sizes_text, layer)
    padding = op.padding[1::2] if graph.is_line(layer) else op.padding
    return (
        f"deconv {sizes(op.h.kernel, op.w.kernel)} stride {sizes(op.h.stride, op.w.stride)} "
        f"{op.in_channels}->{op.out_channels}{groups} pad {padding}"
    )


def _view(graph: Graph, match: SubPixelConv) -> tuple[Dim, ...]:
    """(N, O, H, r_h, W, r_w) for the convolution's own H and W."""
    shape = graph.shape(match.conv.var) or ()
    n, _, h, w = layouts.dims(shape, match.conv.out_layout)
    o, rh, rw = match.shuffle.source.shape
    return n, o, h, rh, w, rw


def resized_by(graph: Graph, tensor: Tensor, layout: str, shuffle: Shuffle) -> Repeated | None:
    """The tensor that ``shuffle`` would make a nearest resize of; None if it would not.

    ``tensor`` must have each of its channels once for every phase of that output channel.
    """
    found = read_repeats(graph, tensor, layout)
    if found is None or found.source.size != shuffle.source.size:
        return None
    shape = graph.shape(found.data) or ()
    channels = np.arange(shuffle.source.shape[0])
    phases = found.source[shuffle.source]
    same = bool((phases == channels[:, None, None]).all())
    return found if same and shape[layouts.axis(layout, "C")] == channels.size else None


def _emit_side(
    graph: Graph, builder: Builder, remap: Callable, match: SubPixelConv, side: Tensor
) -> Any:
    layout = match.region.sides[side]
    found = resized_by(graph, side, layout, match.shuffle)
    assert found is not None
    x = layouts.to(builder, remap(found.data), layout, "NCHW")
    return builder.nearest(x, match.shuffle.factor)


def _differs(match: SubPixelConv, constants: Iterable[np.ndarray]) -> bool:
    """Whether one of the constants per channel differs from phase to phase."""
    phases = [values[match.shuffle.source] for values in constants]
    return any(bool((values != values[:, :1, :1]).any()) for values in phases)
