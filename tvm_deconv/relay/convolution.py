"""Stride-1 ``nn.conv2d``: the transposed convolution of stride 1 with the kernel flipped.

While layouts are altered, those with constant weights become ``tvm_deconv.conv2d_transpose`` where
that was measured to be faster than TVM's kernel (docs/relay-kernels.md), or where LLVM cannot
compile that (``layer.machine_of``). Nothing was measured but on x86. There TVM's ``NCHWc`` is as
fast or faster if all of this holds, and keeps the layer:

    vectors are of 16 floats, data are NCHW, and there is one group
    input and output channels are whole vectors
    its tile, which is as wide as the largest divisor of the row up to 31, has 8 columns or more

It also keeps a layer that AutoTVM has a record of.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from tvm import autotvm, relay
from tvm.target import Target

from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_convolution
from tvm_deconv.algebra.known_weights import without_zero_taps
from tvm_deconv.algebra.weights import weight_shuffle
from tvm_deconv.errors import GeometryError
from tvm_deconv.patterns.layouts import four_paddings
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.te.layouts import NCHW, permuted

from .layer import DTYPE, LAYOUTS, Layer, machine_of, static
from .record_log import identity_of
from .records import silent

OP = "nn.conv2d"
# Of TVM's NCHWc kernel: columns of its widest tile, and of the narrowest one that keeps up.
_WIDEST, _NARROWEST = 31, 8
_WIDE_LANES = 16


def read(
    attrs: Any, data: Any, kernel: np.ndarray, out_dtype: str
) -> tuple[Layer, np.ndarray] | None:
    """A call as a layer and its IOHW weights; None if it cannot be one of ours.

    ``data`` is the type of the input, ``kernel`` the weights in the layout of the call.
    """
    layout, out_layout = str(attrs.data_layout), str(attrs.out_layout or attrs.data_layout)
    kernel_layout = str(attrs.kernel_layout)
    stored = static(data.shape)
    if layout not in LAYOUTS or out_layout != layout or sorted(kernel_layout) != sorted("OIHW"):
        return None
    if {str(data.dtype), str(kernel.dtype), out_dtype} != {DTYPE} or stored is None:
        return None
    if [int(stride) for stride in attrs.strides] != [1, 1]:
        return None
    shape, groups = permuted(stored, layout, NCHW), int(attrs.groups)
    weight = kernel.transpose(permuted(range(4), kernel_layout, "OIHW"))
    channels, group_inputs, kh, kw = weight.shape
    if (group_inputs * groups, channels) != (shape[1], int(attrs.channels or channels)):
        # A depthwise kernel with a multiplier is named otherwise in HWOI.
        return None
    top, left, bottom, right = four_paddings(attrs.padding)
    dh, dw = (int(step) for step in attrs.dilation)
    try:
        h = axis_of_convolution(ConvAxis(kh, top, bottom, dh))
        w = axis_of_convolution(ConvAxis(kw, left, right, dw))
        flipped = weight_shuffle(weight, 1, groups=groups)
        conv = ConvTranspose2d(shape[1], channels, h, w, groups)
    except GeometryError:
        return None
    layer = Layer(without_zero_taps(conv, flipped), shape, layout)
    return (layer, flipped) if min(*layer.shape, *layer.out_shape) > 0 else None


def is_faster(layer: Layer, target: Target) -> bool:
    """Whether our kernel is to be taken in the place of TVM's."""
    machine = machine_of(target)
    if machine.lanes == 1:
        return True
    return identity_of(target).architecture == "x86_64" and not _suits_tvm(layer, machine)


def _suits_tvm(layer: Layer, machine: CpuMachine) -> bool:
    conv, lanes, width = layer.conv, machine.lanes, layer.out_shape[3]
    tile = next(n for n in range(_WIDEST, 0, -1) if width % n == 0)
    whole = conv.in_channels % lanes == 0 and conv.out_channels % lanes == 0
    plain = layer.layout == NCHW and conv.groups == 1
    return lanes == _WIDE_LANES and plain and whole and tile >= _NARROWEST


def is_tuned(attrs: Any, types: Any, out_type: Any, target: Target) -> bool:
    """Whether AutoTVM has a record of TVM's own kernel for a call."""
    context = autotvm.task.DispatchContext.current
    if isinstance(context, autotvm.task.ApplyGraphBest):
        # It counts the layers that ask it.
        return True
    with silent():
        _, outs = relay.backend.te_compiler.select_implementation(
            relay.op.get(OP), attrs, types, out_type, target
        )
        workload = autotvm.task.get_workload(outs)
        return workload is not None and not context.query(target, workload).is_fallback
