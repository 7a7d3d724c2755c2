"""Reading the convolutions that our kernels compute, as transposed convolutions.

A stride-1 ``conv2d`` is the transposed convolution of stride 1 with a flipped kernel, which is
what ``weight_shuffle`` by a factor of 1 makes of it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d, axis_of_convolution
from tvm_deconv.algebra.known_weights import with_known_weights
from tvm_deconv.algebra.volumes import Stack
from tvm_deconv.algebra.weights import weight_shuffle
from tvm_deconv.errors import GeometryError
from tvm_deconv.patterns.convolution import FLOATS, conv_of
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.patterns.layouts import four_paddings
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, shape_of

CONV, CONV_TRANSPOSE = "relax.nn.conv2d", "relax.nn.conv2d_transpose"
LAYOUT = "NCHW"


@dataclass(frozen=True)
class Convolution:
    """``var`` = transposed convolution of ``data`` (NCHW) with ``weight`` (IOHW).

    With a ``stack`` the data are volumes (NCDHW), and the layer is that over their stacks: it
    computes the slices of one phase of the depth. ``step`` are the strides of a convolution, which
    has every ``step``-th output of ``op``.
    """

    var: relax.Var
    data: relax.Expr
    weight: np.ndarray
    op: ConvTranspose2d
    dtype: str
    stack: Stack | None = None
    step: tuple[int, int] = (1, 1)

    @property
    def picture(self) -> tuple[Any, Any, Any, Any]:
        """(batch, channels, height, width) of what ``op`` is computed over."""
        shape = shape_of(self.data)
        assert shape is not None
        if self.stack is None:
            n, c, h, w = shape
            return n, c, h, w
        n, _, depth, height, w = shape
        return n, self.op.in_channels, self.stack.height(depth, height), w


def read(graph: Graph, var: relax.Var, *, strided: bool = False) -> Convolution | Refused | None:
    """The convolution that computes ``var``; None if it is none, Refused if left to TVM.

    Convolutions with strides are read if ``strided``, for kernels that have a ``step``.
    """
    name = op_name(graph.value(var))
    if name == CONV:
        found = _read_conv(graph, var, strided)
    elif name == CONV_TRANSPOSE:
        found = _read_conv_transpose(graph, var)
    else:
        return None
    if isinstance(found, Refused):
        return found
    if found.dtype not in FLOATS:
        return Refused(f"{graph.describe(var)} has dtype {found.dtype}, not {' or '.join(FLOATS)}")
    return replace(found, op=with_known_weights(found.op, found.weight))


def _read_conv(graph: Graph, var: relax.Var, strided: bool) -> Convolution | Refused:
    conv = conv_of(graph, var, strided=strided)
    if isinstance(conv, Refused):
        return conv
    if (conv.data_layout, conv.out_layout) != (LAYOUT, LAYOUT):
        return Refused(f"{graph.describe(var)} has layout {conv.data_layout}, not {LAYOUT}")
    try:
        h, w = map(axis_of_convolution, conv.axes)
    except GeometryError as error:
        return Refused(f"{graph.describe(var)}: {error}")
    op = ConvTranspose2d(conv.in_channels, conv.weight.shape[0], h, w, conv.groups)
    weight = weight_shuffle(conv.weight, 1, groups=conv.groups)
    down, right = conv.strides
    return Convolution(var, conv.data, weight, op, conv.dtype, step=(down, right))


def _read_conv_transpose(graph: Graph, var: relax.Var) -> Convolution | Refused:
    call = graph.value(var)
    assert isinstance(call, relax.Call)
    attrs, (data, kernel) = call.attrs, call.args
    name = graph.describe(var)
    if attrs.data_layout != LAYOUT or str(attrs.out_layout or LAYOUT) != LAYOUT:
        return Refused(f"{name} has layouts {attrs.data_layout} and {attrs.out_layout}")
    if sorted(attrs.kernel_layout) != sorted("IOHW"):
        return Refused(f"{name} has kernel layout {attrs.kernel_layout}")
    dtype = dtype_of(data)
    if {dtype_of(kernel), dtype_of(var)} != {dtype}:
        return Refused(f"{name} has data {dtype}, weights {dtype_of(kernel)}, out {dtype_of(var)}")
    weight = graph.constant(kernel)
    if weight is None or shape_of(data) is None:
        return Refused(f"{name} has weights that are not constant or data of unknown shape")
    weight = weight.transpose([attrs.kernel_layout.index(axis) for axis in "IOHW"])
    top, left, bottom, right = four_paddings(attrs.padding)
    (sh, sw), (dh, dw) = attrs.strides, attrs.dilation
    oph, opw = attrs.output_padding
    _, _, kh, kw = weight.shape
    groups = int(attrs.groups)
    try:
        h = Axis(kh, int(sh), top, bottom, int(oph), int(dh))
        w = Axis(kw, int(sw), left, right, int(opw), int(dw))
        op = ConvTranspose2d(weight.shape[0], weight.shape[1] * groups, h, w, groups)
    except GeometryError as error:
        return Refused(f"{name}: {error}")
    return Convolution(var, data, weight, op, dtype)
