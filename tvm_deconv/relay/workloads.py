"""A layer as AutoTVM's logs have it: the name of a task and its arguments.

    name        conv2d_transpose_<variant>.tvm_deconv
    arguments   ("TENSOR", NCHW shape, dtype) of the input, the same of IOHW weights, strides,
                padding (top, left, bottom, right), output padding, dilation, groups, and for each
                axis the kernel indices whose weights are all zero

Those that are zero are known where weights are constant. AutoTVM's own extraction of tasks never
sees them; ``tvm_deconv.relay.tune`` does.
"""

from __future__ import annotations

from typing import Any

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Variant

from .layer import DTYPE, Layer

_PREFIX, _SUFFIX = "conv2d_transpose_", ".tvm_deconv"

TASK_NAMES = {f"{_PREFIX}{name}{_SUFFIX}": variant for name, variant in TE_VARIANTS.items()}


def task_name(variant: Variant) -> str:
    """Name of the tasks of a variant."""
    return f"{_PREFIX}{variant.name}{_SUFFIX}"


def arguments_of(layer: Layer) -> tuple[Any, ...]:
    """The arguments that say everything about a layer."""
    conv = layer.conv
    h, w = conv.h, conv.w
    weight = conv.in_channels, conv.group_outputs, h.kernel, w.kernel
    return (
        ("TENSOR", layer.shape, DTYPE),
        ("TENSOR", weight, DTYPE),
        (h.stride, w.stride),
        (h.pad_begin, w.pad_begin, h.pad_end, w.pad_end),
        (h.output_padding, w.output_padding),
        (h.dilation, w.dilation),
        conv.groups,
        (tuple(sorted(h.zero_taps)), tuple(sorted(w.zero_taps))),
    )


def layer_of(shape: Any, weight: Any, *attributes: Any) -> Layer:
    """The layer of such arguments; both shapes without what stands around them in a log."""
    strides, padding, output_padding, dilation, groups, zero_taps = attributes
    (sh, sw), (top, left, bottom, right) = strides, padding
    zero_h, zero_w = zero_taps
    (oph, opw), (dh, dw) = output_padding, dilation
    inputs, outputs, kh, kw = weight
    h = Axis(kh, sh, top, bottom, oph, dh, frozenset(zero_h))
    w = Axis(kw, sw, left, right, opw, dw, frozenset(zero_w))
    batch, _, height, width = shape
    conv = ConvTranspose2d(inputs, outputs * groups, h, w, groups)
    return Layer(conv, (batch, inputs, height, width))
