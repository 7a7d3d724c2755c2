"""Emitting what a rule replaces a pattern by, as Relay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relay

from tvm_deconv.patterns.graph import Convolution, Transposed

from . import borders
from .vocabulary import native

# Where Relay's name of a padding differs from the rules'.
_PAD_MODES = {"replicate": "edge"}


class Builder:
    """``patterns.graph.BorderBuilder``; every call gets ``span``, the name of its layer."""

    layout = "NCHW"

    def __init__(self, span: Any) -> None:
        self._span = span

    def constant(self, values: np.ndarray) -> relay.Constant:
        return relay.const(values, str(values.dtype))

    def apply(self, op: str, args: Sequence[relay.Expr], attrs: Any = None) -> relay.Call:
        return relay.Call(tvm.ir.Op.get(native(op)), list(args), attrs, None, self._span)

    def leaky_relu(self, x: relay.Expr, slope: float) -> relay.Call:
        return self._named(relay.nn.leaky_relu(x, slope))

    def prelu(self, x: relay.Expr, slope: np.ndarray) -> relay.Call:
        axis = self.layout.index("C")
        return self._named(relay.nn.prelu(x, self.constant(slope), axis=axis))

    def transpose(self, x: relay.Expr, axes: Sequence[int]) -> relay.Call:
        return self._named(relay.transpose(x, list(axes)))

    def pad(self, x: relay.Expr, widths: Sequence[int], mode: str) -> relay.Call:
        both = self._axes((0, 0), (0, 0), widths[:2], widths[2:])
        if mode == "symmetric":
            return self._named(relay.nn.mirror_pad(x, both, mode="SYMMETRIC"))
        return self._named(relay.nn.pad(x, both, pad_mode=_PAD_MODES.get(mode, mode)))

    def nearest(self, x: relay.Expr, factor: tuple[int, int]) -> relay.Call:
        return self._named(relay.nn.upsampling(x, *map(float, factor), layout=self.layout))

    def linear(self, x: relay.Expr, factor: tuple[int, int]) -> relay.Call:
        # nn.upsampling would be simpler, but puts bilinear samples elsewhere (asymmetric).
        shape = _shape(x)
        sides = zip("HW", factor, strict=True)
        size = [int(shape[self.layout.index(side)]) * r for side, r in sides]
        return self._named(relay.image.resize2d(x, size, layout=self.layout, method="linear"))

    def concat(self, parts: Sequence[relay.Expr]) -> relay.Call:
        return self._named(relay.concatenate(list(parts), axis=self.layout.index("C")))

    def conv(self, x: relay.Expr, weight: np.ndarray, op: Convolution) -> relay.Call:
        h, w = op.axes
        return self._named(
            relay.nn.conv2d(
                x,
                relay.const(np.ascontiguousarray(weight), str(weight.dtype)),
                padding=(h.pad_begin, w.pad_begin, h.pad_end, w.pad_end),
                dilation=(h.dilation, w.dilation),
                channels=weight.shape[0],
                kernel_size=weight.shape[2:],
                groups=op.groups,
                data_layout="NCHW",
            )
        )

    def conv_transpose(self, x: relay.Expr, weight: np.ndarray, op: Transposed) -> relay.Call:
        return self._named(
            relay.nn.conv2d_transpose(
                x,
                relay.const(np.ascontiguousarray(weight), str(weight.dtype)),
                strides=op.strides,
                padding=op.padding,
                channels=op.out_channels,
                kernel_size=weight.shape[2:],
                groups=op.groups,
                data_layout=self.layout,
                kernel_layout="IOHW",
            )
        )

    def border_faces(
        self,
        x: relay.Expr,
        axis: int,
        ends: tuple[bool, bool],
        factors: Sequence[int],
        copies: Sequence[tuple[int, int]],
        linear: bool,
    ) -> relay.Call:
        (factor,), (pair,) = factors, copies
        lines = borders.border_lines(x, axis, ends, factor, pair, linear, self.layout)
        return self._named(lines)

    def add_border(
        self, y: relay.Expr, faces: dict[int, relay.Expr], counts: borders.Counts
    ) -> relay.Call:
        for axis, line in faces.items():
            call = borders.add_border(y, line, axis, counts[axis - 2], self.layout)
            y = self._named(call)
        return y

    def split_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        return self._named(relay.reshape(x, dims))

    def merge_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, h, rh, w, rw = dims
        return self._named(relay.reshape(x, (n, o, h * rh, w * rw)))

    def _axes(self, *nchw: Any) -> tuple[Any, ...]:
        """What is given in the order NCHW, in that of the layout."""
        return tuple(nchw["NCHW".index(axis)] for axis in self.layout)

    def _named(self, call: relay.Call) -> relay.Call:
        return relay.Call(call.op, call.args, call.attrs, call.type_args, self._span)


class ChannelsLast(Builder):
    """Emits in NHWC what a rule says in NCHW, for patterns that read and give NHWC.

    A rule transposes at the ends of a pattern only; here these transpositions are nothing. Lines
    of a border stay in NCHW, and nothing else is read by a ``conv2d`` of such a pattern.
    """

    layout = "NHWC"

    def constant(self, values: np.ndarray) -> relay.Constant:
        """A value per channel (1, O, 1, 1) or per phase (1, O, 1, r_h, 1, r_w), channels last."""
        return super().constant(np.moveaxis(values, 1, -1) if values.ndim > 1 else values)

    def transpose(self, x: relay.Expr, axes: Sequence[int]) -> relay.Expr:
        return x

    def split_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, *split = dims
        return self._named(relay.reshape(x, (n, *split, o)))

    def merge_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, h, rh, w, rw = dims
        return self._named(relay.reshape(x, (n, h * rh, w * rw, o)))


def _shape(x: relay.Expr) -> Sequence[Any]:
    """The shape of an expression that nobody has inferred the type of yet."""
    function = relay.Function(relay.analysis.free_vars(x), x)
    typed = relay.transform.InferType()(tvm.IRModule.from_expr(function))
    return typed["main"].body.checked_type.shape
