"""Reading the convolution that a transposed convolution is to replace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.algebra import geometry

from . import layouts
from .graph import Graph, Refused, Tensor
from .operators import BYTES, CONV, DEQUANTIZE

# What our kernels compute: TVM's own transposed convolution is slower than what it would replace.
FLOATS = ("float16", "float32")


@dataclass(frozen=True)
class Conv:
    """A convolution with constant weights, as OIHW, whatever the layouts were."""

    var: Tensor
    data: Tensor
    weight: np.ndarray
    h: geometry.ConvAxis
    w: geometry.ConvAxis
    groups: int
    data_layout: str
    out_layout: str
    dtype: str
    strides: tuple[int, int] = (1, 1)

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def axes(self) -> tuple[geometry.ConvAxis, geometry.ConvAxis]:
        return self.h, self.w

    @property
    def dilation(self) -> tuple[int, int]:
        return self.h.dilation, self.w.dilation


def conv_of(graph: Graph, var: Tensor, *, strided: bool = False) -> Conv | Refused:
    """As ``read_conv``, of a ``var`` that is known to be a convolution."""
    conv = read_conv(graph, var, strided=strided)
    return conv or Refused(f"{graph.describe(var)} is not a convolution")


def read_conv(graph: Graph, var: Tensor, *, strided: bool = False) -> Conv | Refused | None:
    """The convolution that computes ``var``; None if it is none, Refused if not a usable one.

    One with strides is usable if ``strided``.
    """
    call = graph.call(var)
    if call is None or call.op != CONV:
        return None
    attrs = call.attrs
    sh, sw = (int(s) for s in attrs.strides)
    if not strided and (sh, sw) != (1, 1):
        return Refused(f"stride of {graph.describe(var)} is {[sh, sw]}, not 1")
    if attrs.data_layout not in layouts.LAYOUTS or sorted(attrs.kernel_layout) != sorted("OIHW"):
        return Refused(
            f"{graph.describe(var)} has layouts {attrs.data_layout} and {attrs.kernel_layout}"
        )
    out_layout = str(attrs.out_layout or attrs.data_layout)
    if out_layout not in layouts.LAYOUTS:
        return Refused(f"{graph.describe(var)} has out_layout {out_layout}")
    data, kernel = call.args[0], call.args[1]
    dtype = graph.dtype(data)
    if {dtype, graph.dtype(kernel), graph.dtype(var)} != {dtype} or dtype not in FLOATS:
        return Refused(
            f"{graph.describe(var)} has data {dtype}, weights {graph.dtype(kernel)} and output "
            f"{graph.dtype(var)}; one of {', '.join(FLOATS)} for all is needed"
        )
    weight = graph.constant(kernel)
    if weight is None:
        return Refused(
            f"weights of {graph.describe(var)} are not constant: {graph.describe(kernel)} "
            f"(bind parameters first: {graph.bind_parameters})"
        )
    if weight.ndim != 4:
        # A tuner's rewritten weights keep the name of their former layout.
        return Refused(f"weights of {graph.describe(var)} have {weight.ndim} axes, not 4")
    weight = weight.transpose([attrs.kernel_layout.index(name) for name in "OIHW"])
    if not graph.is_variable(data) or graph.shape(data) is None or graph.shape(var) is None:
        return Refused(f"the shape of {graph.describe(data)} is not known")
    groups = int(attrs.groups)
    channels = layouts.dims(graph.shape(data) or (), attrs.data_layout)[1]
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
        strides=(sh, sw),
    )


def reads_bytes(graph: Graph, conv: Conv) -> bool:
    """Whether a convolution in integers could compute ``conv``."""
    call = graph.call(conv.var)
    data = graph.call(call.args[0]) if call is not None else None
    return data is not None and data.op == DEQUANTIZE and graph.dtype(data.args[0]) in BYTES
