"""Emitting what a rule replaces a pattern by, as Relax."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.patterns.graph import Convolution, Transposed
from tvm_deconv.schedules.algorithms.borders import border_faces

from . import borders, enlarge
from .graph import constant

_CONV = {2: relax.op.nn.conv2d, 3: relax.op.nn.conv3d}
_TRANSPOSED = {2: relax.op.nn.conv2d_transpose, 3: relax.op.nn.conv3d_transpose}


class Builder:
    """``patterns.graph.BorderBuilder``, of volumes too; operators are bound to variables."""

    def __init__(self, builder: relax.BlockBuilder) -> None:
        self._builder = builder
        self._emit = builder.emit

    def constant(self, values: np.ndarray) -> relax.Expr:
        return constant(values)

    def apply(self, op: str, args: Sequence[relax.Expr], attrs: Any = None) -> relax.Var:
        return self._emit(relax.Call(tvm.ir.Op.get(f"relax.{op}"), list(args), attrs))

    def leaky_relu(self, x: relax.Expr, slope: float) -> relax.Var:
        return self._emit(relax.op.nn.leakyrelu(x, alpha=slope))

    def prelu(self, x: relax.Expr, slope: np.ndarray) -> relax.Var:
        return self._emit(relax.op.nn.prelu(x, constant(slope), axis=1))

    def transpose(self, x: relax.Expr, axes: Sequence[int]) -> relax.Var:
        return self._emit(relax.op.permute_dims(x, list(axes)))

    def pad(self, x: relax.Expr, widths: Sequence[int], mode: str) -> relax.Var:
        return self._emit(relax.op.nn.pad(x, [0, 0, 0, 0, *widths], mode))

    def nearest(self, x: relax.Expr, factor: tuple[int, int]) -> relax.Var:
        sizes = [size * r for size, r in zip(x.ty.shape.values[2:], factor, strict=True)]
        return self._emit(
            relax.op.image.resize2d(
                x,
                relax.ShapeExpr(sizes),
                method="nearest_neighbor",
                coordinate_transformation_mode="asymmetric",
                rounding_method="floor",
            )
        )

    def linear(self, x: relax.Expr, factor: tuple[int, int]) -> relax.Expr:
        return enlarge.emit_linear(self._builder, x, factor)

    def concat(self, parts: Sequence[relax.Expr]) -> relax.Var:
        return self._emit(relax.op.concat(list(parts), axis=1))

    def conv(self, x: relax.Expr, weight: np.ndarray, op: Convolution) -> relax.Var:
        return self._emit(
            _CONV[len(op.axes)](
                x,
                constant(np.ascontiguousarray(weight)),
                padding=[*(a.pad_begin for a in op.axes), *(a.pad_end for a in op.axes)],
                dilation=[axis.dilation for axis in op.axes],
                groups=op.groups,
            )
        )

    def conv_transpose(self, x: relax.Expr, weight: np.ndarray, op: Transposed) -> relax.Var:
        return self._emit(
            _TRANSPOSED[len(op.axes)](
                x,
                constant(np.ascontiguousarray(weight)),
                strides=op.strides,
                padding=op.padding,
                groups=op.groups,
            )
        )

    def split_phases(self, x: relax.Expr, dims: tuple[Any, ...]) -> relax.Var:
        return self._emit(relax.op.reshape(x, dims))

    def merge_phases(self, x: relax.Expr, dims: tuple[Any, ...]) -> relax.Var:
        n, o, *axes = dims
        sizes = [size * r for size, r in zip(axes[::2], axes[1::2], strict=True)]
        return self._emit(relax.op.reshape(x, (n, o, *sizes)))

    def border_faces(
        self,
        x: relax.Expr,
        axis: int,
        ends: tuple[bool, bool],
        factors: Sequence[int],
        copies: Sequence[tuple[int, int]],
        linear: bool,
    ) -> relax.Var:
        form = partial(
            border_faces, axis=axis, ends=ends, factors=factors, copies=copies, linear=linear
        )
        return self._builder.emit_te(form, x, primfunc_name_hint="border_faces")

    def add_border(
        self, y: relax.Expr, faces: dict[int, relax.Expr], counts: borders.Counts
    ) -> relax.Var:
        return borders.emit_border(self._builder, y, faces, counts)
