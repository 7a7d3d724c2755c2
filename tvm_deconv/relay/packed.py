"""``tvm_deconv.conv2d_transpose``: the operator that takes weights packed for one variant.

``AlterOpLayout`` puts it in the place of ``nn.conv2d_transpose`` or ``nn.conv2d`` when weights are
constant, as TVM puts ``nn.contrib_conv2d_NCHWc`` in that of the latter: weights are packed while
the graph is compiled, and nothing is packed at run time. Its attributes are all that the kernel is
made of:

    layout                             of data and result: NCHW or NHWC
    kernel_layout                      that of the operator which was replaced
    in_channels, channels, groups      ints
    h, w                               the fields of ``geometry.Axis``, in order, but the last
    zero_taps_h, zero_taps_w           kernel indices whose weights are all zero
    variant, parameters                name of the variant, and what ``space.point_of`` gives
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import lru_cache
from typing import Any

import tvm
from tvm import relay
from tvm.relay.transform.infer_layout_utils import InferCorrectLayoutOutput

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.schedules import space
from tvm_deconv.schedules.choice import Choice
from tvm_deconv.schedules.te.layouts import NCHW, permuted
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Variant

from . import operators
from .layer import DTYPE, Layer

NAME = "tvm_deconv.conv2d_transpose"


def packed_call(
    data: relay.Expr, weight: relay.Expr, layer: Layer, choice: Choice, kernel_layout: str
) -> relay.Call:
    """The operator on ``data`` of the layer's layout and on ``weight``, packed for ``choice``.

    ``kernel_layout`` is that of the operator in whose place it comes.
    """
    conv = layer.conv
    attrs = tvm.ir.make_node(
        "DictAttrs",
        layout=layer.layout,
        kernel_layout=kernel_layout,
        in_channels=conv.in_channels,
        channels=conv.out_channels,
        groups=conv.groups,
        h=_numbers(conv.h),
        w=_numbers(conv.w),
        zero_taps_h=sorted(conv.h.zero_taps),
        zero_taps_w=sorted(conv.w.zero_taps),
        variant=choice.variant.name,
        parameters=space.point_of(choice.parameters),
    )
    return relay.Call(relay.op.get(NAME), [data, weight], attrs)


def layer_of(attrs: Mapping[str, Any], shape: Any) -> Layer:
    """The layer of a call with these attributes and an input of ``shape``."""
    return _layer_of(attrs, tuple(int(dim) for dim in shape))


# Attributes never change. Types are inferred after every pass, some 30 times for each layer.
@lru_cache(maxsize=256)
def _layer_of(attrs: Mapping[str, Any], shape: tuple[int, ...]) -> Layer:
    h, w = _axis(attrs, "h"), _axis(attrs, "w")
    channels, groups = int(attrs["channels"]), int(attrs["groups"])
    conv = ConvTranspose2d(int(attrs["in_channels"]), channels, h, w, groups)
    layout = str(attrs["layout"])
    return Layer(conv, permuted(shape, layout, NCHW), layout)


def parameters_of(attrs: Mapping[str, Any]) -> tuple[Variant, Any]:
    """The variant of a call with these attributes, and its parameters."""
    variant = TE_VARIANTS[str(attrs["variant"])]
    point = {str(name): int(value) for name, value in attrs["parameters"].items()}
    return variant, space.parameters_of(variant, point)


def _axis(attrs: Mapping[str, Any], name: str) -> Axis:
    kernel, stride, begin, end, output_padding, dilation = (int(n) for n in attrs[name])
    zero_taps = frozenset(int(k) for k in attrs[f"zero_taps_{name}"])
    return Axis(kernel, stride, begin, end, output_padding, dilation, zero_taps)


def _numbers(axis: Axis) -> list[int]:
    return [
        axis.kernel,
        axis.stride,
        axis.pad_begin,
        axis.pad_end,
        axis.output_padding,
        axis.dilation,
    ]


def _output_type(types: list[Any], attrs: Any) -> relay.TensorType:
    layer = layer_of(attrs, types[0].shape)
    return relay.TensorType(permuted(layer.out_shape, NCHW, layer.layout), DTYPE)


def _layouts(attrs: Any, new: Any, old: Any, types: Any) -> Any:
    """Data and result have the layout that they had, whatever would be liked around.

    AlterOpLayout transforms an argument from the layout that the replaced operator took to the one
    named here, so for packed weights, which must stay as they are, it is the same.
    """
    data, weight = (tvm.tir.layout(str(attrs[name])) for name in ("layout", "kernel_layout"))
    return InferCorrectLayoutOutput([data, weight], [data], attrs)


def register() -> None:
    """Make the operator known to Relay, once."""
    operators.register(
        NAME,
        "Transposed convolution with weights packed for a variant",
        {"data": "NCHW or NHWC", "weight": "packed"},
        _output_type,
        relay.op.OpPattern.OUT_ELEMWISE_FUSABLE,
    )
    relay.op.op.register_infer_correct_layout(NAME, _layouts)
