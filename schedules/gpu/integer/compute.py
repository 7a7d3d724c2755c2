"""An integer convolution as tensor expressions: words of bytes, sums of int32, and what is stored.

    pad[n, word, i, j]            ``group`` channels of a pixel; the zero point's word at the border
    phases[n, g, o, fh, fw, y, x] sums of products of words, in the loops of float32's variants
    y[n, c, oh, ow]               scaled, bent, rounded half to even, clipped; another map added

The stages are called as those of float32, so that the schedules of ``revd2`` and ``tdc`` take them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from tvm import te, tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.algorithms.names import PAD, PLANES
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.schedules.gpu.domain import domain_of
from tvm_deconv.schedules.gpu.tile import GpuTile, reach

from .dot import X_BITS, Dot

# A float32 whose unit is 1, and its bits: what is added is rounded to an integer, half to even,
# by which the bits are more. It has few digits: TVM writes seven of them into OpenCL source.
_ROUNDS, _ROUNDS_BITS = 1e7, 0x4B189680
_BYTE = (1 << X_BITS) - 1


@dataclass(frozen=True)
class Parameters:
    """The tensors of a kernel beside x and the weights; None for one that it does not have."""

    points: te.Tensor
    offsets: te.Tensor
    scales: te.Tensor
    numbers: te.Tensor
    shifts: te.Tensor | None = None
    slopes: te.Tensor | None = None
    other: te.Tensor | None = None
    values: te.Tensor | None = None


def words_of_input(
    op: ConvTranspose2d, words: ConvTranspose2d, tile: GpuTile, dot: Dot, x: te.Tensor, point: Any
) -> te.Tensor:
    """``pad``: x (NCHW bytes) of the layer ``op`` as words with a border of the word ``point``.

    ``words`` is the layer that has words for channels.
    """
    shape = stages.shape_of(x)
    batch, _, height, width = shape
    domain, (down, right) = domain_of(words, tile, shape), words.step
    (top, _), (left, _) = op.h.halo, op.w.halo
    inputs, depth, group = op.group_inputs, words.group_inputs, dot.group
    # All bytes at once: uint8 less 128 has its highest bit flipped.
    held = min(group, inputs)
    flipped = dot.shift(str(x.dtype)) and sum(128 << (X_BITS * i) for i in range(held))

    def word(n: Any, c: Any, i: Any, j: Any) -> Any:
        first = c * group
        if inputs != depth * group:
            first = c // depth * inputs + c % depth * group
        total = None
        for element in range(held):
            channel = first + element
            if inputs % group and element >= inputs % group:
                # The weights are 0 there: any channel will do.
                channel = tirx.min(channel, op.in_channels - 1)
            value = x[n, channel, i + top, j + left].astype("int32")
            value = value if str(x.dtype) == "uint8" else value & tirx.const(_BYTE, "int32")
            if element:
                value = value << tirx.const(X_BITS * element, "int32")
            total = value if total is None else total | value
        return total ^ tirx.const(_signed(flipped), "int32") if flipped else total

    def value(n: Any, c: Any, i: Any, j: Any) -> Any:
        inside = tirx.all(i >= -top, i < height - top, j >= -left, j < width - left)
        return tirx.if_then_else(inside, word(n, c, i, j), point)

    rows = reach(domain.rows, down) + words.h.uniform_extent
    columns = reach(domain.columns, right) + words.w.uniform_extent
    return te.compute((batch, words.in_channels, rows, columns), value, name=PAD)


def sums(
    words: ConvTranspose2d,
    tile: GpuTile,
    dot: Dot,
    shape: tuple[Any, ...],
    pad: te.Tensor,
    weight: Callable[..., Any],
    in_planes: bool,
) -> te.Tensor:
    """The layer's output in int32, for an input of ``shape``; by way of memory if ``in_planes``."""
    domain = domain_of(words, tile, shape)
    phases = stages.phase_sums(words, domain, pad, weight, dot.term)
    if in_planes:
        phases = te.compute(phases.shape, phases, name=PLANES)
    stride = words.w.stride

    def row_element(n: Any, g: Any, o: Any, fh: Any, y: Any, ow: Any) -> Any:
        return phases[n, g, o, fh, ow % stride, y, ow // stride]

    return stages.stored(words, shape, "int32", domain, tile.block_columns, row_element)


def stored(store: Store, strides: tuple[int, int], total: te.Tensor, given: Parameters) -> Any:
    """What is stored of the sums ``total``: the arithmetic is that of ``cpu.integer.write``."""
    rh, rw = strides

    def value(n: Any, c: Any, oh: Any, ow: Any) -> Any:
        at = c, oh % rh, ow % rw
        made = _value(store, total[n, c, oh, ow], at, given)
        return made if store.sum is None else _summed(store, made, (n, c, oh, ow), given)

    return te.compute(total.shape, value, name="result")


def _value(store: Store, total: Any, at: tuple[Any, Any, Any], given: Parameters) -> Any:
    # Offsets may wrap around, and so may this sum; of unsigned numbers C says how.
    wrapped = total.astype("uint32") + given.offsets[at].astype("uint32")
    value = wrapped.astype("int32").astype("float32") * given.scales[at]
    if given.shifts is not None:
        value = value + given.shifts[at]
    if given.slopes is not None:
        below = value < tirx.const(0, "float32")
        value = tirx.Select(below, value * given.slopes[at], value)
    low, high, scale = (given.numbers[i] for i in range(3))
    value = tirx.min(tirx.max(value, low), high)
    if store.dtype == "float32":
        return value
    if store.is_value:
        return _rounded(value).astype("float32") * scale
    return (_rounded(value) + given.points[1]).astype(store.dtype)


def _summed(store: Store, own: Any, at: tuple[Any, ...], given: Parameters) -> Any:
    """``own`` byte and that of the other map, as what is stored."""
    assert store.sum is not None and given.other is not None and given.values is not None
    numbers = given.values

    def moved(byte: Any, place: int) -> Any:
        exact = byte.astype("int32").astype("float32")
        return (exact - numbers[place]) * numbers[place + 1]

    value = moved(own, 0) + moved(given.other[at], 2)
    value = tirx.min(tirx.max(value, numbers[4]), numbers[5])
    return (_rounded(value) + numbers[6].astype("int32")).astype(store.sum.dtype)


def _rounded(value: Any) -> Any:
    """A float32 of less than 2**22 as an integer, half to even, whatever functions a device has."""
    bits = tirx.reinterpret("int32", value + tirx.const(_ROUNDS, "float32"))
    return bits - tirx.const(_ROUNDS_BITS, "int32")


def _signed(word: int) -> int:
    """A word of 32 bits as the int32 that it is."""
    return word - (1 << 32) if word >> 31 else word
