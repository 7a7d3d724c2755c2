"""Products of matrices of a quantized network, from their float32 form back to integers.

    y = quantize(act(dequantize(x) @ w + b))  =>  y = call_tir(integer_matmul, (x, words, ...))

x (..., M, K) is uint8 or int8 of one scale, w (K, N) is constant: integers times a scale for each
column, or one. All else is as of a convolution (``integers``), with columns for channels: the sums
are exact in int32 or the product stays in float32, the store does what follows. A 1x1 convolution
would compute the same, of x and y transposed. Where w (..., K, N) is computed and dequantized, too,
as in attention, it has one scale, and a kernel that packs it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.algebra.integers import integer_rows, weight_dtype
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.cpu.integer.matmul.kernel import Matmul
from tvm_deconv.schedules.cpu.integer.matmul.pair import MatmulPair
from tvm_deconv.schedules.cpu.integer.matmul.tile import choose_pair_tile, choose_tile
from tvm_deconv.schedules.cpu.machine import CpuMachine
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.size_errors import readable
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, same_shape, shape_of
from tvm_deconv.transform.keep_bytes import BYTES, DEQUANTIZE, Scale, scale_of

from .byte_layer import ByteLayer, farthest, stored, units_of
from .following import Channels, Following, follow

_MATMUL = "relax.matmul"


# Of them no sum of four terms, each of bytes times bytes, is beyond int32.
_MOST_INPUTS = 2**13


@dataclass(frozen=True, kw_only=True)
class ProductLayer(ByteLayer):
    """A product of ``data`` and constant weights."""


@dataclass(frozen=True, kw_only=True)
class PairLayer(ByteLayer):
    """A product of ``data`` and ``right``."""

    right: relax.Expr

    @property
    def inputs(self) -> tuple[relax.Expr, ...]:
        return (self.data, self.right)

    @property
    def dims(self) -> tuple[Any, ...]:
        return (*super().dims, (shape_of(self.right) or (None,))[-1])


def product_layer(
    graph: Graph, var: relax.Var, machine: Machine
) -> ProductLayer | PairLayer | Refused | None:
    """The kernel for the product ``var``; None if its left operand is no dequantized bytes.

    Refused, with the reason, if it is and the product is computed in float32 nevertheless.
    """
    call = graph.value(var)
    if op_name(call) != _MATMUL or dtype_of(var) != "float32":
        return None
    source = graph.value(call.args[0])
    if op_name(source) != DEQUANTIZE or dtype_of(source.args[0]) not in BYTES:
        return None
    if not isinstance(machine, CpuMachine):
        return Refused("products of matrices of bytes have kernels for processors only")
    data = source.args[0]
    shape, dtype = shape_of(data), dtype_of(data)
    if shape is None or len(shape) < 2 or len(shape_of(var) or ()) != len(shape):
        return Refused("its left operand is no matrix")
    known = scale_of(graph, source, dtype)
    if known is None:
        return Refused("its left operand does not have one positive, constant scale and zero point")
    if graph.op(call.args[1]) == DEQUANTIZE and graph.constant(call.args[1]) is None:
        return _pair(graph, var, known, machine)
    constant = graph.constant(call.args[1])
    if constant is None or constant.ndim < 2 or constant.size != np.prod(constant.shape[-2:]):
        return Refused("its right operand is not one constant matrix")
    found = integer_rows(np.ascontiguousarray(constant.reshape(constant.shape[-2:]).T))
    if found is None:
        return Refused("its weights are not integers times a scale for each column")
    weight, scales = found[0].T, found[1].reshape(-1, 1, 1)
    held_as = weight_dtype(weight)
    if held_as is None or not weight.size:
        return Refused(f"{weight.size} weights are not of int8 or int16")
    units = units_of(scales, known)
    if isinstance(units, Refused):
        return units
    inputs, outputs = weight.shape
    reach = farthest(dtype, known.zero_point)
    largest = np.abs(weight).sum(0).reshape(-1, 1, 1) * reach
    after = follow(graph, var, Channels((outputs, 1, 1), are_last=True))
    kept = stored(graph, var, after, units, largest)
    if isinstance(kept, Refused):
        return kept
    dot = machine.narrow if held_as == "int8" else machine.wide
    tile = choose_tile(_product(shape[:-1]), inputs, outputs, dot, machine)
    kernel = Matmul(inputs, outputs, dtype, dot, tile, kept.store)
    return ProductLayer(
        var=var,
        data=data,
        result=kept.result,
        kernel=kernel,
        arrays=kept.arrays(kernel, weight, known.zero_point),
        other=kept.other,
    )


def _pair(graph: Graph, var: relax.Var, scale: Scale, machine: CpuMachine) -> PairLayer | Refused:
    """The product ``var`` of two matrices of bytes, of which the left one has ``scale``."""
    call = graph.value(var)
    source = graph.value(call.args[1])
    left, right = graph.value(call.args[0]).args[0], source.args[0]
    shape, other = shape_of(left) or (), shape_of(right)
    known = scale_of(graph, source, dtype_of(right))
    if known is None:
        return Refused(
            "its right operand does not have one positive, constant scale and zero point"
        )
    if other is None or not same_shape(shape[:-2], other[:-2]):
        return Refused("its operands are not as many matrices each")
    inputs, columns = shape[-1], other[-1]
    if not isinstance(inputs, int) or not 0 < inputs < _MOST_INPUTS:
        return Refused(f"sums of {readable(inputs)} products are not proved to fit into int32")
    units = units_of(np.full((1, 1, 1), known.scale, "float32"), scale)
    if isinstance(units, Refused):
        return units
    channels = Channels((1, 1, 1), are_last=True)
    after = follow(graph, var, channels)
    if after.shift.any():
        after = Following(var, channels, channels.zeros)
    reach = farthest(scale.dtype, scale.zero_point) * farthest(known.dtype, known.zero_point)
    kept = stored(graph, var, after, units, np.full((1, 1, 1), inputs * reach))
    if isinstance(kept, Refused):
        return kept
    batch, rows, wide = _product(shape[:-2]), _product(shape[-2:-1]), _product([columns])
    dot = machine.narrow
    tile = choose_pair_tile(batch, rows, inputs, wide, dot, machine)
    kernel = MatmulPair(inputs, (scale.dtype, known.dtype), dot, tile, kept.store)
    points = kernel.points((scale.zero_point, known.zero_point), after.zero_point)
    return PairLayer(
        var=var,
        data=left,
        result=kept.result,
        kernel=kernel,
        arrays=(points, *kept.of_store(np.ravel)),
        other=kept.other,
        right=right,
    )


def _product(sizes: Sequence[Any]) -> int | None:
    """Of all sizes; None where one is free."""
    known = [size for size in sizes if isinstance(size, int)]
    return prod(known) if len(known) == len(sizes) else None
