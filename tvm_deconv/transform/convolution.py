"""Reading ``relax.nn.conv2d`` and building the ``relax.nn.conv2d_transpose`` that replaces it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from tvm import relax

from tvm_deconv.algebra import geometry

from . import layouts
from .graph import Graph, Refused, constant, dtype_of, op_name, shape_of

CONV = "relax.nn.conv2d"
# What our kernels compute: TVM's own transposed convolution is slower than what it would replace.
FLOATS = ("float16", "float32")


@dataclass(frozen=True)
class Conv:
    """A stride-1 convolution with constant weights, as OIHW, whatever the layouts were."""

    var: relax.Var
    data: relax.Var
    weight: np.ndarray
    h: geometry.ConvAxis
    w: geometry.ConvAxis
    groups: int
    data_layout: str
    out_layout: str
    dtype: str

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def dilation(self) -> tuple[int, int]:
        return self.h.dilation, self.w.dilation


def read_conv(graph: Graph, var: relax.Var) -> Conv | Refused | None:
    """The convolution that computes ``var``; None if it is none, Refused if not a usable one."""
    call = graph.value(var)
    if op_name(call) != CONV:
        return None
    attrs = call.attrs
    strides = [int(s) for s in attrs.strides]
    if strides != [1, 1]:
        return Refused(f"stride of {graph.describe(var)} is {strides}, not 1")
    if attrs.data_layout not in layouts.LAYOUTS or sorted(attrs.kernel_layout) != sorted("OIHW"):
        return Refused(
            f"{graph.describe(var)} has layouts {attrs.data_layout} and {attrs.kernel_layout}"
        )
    out_layout = str(attrs.out_layout or attrs.data_layout)
    if out_layout not in layouts.LAYOUTS:
        return Refused(f"{graph.describe(var)} has out_layout {out_layout}")
    data, kernel = call.args[0], call.args[1]
    dtype = dtype_of(data)
    if {dtype, dtype_of(kernel), dtype_of(var)} != {dtype} or dtype not in FLOATS:
        return Refused(
            f"{graph.describe(var)} has data {dtype}, weights {dtype_of(kernel)} and output "
            f"{dtype_of(var)}; one of {', '.join(FLOATS)} for all is needed"
        )
    weight = graph.constant(kernel)
    if weight is None:
        return Refused(
            f"weights of {graph.describe(var)} are not constant: {graph.describe(kernel)} "
            "(bind parameters first: relax.transform.BindParams)"
        )
    weight = weight.transpose([attrs.kernel_layout.index(name) for name in "OIHW"])
    if not isinstance(data, relax.Var) or shape_of(data) is None or shape_of(var) is None:
        return Refused(f"the shape of {graph.describe(data)} is not known")
    groups = int(attrs.groups)
    channels = layouts.dims(shape_of(data) or (), attrs.data_layout)[1]
    if channels != weight.shape[1] * groups:
        return Refused(
            f"{graph.describe(data)} has {channels} channels, the weights read "
            f"{weight.shape[1]} in each of {groups} groups"
        )
    top, left, bottom, right = layouts.four_paddings(attrs.padding)
    dh, dw = (int(d) for d in attrs.dilation)
    return Conv(
        var=var,
        data=data,
        weight=weight,
        h=geometry.ConvAxis(weight.shape[2], top, bottom, dh),
        w=geometry.ConvAxis(weight.shape[3], left, right, dw),
        groups=groups,
        data_layout=str(attrs.data_layout),
        out_layout=out_layout,
        dtype=dtype,
    )


def emit_conv_transpose(
    builder: relax.BlockBuilder, x: relax.Expr, weight: np.ndarray, op: geometry.ConvTranspose2d
) -> relax.Var:
    """Emit ``conv2d_transpose(x, weight)``: x is NCHW, the weights IOHW of the same dtype."""
    return builder.emit(
        relax.op.nn.conv2d_transpose(
            x,
            constant(np.ascontiguousarray(weight)),
            strides=op.strides,
            padding=op.padding,
            groups=op.groups,
        )
    )
