"""Emitting what a rule replaces a pattern by, as Relay."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import tvm
from tvm import relay

from tvm_deconv.algebra import geometry

from .vocabulary import native


class Builder:
    """``patterns.graph.Builder``; every call gets ``span``, the name of the layer it belongs to."""

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

    def pad_edge(self, x: relay.Expr, widths: tuple[int, int, int, int]) -> relay.Call:
        both = ((0, 0), (0, 0), widths[:2], widths[2:])
        return self._named(relay.nn.pad(x, both, pad_mode="edge"))

    def conv2d_transpose(
        self, x: relay.Expr, weight: np.ndarray, op: geometry.ConvTranspose2d
    ) -> relay.Call:
        return self._named(
            relay.nn.conv2d_transpose(
                x,
                relay.const(np.ascontiguousarray(weight), str(weight.dtype)),
                strides=op.strides,
                padding=op.padding,
                channels=op.out_channels,
                kernel_size=(op.h.kernel, op.w.kernel),
                groups=op.groups,
                data_layout=self.layout,
                kernel_layout="IOHW",
            )
        )

    def split_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        return self._named(relay.reshape(x, dims))

    def merge_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, h, rh, w, rw = dims
        return self._named(relay.reshape(x, (n, o, h * rh, w * rw)))

    def _named(self, call: relay.Call) -> relay.Call:
        return relay.Call(call.op, call.args, call.attrs, call.type_args, self._span)


class ChannelsLast(Builder):
    """Emits in NHWC what a rule says in NCHW, for patterns that read and give NHWC.

    A rule transposes at the ends of a pattern only; here these transpositions are nothing.
    """

    layout = "NHWC"

    def constant(self, values: np.ndarray) -> relay.Constant:
        """A value per channel (1, O, 1, 1) or per phase (1, O, 1, r_h, 1, r_w), channels last."""
        return super().constant(np.moveaxis(values, 1, -1) if values.ndim > 1 else values)

    def transpose(self, x: relay.Expr, axes: Sequence[int]) -> relay.Expr:
        return x

    def pad_edge(self, x: relay.Expr, widths: tuple[int, int, int, int]) -> relay.Call:
        both = ((0, 0), widths[:2], widths[2:], (0, 0))
        return self._named(relay.nn.pad(x, both, pad_mode="edge"))

    def split_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, *split = dims
        return self._named(relay.reshape(x, (n, *split, o)))

    def merge_phases(self, x: relay.Expr, dims: tuple[Any, ...]) -> relay.Call:
        n, o, h, rh, w, rw = dims
        return self._named(relay.reshape(x, (n, h * rh, w * rw, o)))
