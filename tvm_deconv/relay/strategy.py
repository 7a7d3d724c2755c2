"""Our kernels as implementations of Relay's operators, registered once on import.

``relay.build`` asks the strategy of ``nn.conv2d_transpose`` for implementations. The one registered
here has ours alone, where there is one: CPUs of kind llvm, float32, NCHW or NHWC, sizes that are
known, any groups and dilation. Everything else goes the stock way. ``convolution`` says which
``nn.conv2d`` become ours.

Relay legalizes NHWC to NCHW between two transpositions, which no epilogue is fused across; a layer
of ours stays in NHWC instead.

At ``opt_level=3`` ``AlterOpLayout`` replaces a call with constant weights by one of
``tvm_deconv.conv2d_transpose``, with packed weights; else the kernel packs them each time it runs.

Which variant computes a layer, with which parameters, is decided as ``schedules.choice`` says; what
was measured is found by ``records``, AutoTVM's own contexts included.

``lowering(variant)`` says for a ``with`` statement which variant is wanted, ``stock()`` that all is
left to TVM.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import replace
from typing import Any

import numpy as np
from tvm import relay, topi
from tvm.relay.op import strategy as stock_strategies
from tvm.target import Target, override_native_generic_func

from tvm_deconv.algebra.known_weights import without_zero_taps
from tvm_deconv.schedules.choice import AUTO, Choice, Preferences
from tvm_deconv.schedules.te.layouts import as_nchw, from_nchw, permuted
from tvm_deconv.schedules.te.packing import packed
from tvm_deconv.schedules.te.variants import TE_VARIANTS
from tvm_deconv.schedules.variant import Variant

from . import convolution, templates
from . import packed as packed_op
from .layer import KERNEL_LAYOUT, Layer, choose_for, has_schedules, read
from .records import rows_for
from .templates import trace

OP = "nn.conv2d_transpose"
# Stock implementations have 10, those of libraries 15.
_PLEVEL = 20
# Attributes of operators registered by TVM have 10.
_OVER_TVM = 11

# The variant that is wanted, None where all is left to TVM.
_wanted: ContextVar[str | None] = ContextVar("tvm_deconv_variant", default=AUTO)


@contextmanager
def lowering(variant: str = AUTO) -> Iterator[None]:
    """Within, transposed convolutions are computed by ``variant`` wherever it can.

    ``"auto"`` is the default; with another one ``nn.conv2d`` is left to TVM.

    Raises VariantError for a name that is not known.
    """
    Preferences(variant=variant, variants=TE_VARIANTS)
    token = _wanted.set(variant)
    try:
        yield
    finally:
        _wanted.reset(token)


@contextmanager
def stock() -> Iterator[None]:
    """Within, everything is computed as if this package were not there."""
    token = _wanted.set(None)
    try:
        yield
    finally:
        _wanted.reset(token)


def register() -> None:
    """Register strategies and the packing of weights with Relay, tasks with AutoTVM, once."""
    templates.register()
    packed_op.register()
    relay.op.op.register_strategy(packed_op.NAME, _packed_strategy)
    relay.op.op.register_strategy(OP, _strategy, level=_OVER_TVM)
    relay.op.op.register_legalize(OP, _legalized, level=_OVER_TVM)
    relay.op.op.register_alter_op_layout(OP, _with_packed_weights, level=_OVER_TVM)
    relay.op.op.register_alter_op_layout(convolution.OP, _convolution, level=_OVER_TVM)


def _legalized(attrs: Any, inputs: Any, types: Any) -> Any:
    """Ours in the layout that it has, with IOHW weights; the stock way for all others."""
    data, kernel = inputs
    target, layout = Target.current(allow_none=True), str(attrs.kernel_layout)
    weight = kernel
    if layout != KERNEL_LAYOUT:
        weight = relay.layout_transform(kernel, layout, KERNEL_LAYOUT)
    options = {**dict(attrs), "kernel_layout": KERNEL_LAYOUT}
    call = relay.nn.conv2d_transpose(data, weight, **options)
    iohw = relay.TensorType(permuted(types[1].shape, layout, KERNEL_LAYOUT), types[1].dtype)
    if target and _plan(call.attrs, (types[0], iohw), types[2], target):
        return call
    return topi.nn.conv2d_transpose_legalize(attrs, inputs, types)


def _with_packed_weights(attrs: Any, inputs: Any, tinfos: Any, out_type: Any) -> Any:
    """The call with packed weights, if they are constant; None leaves it as it is."""
    target = Target.current(allow_none=True)
    data, kernel = inputs
    weight = kernel.data.numpy() if isinstance(kernel, relay.Constant) else None
    planned = target and _plan(attrs, tinfos, out_type, target, weight)
    if not planned:
        return topi.nn.conv2d_transpose_alter_layout(attrs, inputs, tinfos, out_type)
    layer, choice = planned
    if weight is None:
        trace(layer)
        return None
    return _packed(data, weight, layer, choice, KERNEL_LAYOUT)


def _convolution(attrs: Any, inputs: Any, tinfos: Any, out_type: Any) -> Any:
    """A stride-1 convolution as one of ours with packed weights, where that is faster."""
    target = Target.current(allow_none=True)
    data, kernel = inputs
    if target and isinstance(kernel, relay.Constant) and _wanted.get() == AUTO:
        values = kernel.data.numpy()
        found = has_schedules(target) and convolution.read(
            attrs, tinfos[0], values, str(out_type.dtype)
        )
        if found and convolution.is_faster(found[0], target):
            layer, weight = found
            choice = choose_for(layer, target, AUTO, rows_for(layer, target))
            tuned = convolution.is_tuned(attrs, tinfos, out_type, target)
            if not isinstance(choice, str) and not tuned:
                return _packed(data, weight, layer, choice, str(attrs.kernel_layout))
    return topi.nn.conv2d_alter_layout(attrs, inputs, tinfos, out_type)


def _packed(data: Any, weight: np.ndarray, layer: Layer, choice: Choice, kernel_layout: str) -> Any:
    """Our operator for a layer with IOHW ``weight``, for one whose own had ``kernel_layout``."""
    trace(layer)
    values = choice.variant.pack_weights(weight, layer.conv, choice.parameters)
    return packed_op.packed_call(data, relay.const(values), layer, choice, kernel_layout)


@override_native_generic_func("tvm_deconv_conv2d_transpose_strategy")
def _strategy(attrs: Any, inputs: Any, out_type: Any, target: Any) -> Any:
    """Our implementation; TVM's where we have none."""
    planned = _plan(attrs, inputs, out_type, target)
    if planned is None:
        return stock_strategies.conv2d_transpose_strategy(attrs, inputs, out_type, target)
    layer, choice = planned

    def compute(attrs: Any, inputs: Any, out_type: Any) -> list[Any]:
        trace(layer)
        x, weight = inputs
        order = choice.variant.packing(layer.conv, choice.parameters)
        return [_computed(choice.variant, choice.parameters, layer, x, packed(order, weight))]

    return _only(compute, choice.variant, choice.parameters, layer)


