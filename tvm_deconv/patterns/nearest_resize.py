"""Nearest resize and convolution to transposed convolution, of pictures and of volumes.

    conv(resize(x, r), w) => conv_transpose(x, weight_convolution(w, r), strides=r)

All axes are alike; one is shown. Pixel h of the resized map is pixel h div r of x, so one pixel of
x meets r neighbouring taps; their sum is one weight. The kernel is the flipped w convolved with
ones(r), of extent E+r-1, the stride r, the begin padding E-1-P (``algebra.weights``,
``geometry.axis_of_resize``). Multiply-adds shrink by (E+r-1)/(r*E) along each axis, and the large
map is never written.

What stands between x and the convolution:

- *Resizes, repeats, takes and paddings* are index maps; they are composed and only the result is
  judged (``axis_map``): it must be nearest xr with a border of zeros, then copies of the edge.
- *Zeros* join the padding of the convolution. They need no change: zero samples of x stay out of
  the sums on both sides.
- *Copies of the edge*, e of them (replicate padding, and reflect padding up to r-1), are what the
  resize makes of x padded by ceil(e/r) edge samples; the surplus is cropped.
- *Crops* by less than r, or a resize to a size that is no multiple, leave out copies of the last
  sample: they are -e copies of the edge, and cropped from the result.
- *Zeros outside of them* stand where e is no multiple of r in the midst of what one sample of x
  gives. Then the map goes on with its edge over the zeros, too, and what that adds is taken back
  from the outermost rows and columns, or slices, of the result (``algebra.outside``).
- *Pointwise operators* commute with copying and move to the small map. After a zero padding they
  must map 0 to 0.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from tvm_deconv.algebra import geometry, weights
from tvm_deconv.algebra.outside import Ends, ends_of_copies
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.errors import GeometryError

from . import layouts, pointwise
from .convolution import Conv, conv_of, reads_bytes
from .copying import Copying
from .graph import Builder, Graph, Refused, Tensor, Transposed
from .growth import refuse_growth
from .index_maps import borders, compose
from .operators import CONVOLUTIONS
from .outside import take_back
from .rule import Emit, Plan, Rule
from .stages import Stages, up_to_last_resize, upsamples, upsamplings, upstream
from .subpixel import describe
from .unread import unread


@dataclass(frozen=True)
class ResizedConv:
    """A convolution and what stands upstream of its input, nearest first, with its input layout.

    ``stages`` end with the last resize; what feeds that is of no interest here.
    """

    conv_var: Tensor
    stages: Stages

    @property
    def upsamplings(self) -> frozenset[Tensor]:
        return upsamplings(self.stages)


@dataclass(frozen=True)
class NearestConv:
    """A candidate as a transposed convolution of ``data`` (of ``layout``), and what comes first.

    ``regions`` are moved before it. ``ends`` say of each axis how many samples are copied
    around it, and what is taken back. ``absorbed`` are the upsampling operators that it needs no
    more.
    """

    conv: Conv
    data: Tensor
    layout: str
    regions: tuple[pointwise.Region, ...]
    absorbed: frozenset[Tensor]
    ends: tuple[Ends, ...]
    op: Transposed
    weight: np.ndarray
    factor: tuple[int, ...]


class NearestResize(Rule[ResizedConv]):
    """Given and result, as mini-IR.

    Given::

        u = resize(x, r)                       # or repeat, take, broadcast: nearest xr
        a = pointwise(u)                       # optional
        p = pad(a)                             # optional: zero, reflect, replicate, or a crop
        y = conv(p, w, padding=P)              # conv2d, or conv3d in NCDHW

    Result::

        a = pointwise(x)
        p = pad(a, ceil(e/r), "replicate")     # only for e edge copies
        y = conv_transpose(p, W, strides=r, padding=E-1-P)
        y = add_border(y, faces)               # only for zeros behind a crop

    Does not handle: other interpolations, factors that are not whole, crops of whole samples of x,
    strides other than 1, weights that are not constant, reflections of r or more pixels, constant
    padding other than 0, padding beyond the reach of the kernel, bytes whose border would be added.
    """

    name = "resize convolution"
    statement = "conv(resize(x, r), w) => conv_transpose(x, weight_convolution(w, r), strides=r)"

    def match(self, graph: Graph, var: Tensor) -> ResizedConv | None:
        """The convolution ``var`` and the resize that it reads, directly or not."""
        call = graph.call(var)
        if call is None or call.op not in CONVOLUTIONS:
            return None
        above, _, _ = upstream(graph, call.args[0], str(call.attrs.data_layout))
        stages = up_to_last_resize(above)
        return ResizedConv(var, stages) if stages else None

    def plan(self, graph: Graph, match: ResizedConv) -> Plan | Refused:
        """The transposed convolution in place of the farthest resize that it can replace."""
        var = match.conv_var
        conv = conv_of(graph, var)
        if isinstance(conv, Refused):
            return conv
        outcome = farthest(graph, conv, match.stages)
        if isinstance(outcome, Refused):
            return outcome
        out_channels, _, *kernel = conv.weight.shape
        return Plan(
            root=var,
            conv=var,
            before=f"resize {graph.sizes_text(var, *outcome.factor)}, conv "
            f"{graph.sizes_text(var, *kernel)} {conv.in_channels}->{out_channels}",
            after=describe(graph, var, outcome.op),
            absorbed=outcome.absorbed,
            emit=rewrite(outcome),
            layout=layouts.common(outcome.layout, conv.out_layout),
            weights=(conv.weight.size, outcome.weight.size),
        )

    def unmatched(self, graph: Graph, var: Tensor) -> Refused | None:
        """Why no convolution reads the upsampling ``var``."""
        return unread(graph, var)


def farthest(graph: Graph, conv: Conv, stages: Stages) -> NearestConv | Refused:
    """The farthest resize that can go: two in a row become one transposed convolution.

    If none can, the reason is that of the nearest one.
    """
    outcome: NearestConv | Refused = Refused("")
    for count in range(len(stages), 0, -1):
        if upsamples(stages[count - 1][0]):
            outcome = check(graph, conv, stages[:count])
            if isinstance(outcome, NearestConv):
                break
    return outcome


def check(graph: Graph, conv: Conv, stages: Stages) -> NearestConv | Refused:
    """Everything that must hold, for the resize at the far end of ``stages``."""
    last, layout = stages[-1]
    assert isinstance(last, Copying)
    shape = graph.shape(last.data)
    if shape is None or len(shape) != len(layout):
        return Refused(f"the shape of {graph.describe(last.data)} is not known")
    sizes = layouts.dims(shape, layout)[2:]
    maps = compose(graph, [stage for stage, _ in stages], sizes)
    if isinstance(maps, Refused):
        return maps
    axes, ends = [], []
    names = layouts.channels_first(layout)[2:]
    for name, axis, found in zip(names, conv.axes, maps, strict=True):
        sides = borders(name, found.zero_padded(axis.pad_begin, axis.pad_end))
        if isinstance(sides, Refused):
            return sides
        begin, end = sides
        own = ends_of_copies(found.factor, (begin.zeros, end.zeros), (begin.edge, end.edge))
        total = replace(axis, pad_begin=own.total[0], pad_end=own.total[1])
        ends.append(own)
        try:
            axes.append(geometry.axis_of_resize(total, found.factor, own.edge))
        except GeometryError as error:
            return Refused(f"{graph.describe(conv.var)}, axis {name}: {error}")
        if any(own.surplus) and reads_bytes(graph, conv):
            return Refused(
                f"axis {name} is cropped to no multiple of the factor {found.factor} and padded "
                "with zeros: of bytes that is not computed from the small map"
            )
    factor = tuple(found.factor for found in maps)
    op = _over(axes, conv)
    refused = refuse_growth(graph, conv, op.weight_shape)
    if refused is not None:
        return refused
    return NearestConv(
        conv=conv,
        data=last.data,
        layout=layout,
        regions=tuple(s for s, _ in reversed(stages) if isinstance(s, pointwise.Region)),
        absorbed=upsamplings(stages),
        ends=tuple(ends),
        op=op,
        weight=weights.convolved_with_ones(conv.weight, factor, conv.groups, conv.dilation),
        factor=factor,
    )


def _over(axes: Sequence[geometry.Axis], conv: Conv) -> Transposed:
    """The transposed convolution along ``axes`` with the channels and groups of ``conv``."""
    inputs, outputs = conv.in_channels, conv.weight.shape[0]
    if len(axes) == 2:
        h, w = axes
        return geometry.ConvTranspose2d(inputs, outputs, h, w, conv.groups)
    d, h, w = axes
    return ConvTranspose3d(inputs, outputs, d, h, w, conv.groups)


def rewrite(match: NearestConv) -> Emit:
    """Build the result; assumes that ``check`` passed."""

    def emit(builder: Builder, remap) -> Any:
        y = transposed(builder, low_resolution(builder, remap, match), match)
        layout = match.conv.out_layout
        return layouts.to(builder, y, layouts.channels_first(layout), layout)

    return emit


def transposed(builder: Builder, x: Any, match: NearestConv) -> Any:
    """The transposed convolution of the small map ``x`` with its border, both channels first."""
    edge = [count for own in match.ends for count in own.edge]
    continued = builder.pad(x, edge, "replicate") if any(edge) else x
    y = builder.conv_transpose(continued, match.weight, match.op)
    return take_back(builder, y, x, match.conv, match.ends, linear=False)


def low_resolution(builder: Builder, remap: Callable[[Tensor], Any], match: NearestConv) -> Any:
    """The small map, channels first, after the pointwise operators that moved to it."""
    layout = match.layout
    x = layouts.to(builder, remap(match.data), layout, layouts.channels_first(layout))
    for region in match.regions:
        x = pointwise.emit(region, builder, x, pointwise.PlainForm(len(match.ends)))
    return x
