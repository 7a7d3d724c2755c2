"""Nearest resize of a volume and convolution to transposed convolution.

    conv3d(repeat(x, r), w) => conv3d_transpose(x, weight_convolution(w, r), strides=r)

As ``nearest_resize`` for pictures, along three axes: one sample of x meets r neighbouring taps,
whose sum is one weight. The kernel is the flipped w convolved with ones(r), of extent E+r-1, the
stride r, the begin padding E-1-P. For K = 3 and r = 2 that leaves 8/27 of the multiply-adds.
Pointwise operators between the two commute with copying and move to the small volume; the zeros
around the large one are the convolution's own and stay zeros.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tvm_deconv.algebra.geometry import axis_of_resize
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.algebra.weights import convolved_with_ones
from tvm_deconv.errors import GeometryError

from .graph import Builder, Call, Graph, Refused, Tensor, VolumeBuilder
from .growth import refuse_growth
from .operators import CONV_3D, REPEAT, UNARY
from .rule import Plan, Rule
from .volume_convolution import read_volume_conv, times

_AXES = (2, 3, 4)


@dataclass(frozen=True)
class ResizedVolume:
    """A convolution, the small volume behind it, and what stands between, nearest first."""

    conv_var: Tensor
    data: Tensor
    factor: tuple[int, int, int]
    pointwise: tuple[Call, ...]
    upsamplings: frozenset[Tensor]


class VolumeResize(Rule[ResizedVolume]):
    """Given and result, as mini-IR.

    Given::

        u = repeat(repeat(repeat(x, r_d, 2), r_h, 3), r_w, 4)      # in any order
        a = unary(u)                                               # optional
        y = conv3d(a, w, padding=P)

    Result::

        y = conv3d_transpose(unary(x), W, strides=r, padding=E-1-P)

    Does not handle: other interpolations, layouts other than NCDHW, strides other than 1, weights
    that are not constant, paddings between the two, padding beyond the reach of the kernel.
    """

    name = "resize convolution"
    statement = (
        "conv3d(repeat(x, r), w) => conv3d_transpose(x, weight_convolution(w, r), strides=r)"
    )

    def match(self, graph: Graph, var: Tensor) -> ResizedVolume | None:
        """The convolution ``var`` and the resize that it reads, directly or not."""
        call = graph.call(var)
        if call is None or call.op != CONV_3D:
            return None
        factor, steps, repeats = [1, 1, 1], [], []
        found: ResizedVolume | None = None
        tensor = call.args[0]
        while graph.is_variable(tensor) and (step := graph.call(tensor)) is not None:
            axis = _axis(graph, tensor, step)
            if axis is not None:
                factor[axis - 2] *= int(step.attrs.repeats)
                repeats.append(tensor)
            elif step.op in UNARY and len(step.args) == 1:
                steps.append(step)
            else:
                break
            tensor = step.args[0]
            if axis is not None and graph.is_variable(tensor):
                d, h, w = factor
                found = ResizedVolume(var, tensor, (d, h, w), tuple(steps), frozenset(repeats))
        return found

    def plan(self, graph: Graph, match: ResizedVolume) -> Plan | Refused:
        """The transposed convolution of the small volume."""
        var, factor = match.conv_var, match.factor
        conv = read_volume_conv(graph, var)
        assert conv is not None
        if isinstance(conv, Refused):
            return conv
        try:
            d, h, w = map(axis_of_resize, conv.axes, factor)
        except GeometryError as error:
            return Refused(f"{graph.describe(var)}: {error}")
        inputs, outputs = conv.in_channels, conv.weight.shape[0]
        op = ConvTranspose3d(inputs, outputs, d, h, w, conv.groups)
        kernel = d.kernel, h.kernel, w.kernel
        refused = refuse_growth(graph, conv, (inputs, outputs // conv.groups, *kernel))
        if refused is not None:
            return refused
        kernel_3d = convolved_with_ones(conv.weight, factor, conv.groups, conv.dilation)

        def emit(builder: Builder, remap: Any) -> Any:
            assert isinstance(builder, VolumeBuilder)
            x = remap(match.data)
            for step in reversed(match.pointwise):
                x = builder.apply(step.op, (x,), step.attrs)
            return builder.conv3d_transpose(x, kernel_3d, op)

        return Plan(
            root=var,
            conv=var,
            before=f"resize {times(factor)}, "
            f"conv {times(conv.weight.shape[2:])} {inputs}->{outputs}",
            after=f"deconv {times(kernel_3d.shape[2:])} stride {times(factor)} "
            f"{inputs}->{outputs} pad {op.padding}",
            absorbed=match.upsamplings,
            emit=emit,
            weights=(conv.weight.size, kernel_3d.size),
        )

    def unmatched(self, graph: Graph, var: Tensor) -> Refused | None:
        """Why no convolution reads the upsampling ``var``."""
        call = graph.call(var)
        if call is None or _axis(graph, var, call) is None:
            return None
        if any(_reads_as_resize(graph, user) for user in graph.users.get(var, [])):
            return None  # The last one of a resize answers for all.
        return Refused(
            f"{graph.describe(var)} is read by {graph.readers_text(var)}, "
            "not by a convolution that it could be folded into"
        )


def _axis(graph: Graph, tensor: Tensor, call: Call) -> int | None:
    """The axis along which ``call`` repeats the samples of a volume; None if it does not."""
    if call.op != REPEAT or len(graph.shape(tensor) or ()) != 5 or call.attrs.axis is None:
        return None
    axis = int(call.attrs.axis) % 5
    return axis if axis in _AXES else None


def _reads_as_resize(graph: Graph, user: Tensor) -> bool:
    call = graph.call(user)
    return call is not None and _axis(graph, user, call) is not None