@override_native_generic_func("tvm_deconv_packed_conv2d_transpose_strategy")
def _packed_strategy(attrs: Any, inputs: Any, out_type: Any, target: Any) -> Any:
    """The implementation that the weights were packed for."""
    layer = packed_op.layer_of(attrs, inputs[0].shape)
    variant, parameters = packed_op.parameters_of(attrs)

    def compute(attrs: Any, inputs: Any, out_type: Any) -> list[Any]:
        return [_computed(variant, parameters, layer, *inputs)]

    return _only(compute, variant, parameters, layer)


def _plan(
    attrs: Any, arguments: Any, out_type: Any, target: Any, weight: np.ndarray | None = None
) -> tuple[Layer, Choice] | None:
    """The layer of a call and how we compute it; None if it is left to TVM.

    ``arguments`` are the tensors that it takes, or their types; ``weight`` is the kernel if known.
    """
    variant = _wanted.get()
    if variant is None or not has_schedules(target):
        return None
    data, kernel = arguments
    layer = read(attrs, data, kernel, str(out_type.dtype))
    if isinstance(layer, str):
        return None
    if weight is not None:
        layer = replace(layer, conv=without_zero_taps(layer.conv, weight))
    choice = choose_for(layer, target, variant, rows_for(layer, target))
    return None if isinstance(choice, str) else (layer, choice)


def _computed(variant: Variant, parameters: Any, layer: Layer, x: Any, packed: Any) -> Any:
    """The kernel's result for ``x``, both of the layer's layout."""
    seen = as_nchw(x, layer.layout)
    return from_nchw(variant.compute(layer.conv, parameters, seen, packed), layer.layout)


def _only(compute: Callable[..., Any], variant: Variant, parameters: Any, layer: Layer) -> Any:
    """The strategy of one implementation."""

    def schedule(attrs: Any, outs: Any, target: Any) -> Any:
        (out,) = outs
        return variant.schedule(out, layer.conv, parameters, layer.shape, layer.layout)

    found = relay.op.OpStrategy()
    name = f"conv2d_transpose_{variant.name}.tvm_deconv"
    found.add_implementation(compute, schedule, name=name, plevel=_PLEVEL)
    return found
