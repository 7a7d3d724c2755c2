"""Reading convolutions over volumes as layers over stacks of slices (``algebra.volumes``)."""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.algebra.geometry import Axis, ConvAxis, axis_of_convolution
from tvm_deconv.algebra.known_weights import with_known_weights
from tvm_deconv.algebra.volumes import ConvTranspose3d
from tvm_deconv.algebra.weights import weight_shuffle_by
from tvm_deconv.errors import GeometryError
from tvm_deconv.patterns.convolution import FLOATS
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.patterns.layouts import begins_and_ends
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, shape_of

from .read import Convolution

CONV_3D, CONV_3D_TRANSPOSE = "relax.nn.conv3d", "relax.nn.conv3d_transpose"
_LAYOUT = "NCDHW"


def read_volume(graph: Graph, var: relax.Var) -> tuple[Convolution, ...] | Refused | None:
    """The layers that compute ``var``, one for each phase of the depth that it has.

    None if it is no convolution over volumes, Refused if it is left to TVM.
    """
    call = graph.value(var)
    op = op_name(call)
    if op not in (CONV_3D, CONV_3D_TRANSPOSE):
        return None
    name, attrs, (data, kernel) = graph.describe(var), call.attrs, call.args
    layouts = {str(attrs.data_layout), str(attrs.out_layout or _LAYOUT)}
    letters = "IODHW" if op == CONV_3D_TRANSPOSE else "OIDHW"
    if layouts != {_LAYOUT} or sorted(attrs.kernel_layout) != sorted(letters):
        return Refused(
            f"{name} has layouts {attrs.data_layout} and {attrs.kernel_layout}, "
            f"not {_LAYOUT} and {letters}"
        )
    dtypes = (dtype_of(data), dtype_of(kernel), dtype_of(var))
    if len(set(dtypes)) > 1 or dtypes[0] not in FLOATS:
        return Refused(
            f"{name} has data {dtypes[0]}, weights {dtypes[1]} and output {dtypes[2]}; one of "
            f"{', '.join(FLOATS)} for all is needed"
        )
    weight, shape = graph.constant(kernel), shape_of(data)
    if weight is None or shape is None or shape_of(var) is None:
        return Refused(f"{name} has weights that are not constant or data of unknown shape")
    weight = weight.transpose([attrs.kernel_layout.index(letter) for letter in letters])
    try:
        if op == CONV_3D_TRANSPOSE:
            volume = _transposed(weight, attrs)
        elif any(int(stride) != 1 for stride in attrs.strides):
            return Refused(f"stride of {name} is {[int(s) for s in attrs.strides]}, not 1")
        else:
            volume, weight = _plain(weight, attrs)
    except GeometryError as error:
        return Refused(f"{name}: {error}")
    found = []
    for stack in volume.stacks():
        slices = stack.slices(shape[2])
        if isinstance(slices, int) and slices < 1:
            continue
        weights = stack.weights(weight)
        op_2d = with_known_weights(stack.conv_of(*shape[2:4]), weights)
        found.append(Convolution(var, data, weights, op_2d, dtypes[0], stack))
    return tuple(found)


def _transposed(weight: np.ndarray, attrs: Any) -> ConvTranspose3d:
    begin, end = begins_and_ends(attrs.padding, 3)
    groups = int(attrs.groups)
    d, h, w = (
        Axis(weight.shape[2 + i], int(stride), begin[i], end[i], int(extra), int(dilation))
        for i, (stride, extra, dilation) in enumerate(
            zip(attrs.strides, attrs.output_padding, attrs.dilation, strict=True)
        )
    )
    return ConvTranspose3d(weight.shape[0], weight.shape[1] * groups, d, h, w, groups)


def _plain(weight: np.ndarray, attrs: Any) -> tuple[ConvTranspose3d, np.ndarray]:
    """The transposed convolution of stride 1, and its weights: flipped."""
    begin, end = begins_and_ends(attrs.padding, 3)
    dilation, groups = [int(n) for n in attrs.dilation], int(attrs.groups)
    d, h, w = (
        axis_of_convolution(ConvAxis(weight.shape[2 + i], begin[i], end[i], dilation[i]))
        for i in range(3)
    )
    inputs, outputs = weight.shape[1] * groups, weight.shape[0]
    each = np.arange(outputs).reshape(-1, 1, 1, 1)
    flipped = weight_shuffle_by(weight, each, groups)
    return ConvTranspose3d(inputs, outputs, d, h, w, groups), flipped
