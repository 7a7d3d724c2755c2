"""Convolutions of a quantized network, from its float32 form back to integers.

    y = quantize(act(conv(dequantize(x), w) + b))  =>  y = call_tir(integer_conv, (x, words, ...))

x is uint8 or int8 with one scale s_x and zero point; the weights are integers times a scale s_w for
each output channel and phase (``algebra.integers`` finds both). Then

    conv(dequantize(x), w) + b = s_x * s_w * (sum of (x - zero point) * q + b / (s_x * s_w))

where the sum is exact in int32, which is proved from the weights or the layer is refused, and the
store multiplies by ``s_x * s_w / s_y``, rounds half to even, adds y's zero point and saturates, in
the order in which ONNX Runtime does it. Where nothing but a residual sum reads y,

    z = quantize(act(dequantize(y) + dequantize(other)))

is a part of the store, too (``residual``), and so is the dequantization of a network's last y. A
bias that is a multiple of ``s_x * s_w``, as quantizers write it, is added to the sum. Sub-pixel
convolutions were rewritten before this, and are lowered as the transposed convolutions that they
have become.

act may be, in this order, one slope below 0 and bounds from both sides; a leaky ReLU, a ReLU and a
clip, say. Where something else follows, or several readers, the result is stored as float32.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from tvm import relax

from tvm_deconv.algebra.byte_forms import forms_of
from tvm_deconv.algebra.integers import integer_weights, weight_dtype
from tvm_deconv.algebra.known_weights import phase_sums
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences
from tvm_deconv.schedules.cpu.integer.variant import dtype_of_layer
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.transform.graph import Graph, dtype_of, known_sizes, op_name, shape_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, scale_of

from .byte_layer import ByteLayer, farthest, stored, units_of
from .epilogue import phase_view
from .following import Channels, follow
from .integer_choice import integer_kernel
from .read import CONV, CONV_TRANSPOSE, Convolution, read


@dataclass(frozen=True, kw_only=True)
class IntegerLayer(ByteLayer):
    """A convolution ``conv`` of ``data``.

    ``result`` may be a view of the map, phases apart; what the kernel writes is the map. ``weight``
    is the dtype that its weights need, ``reason`` says why the kernel has its tile.
    """

    conv: Convolution
    weight: str = "int8"
    reason: str = ""

    @property
    def dtype(self) -> str:
        """Of the layer, for a log."""
        return dtype_of_layer(self.kernel.dtype, self.weight)

    @property
    def sizes(self) -> Sizes:
        """Of the data, as far as they are known."""
        return _sizes(self.data)


@dataclass(frozen=True)
class BytesConvolution:
    """A convolution of dequantized bytes ``data`` by IOHW integers ``weight``, on any device.

    ``units`` are those of a sum: (O, r_h, r_w).
    """

    conv: Convolution
    data: relax.Expr
    zero_point: int
    weight: np.ndarray
    units: np.ndarray

    @property
    def weight_dtype(self) -> str | None:
        """int8 or int16, whatever holds the weights; None for more than that."""
        return weight_dtype(self.weight)


def read_bytes(graph: Graph, var: relax.Var) -> BytesConvolution | Refused | None:
    """The convolution ``var`` in integers; None if its data are no dequantized bytes.

    Refused, with the reason, where its scales are none that integers are multiplied by.
    """
    call = graph.value(var)
    if op_name(call) not in (CONV, CONV_TRANSPOSE):
        return None
    # Asked first, since to read a convolution is to rearrange its weights.
    source = graph.value(call.args[0])
    if op_name(source) != DEQUANTIZE or dtype_of(source.args[0]) not in BYTES:
        return None
    conv = read(graph, var, strided=True)
    if conv is None or isinstance(conv, Refused) or conv.dtype != "float32":
        return None
    known = scale_of(graph, source, dtype_of(source.args[0]))
    if known is None:
        return Refused("its input does not have one positive, constant scale and one zero point")
    found = integer_weights(conv.op, conv.weight)
    if found is None:
        return Refused("its weights are not integers times a scale for each output channel")
    weight, scales = found
    units = units_of(scales, known)
    if isinstance(units, Refused):
        return units
    return BytesConvolution(conv, source.args[0], known.zero_point, weight, units)


def integer_layer(
    graph: Graph, var: relax.Var, machine: Machine, preferences: Preferences
) -> IntegerLayer | Refused | None:
    """The kernel for the convolution ``var``; None if its data are no dequantized bytes.

    Refused, with the reason, if they are and it is computed in float32 nevertheless: the result is
    the same but for ties, of which rounding in float32 moves one in tens of thousands.
    """
    found = read_bytes(graph, var)
    if isinstance(found, BytesConvolution):
        return _layer(graph, found, machine, preferences)
    return found


def _layer(
    graph: Graph, found: BytesConvolution, machine: Machine, preferences: Preferences
) -> IntegerLayer | Refused:
    conv, weight, zero_point = found.conv, found.weight, found.zero_point
    units, data, dtype = found.units, found.data, dtype_of(found.data)
    held_as = found.weight_dtype
    if held_as is None:
        return Refused(f"a weight is {np.abs(weight).max()} times its scale: more than int16 holds")
    op = replace(conv.op, step=conv.step)
    shape = shape_of(conv.var)
    channels = Channels((conv.op.out_channels, *conv.op.strides))
    view = None if shape is None else phase_view(conv, shape)
    largest = phase_sums(op, np.abs(weight)) * farthest(dtype, zero_point)
    kept = stored(graph, conv.var, follow(graph, conv.var, channels, view), units, largest)
    if isinstance(kept, Refused):
        return kept
    layer_dtype = dtype_of_layer(dtype, held_as)
    sizes, forms = _sizes(data), forms_of(op, weight)
    chosen = integer_kernel(op, layer_dtype, kept.store, sizes, machine, preferences, forms)
    if isinstance(chosen, Refused):
        return chosen
    kernel, reason = chosen
    return IntegerLayer(
        var=conv.var,
        data=data,
        result=kept.result,
        kernel=kernel,
        arrays=kept.arrays(kernel, weight, zero_point),
        other=kept.other,
        conv=conv,
        weight=held_as,
        reason=reason,
    )


def _sizes(data: relax.Expr) -> Sizes:
    n, _, h, w = known_sizes(shape_of(data) or [None] * 4)
    return Sizes(n, h, w)
