"""Linear resize and convolution to transposed convolution.

    conv2d(linear_resize(x, r), w) => conv2d_transpose(x, weight_interpolation(w, r), strides=r)

Enlarging linearly is itself a transposed convolution, with a triangle, of x continued by its edge
samples; with the convolution behind it, it is one of stride r (``algebra.bilinear``). The large map
is never written. Near the border that convolution sees the map go on where it should see zeros;
the taps outside are taken back from the outermost rows and columns of the result, by convolutions
of the outermost rows and columns of x. Both are exact for every size from 1 up.

What stands between x and the convolution:

- *Zeros* join the padding of the convolution.
- *Copies of the edge* are what the continued x gives: nothing is to be taken back.
- *Scale and shift per channel* (batch norm) commute with an interpolation, whose weights sum up to
  1, and move to the small map. Other pointwise operators do not.

**Where it pays.** For r = 2 and K = 3 the products stay as many, for larger kernels and factors
they become fewer, for smaller ones more: then the layer is left alone. What is saved besides is the
large map, what is paid are weights, (E+2r-1)/K times as many along each axis, which every call
reads. Where they grow by more than the map has elements, the layer is left alone, too: the cycles
that the machine models expect (Zen 4, Cortex-A72) change sides between half and twice of that. A
free size counts as large.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from tvm_deconv.algebra import bilinear, geometry
from tvm_deconv.algebra.axis_map import AxisMap
from tvm_deconv.algebra.outside import Ends
from tvm_deconv.errors import GeometryError

from . import layouts, pointwise
from .convolution import Conv, conv_of, read_conv
from .graph import Builder, Graph, Interpolated, Refused, Tensor
from .growth import refuse_growth
from .index_maps import borders, compose
from .operators import CONV, RESIZE
from .outside import take_back
from .rule import Emit, Plan, Rule
from .stages import Stage, tensors_of, upsamplings, upstream
from .subpixel import describe
from .unread import blocked


@dataclass(frozen=True)
class InterpolatedConv:
    """A convolution, the linear resize upstream, and what stands between, nearest first.

    ``map`` is the enlarged map, of ``layout``. ``joins`` are tensors below the stages: Concats of
    which the convolution is a term (``concat``).
    """

    conv_var: Tensor
    stages: tuple[Stage, ...]
    map: Tensor
    layout: str
    resize: Interpolated
    joins: frozenset[Tensor] = frozenset()

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        return frozenset({self.resize.resize})


@dataclass(frozen=True)
class FoldedConv:
    """A candidate as a transposed convolution of x, and what its border needs."""

    match: InterpolatedConv
    conv: Conv
    h: Ends
    w: Ends
    op: geometry.ConvTranspose2d

    @property
    def factor(self) -> tuple[int, int]:
        return self.h.factor, self.w.factor


class BilinearResize(Rule[InterpolatedConv]):
    """Given and result, as mini-IR.

    Given::

        u = linear_resize(x, r)                # half_pixel, whole factors
        a = scale * u + shift                  # optional, per channel
        p = pad(a)                             # optional: zero, replicate
        y = conv2d(p, w, padding=P)

    Result::

        a = scale * x + shift
        t = conv2d_transpose(pad(a, e, "replicate"), W, strides=r)
        rows = conv2d(enlarged first and last row of a, -w summed over rows outside)
        columns = conv2d(enlarged first and last column of a, -w summed over columns outside)
        y = add_border(t, rows, columns)       # only where zeros pad: joins what is stored with t

    Does not handle: align_corners, asymmetric, cubic and antialiased resizes, factors that are not
    whole, reflections, strides other than 1, weights that are not constant, padding beyond the
    reach of the kernel, a map that somebody else reads, and layers for which it does not pay.
    """

    name = "linear resize convolution"
    statement = (
        "conv2d(linear_resize(x, r), w) => "
        "conv2d_transpose(x, weight_interpolation(w, r), strides=r)"
    )

    def match(self, graph: Graph, var: Tensor) -> InterpolatedConv | None:
        """The convolution ``var`` and the linear resize that it reads, directly or not.

        One of single pixels is of another rule (``linear_pointwise``).
        """
        found = read_interpolated_conv(graph, var)
        return None if found is None or is_pointwise(graph, var) else found

    def plan(self, graph: Graph, match: InterpolatedConv) -> Plan | Refused:
        """The transposed convolution with its border."""
        var = match.conv_var
        conv = conv_of(graph, var)
        if isinstance(conv, Refused):
            return conv
        checked = check(graph, conv, match)
        if isinstance(checked, Refused):
            return checked
        out_channels, _, kernel_h, kernel_w = conv.weight.shape
        return Plan(
            root=var,
            conv=var,
            before=f"linear resize {graph.sizes_text(var, *checked.factor)}, conv "
            f"{graph.sizes_text(var, kernel_h, kernel_w)} {conv.in_channels}->{out_channels}",
            after=describe(graph, var, checked.op),
            absorbed=match.upsamplings,
            emit=rewrite(checked),
            layout=layouts.common(match.layout, conv.out_layout),
            weights=(conv.weight.size, prod(checked.op.weight_shape)),
        )

    def unmatched(self, graph: Graph, var: Tensor) -> Refused | None:
        """Why no convolution reads the linear resize ``var``."""
        found = graph.interpolated(var)
        # Of the operators that enlarge one axis each, the last speaks for all.
        is_last = graph.resampled(var) is not None or graph.operator(var) == RESIZE
        if found is None or found.resize != var or not is_last:
            return None
        return blocked(graph, var, f"the linear resize {graph.name(var)}")


def read_interpolated_conv(graph: Graph, var: Tensor) -> InterpolatedConv | None:
    """The convolution ``var`` and the linear resize that it reads, directly or not."""
    call = graph.call(var)
    if call is None or call.op != CONV:
        return None
    stages, data, layout = upstream(
        graph,
        call.args[0],
        str(call.attrs.data_layout),
        until=lambda tensor: graph.interpolated(tensor) is not None,
    )
    found = graph.interpolated(data)
    if found is None or upsamplings(stages):
        return None
    return InterpolatedConv(var, tuple(stage for stage, _ in stages), data, layout, found)


def is_pointwise(graph: Graph, var: Tensor) -> bool:
    """Whether ``var`` is a convolution of 1x1, without padding."""
    conv = read_conv(graph, var)
    if not isinstance(conv, Conv) or conv.weight.shape[2:] != (1, 1):
        return False
    return not any(pad for axis in conv.axes for pad in (axis.pad_begin, axis.pad_end))


def check(graph: Graph, conv: Conv, match: InterpolatedConv) -> FoldedConv | Refused:
    """Everything that must hold, in the order of the docstring of ``BilinearResize``.

    ``conv`` is what is computed of the enlarged map, all of the convolution or a term of it.
    """
    factors = check_resize(graph, conv, match)
    if isinstance(factors, Refused):
        return factors
    shape = layouts.dims(graph.shape(match.resize.data) or (), match.layout)
    # Beyond the first sample nothing is known of a free size.
    large = [s * r if isinstance(s, int) else None for s, r in zip(shape[2:], factors, strict=True)]
    maps = compose(graph, match.stages, large)
    if isinstance(maps, Refused):
        return maps
    axes, padded = [], []
    for side, axis, found, r in zip("HW", conv.axes, maps, factors, strict=True):
        ends = _continued(side, found.zero_padded(axis.pad_begin, axis.pad_end), r)
        if isinstance(ends, Refused):
            return ends
        padded.append(ends)
        try:
            axes.append(bilinear.axis_of_interpolation(axis, ends))
        except GeometryError as error:
            return Refused(f"{graph.describe(conv.var)}, axis {side}: {error}")
    op = geometry.ConvTranspose2d(
        conv.in_channels, conv.weight.shape[0], axes[0], axes[1], conv.groups
    )
    refused = refuse_growth(graph, conv, op.weight_shape) or _does_not_pay(conv, op, shape)
    if refused is not None:
        return refused
    return FoldedConv(match, conv, padded[0], padded[1], op)


def check_resize(graph: Graph, conv: Conv, match: InterpolatedConv) -> tuple[int, int] | Refused:
    """The factors of height and width, if nobody else needs the map and what is between moves."""
    name = graph.name(match.resize.resize)
    n, c, h, w = layouts.dims(match.resize.factors, match.layout)
    if (n, c) != (1, 1):
        return Refused(f"{name} enlarges {match.resize.factors}, not height and width only")
    if graph.dtype(match.resize.data) != conv.dtype:
        return Refused(f"{name} changes the dtype from {graph.dtype(match.resize.data)}")
    reader = _other_reader(graph, match)
    if reader is not None:
        return Refused(f"the map of {name} is also read by {reader}, so it would stay")
    for stage in match.stages:
        refused = _not_affine(graph, stage, conv.in_channels)
        if refused is not None:
            return refused
    return h, w


def rewrite(folded: FoldedConv) -> Emit:
    """Build the result; assumes that ``check`` passed."""

    def emit(builder: Builder, remap: Any) -> Any:
        y = transposed(builder, remap, folded)
        return layouts.to(builder, y, "NCHW", folded.conv.out_layout)

    return emit


def transposed(builder: Builder, remap: Any, folded: FoldedConv) -> Any:
    """The transposed convolution of the small map and its border, in NCHW."""
    conv = folded.conv
    x = small_map(builder, remap, folded.match)
    edge = (*folded.h.edge, *folded.w.edge)
    dilation = conv.axes[0].dilation, conv.axes[1].dilation
    weight = bilinear.weight_interpolation(conv.weight, folded.factor, conv.groups, dilation)
    continued = builder.pad(x, edge, "replicate") if any(edge) else x
    y = builder.conv_transpose(continued, weight, folded.op)
    return take_back(builder, y, x, conv, (folded.h, folded.w), linear=True)


def small_map(builder: Builder, remap: Any, match: InterpolatedConv) -> Any:
    """What was enlarged, in NCHW, with the scales and shifts that stood behind the resize."""
    x = layouts.to(builder, remap(match.resize.data), match.layout, "NCHW")
    for stage in reversed(match.stages):
        if isinstance(stage, pointwise.Region):
            x = pointwise.emit(stage, builder, x, pointwise.PlainForm())
    return x


def _other_reader(graph: Graph, match: InterpolatedConv) -> str | None:
    """Who reads the enlarged map, or what is made of it, and is no convolution."""
    own = {match.conv_var, match.resize.resize, match.map}
    own |= tensors_of(match.stages) | match.joins
    for var in sorted(own - {match.conv_var}, key=lambda v: graph.position.get(v, -1)):
        if var in graph.outputs:
            return "the function's output"
        for user in graph.users.get(var, ()):
            if user not in own and graph.operator(user) != CONV:
                return graph.describe(user)
    return None


def _not_affine(graph: Graph, stage: Stage, channels: int) -> Refused | None:
    if not isinstance(stage, pointwise.Region):
        return None
    rest = pointwise.split_affine(stage, channels)[2].steps
    if not rest:
        return None
    return Refused(
        f"{graph.spell(rest[0].op)} stands between the linear resize and the convolution: only a "
        "scale and a shift per channel commute with it"
    )


def _continued(side: str, found: AxisMap, factor: int) -> Ends | Refused:
    ends = borders(side, found)
    if isinstance(ends, Refused):
        return ends
    begin, end = ends
    return bilinear.ends_of_interpolation(factor, (begin.zeros, end.zeros), (begin.edge, end.edge))


def _does_not_pay(conv: Conv, op: geometry.ConvTranspose2d, shape: Any) -> Refused | None:
    """Why the layer is faster as it is, by its counts; ``shape`` is that of x, NCHW."""
    pixels = prod(op.strides)
    kernel = prod(conv.weight.shape[2:])
    folded = op.h.useful_taps * op.w.useful_taps
    if folded > kernel * pixels:
        return Refused(
            f"folded it would take {folded / pixels:g} products for each output and channel, the "
            f"convolution of the enlarged map takes {kernel}: it does not pay"
        )
    batch, channels, *sides = shape
    if not all(isinstance(size, int) for size in (batch, *sides)):
        return None
    grown = prod(op.weight_shape) - conv.weight.size
    saved = batch * channels * prod(sides) * pixels
    if grown > saved:
        return Refused(
            f"folded it would read {grown} weights more, to save an enlarged map of {saved} "
            "elements: it does not pay"
        )
    return None
