"""A 1x1 convolution behind a linear resize, computed of the small map.

    conv2d(linear_resize(x, r), w) = linear_resize(conv2d(x, w), r)       w of 1x1, no padding

Both are sums: one over the channels of a pixel, the other over neighbouring pixels of a channel. So
either may come first, and on the small map there are r_h*r_w times fewer products; the result is
the same up to rounding. The weights of an interpolation sum up to 1, so a bias behind the
convolution stays where it is, as does whatever follows. A scale and a shift per channel between the
two move to the small map.

**Where it pays.** Of O output and C input channels, C*O*(1 - 1/(r_h*r_w)) products of each output
pixel are spared, and the enlarged map, which is written and read, has O channels in place of C.
Where these are more, each value that is moved counts as ``split_cost.BALANCE`` products.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from typing import Any

from . import bilinear_resize, layouts, pointwise
from .bilinear_resize import InterpolatedConv
from .convolution import Conv, conv_of
from .graph import BorderBuilder, Builder, Graph, Refused, Tensor
from .rule import Emit, Plan, Rule
from .split_cost import BALANCE


@dataclass(frozen=True)
class SmallConv:
    """A candidate of which everything holds."""

    match: InterpolatedConv
    conv: Conv
    factor: tuple[int, int]


class LinearPointwise(Rule[InterpolatedConv]):
    """Given and result, as mini-IR.

    Given::

        u = linear_resize(x, r)                # half_pixel, whole factors
        a = scale * u + shift                  # optional, per channel
        y = conv2d(a, w)                       # 1x1, no padding

    Result::

        a = scale * x + shift
        y = linear_resize(conv2d(a, w), r)

    Does not handle: other resizes, strides other than 1, weights that are not constant, other
    operators between the two, a map that somebody else reads, and layers for which it does not pay.
    """

    name = "1x1 convolution of a linear resize"
    statement = "conv2d(linear_resize(x, r), w) => linear_resize(conv2d(x, w), r)"

    def match(self, graph: Graph, var: Tensor) -> InterpolatedConv | None:
        """The 1x1 convolution ``var`` and the linear resize that it reads."""
        found = bilinear_resize.read_interpolated_conv(graph, var)
        return found if found is not None and bilinear_resize.is_pointwise(graph, var) else None

    def plan(self, graph: Graph, match: InterpolatedConv) -> Plan | Refused:
        """The convolution of the small map, enlarged."""
        small = check(graph, match)
        if isinstance(small, Refused):
            return small
        var = match.conv_var
        resize = f"linear resize {graph.sizes_text(var, *small.factor)}"
        channels = f"{small.conv.in_channels}->{small.conv.weight.shape[0]}"
        conv = f"conv {graph.sizes_text(var, 1, 1)} {channels}"
        return Plan(
            root=var,
            conv=var,
            before=f"{resize}, {conv}",
            after=f"{conv}, {resize}",
            absorbed=match.upsamplings,
            emit=rewrite(small),
        )


def check(graph: Graph, match: InterpolatedConv) -> SmallConv | Refused:
    """Everything that must hold."""
    conv = conv_of(graph, match.conv_var)
    if isinstance(conv, Refused):
        return conv
    factor = bilinear_resize.check_resize(graph, conv, match)
    if isinstance(factor, Refused):
        return factor
    moved = next((s for s in match.stages if not isinstance(s, pointwise.Region)), None)
    if moved is not None:
        return Refused(
            f"{graph.describe(moved.result)} stands between the linear resize and a 1x1 convolution"
        )
    outputs, group = conv.weight.shape[:2]
    spared = outputs * group * (1 - 1 / prod(factor))
    more = 2 * (outputs - conv.in_channels)
    if BALANCE * more >= spared:
        return Refused(
            f"to enlarge the result of {graph.describe(conv.var)} does not pay: it spares "
            f"{spared:g} products an output pixel and moves {more} values more, each worth "
            f"{BALANCE} products"
        )
    return SmallConv(match, conv, factor)


def rewrite(small: SmallConv) -> Emit:
    """Build the result; assumes that ``check`` passed."""

    def emit(builder: Builder, remap: Any) -> Any:
        assert isinstance(builder, BorderBuilder)
        conv = small.conv
        x = bilinear_resize.small_map(builder, remap, small.match)
        y = builder.linear(builder.conv(x, conv.weight, conv), small.factor)
        return layouts.to(builder, y, "NCHW", conv.out_layout)

    return emit
