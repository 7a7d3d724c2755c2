"""Reading the convolution that a transposed convolution is to replace."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.algebra import geometry

from . import layouts
from .graph import Graph, Refused, Tensor
from .operators import BYTES, CONV, CONV_3D, CONVOLUTIONS, DEQUANTIZE

# What our kernels compute: TVM's own transposed convolution is slower than what it would replace.
FLOATS = ("float16", "float32")


@dataclass(frozen=True)
class Conv:
    """A convolution with constant weights, as OIHW or OIDHW, whatever the layouts were."""

    var: Tensor
    data: Tensor
    weight: np.ndarray
    axes: tuple[geometry.ConvAxis, ...]
    groups: int
    data_layout: str
    out_layout: str
    dtype: str
    strides: tuple[int, ...]

    @property
    def in_channels(self) -> int:
        return self.weight.shape[1] * self.groups

    @property
    def dilation(self) -> tuple[int, ...]:
        return tuple(axis.dilation for axis in self.axes)


def conv_of(graph: Graph, var: Tensor, *, strided: bool = False) -> Conv | Refused:
    """As ``read_conv``, of a ``var`` that is known to be a convolution."""
    conv = read_conv(graph, var, strided=strided)
    return conv or Refused(f"{graph.describe(var)} is not a convolution")


def read_conv(graph: Graph, var: Tensor, *, strided: bool = False) -> Conv | Refused | None:
    """The convolution that computes ``var``; None if it is none, Refused if not a usable one.

    One with strides is usable if ``strided``.
    """
    call = graph.call(var)
    if call is None or call.op not in CONVOLUTIONS:
        return None
    attrs, is_volume = call.attrs, call.op == CONV_3D
    usable, letters = ((layouts.VOLUME,), "OIDHW") if is_volume else (layouts.LAYOUTS, "OIHW")
    strides = tuple(int(s) for s in attrs.strides)
    if not strided and max(strides) > 1:
        return Refused(f"stride of {graph.describe(var)} is {[*strides]}, not 1")
    if attrs.data_layout not in usable or sorted(attrs.kernel_layout) != sorted(letters):
        return Refused(
            f"{graph.describe(var)} has layouts {attrs.data_layout} and {attrs.kernel_layout}"
        )
    out_layout = str(attrs.out_layout or attrs.data_layout)
    if out_layout not in usable:
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
    if weight.ndim != len(letters):
        # A tuner's rewritten weights keep the name of their former layout.
        return Refused(
            f"weights of {graph.describe(var)} have {weight.ndim} axes, not {len(letters)}"
        )
    weight = weight.transpose([attrs.kernel_layout.index(name) for name in letters])
    if not graph.is_variable(data) or graph.shape(data) is None or graph.shape(var) is None:
        return Refused(f"the shape of {graph.describe(data)} is not known")
    groups = int(attrs.groups)
    channels = layouts.dims(graph.shape(data) or (), attrs.data_layout)[1]
    if channels != weight.shape[1] * groups:
        return Refused(
            f"{graph.describe(data)} has {channels} channels, the weights read "
            f"{weight.shape[1]} in each of {groups} groups"
        )
    begins, ends = layouts.begins_and_ends(attrs.padding, len(letters) - 2)
    dilation = [int(d) for d in attrs.dilation]
    axes = zip(weight.shape[2:], begins, ends, dilation, strict=True)
    return Conv(
        var=var,
        data=data,
        weight=weight,
        axes=tuple(geometry.ConvAxis(*axis) for axis in axes),
        groups=groups,
        data_layout=str(attrs.data_layout),
        out_layout=out_layout,
        dtype=dtype,
        strides=strides,
    )


def reads_bytes(graph: Graph, conv: Conv) -> bool:
    """Whether a convolution in integers could compute ``conv``: one over pictures."""
    call = graph.call(conv.var)
    if call is None or call.op != CONV:
        return False
    data = graph.call(call.args[0])
    return data is not None and data.op == DEQUANTIZE and graph.dtype(data.args[0]) in BYTES
