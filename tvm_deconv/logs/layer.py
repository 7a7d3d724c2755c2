"""What is tuned: a convolution layer, and a layer with one choice of variant and parameters.

A layer is written as one line of words, for people, for the lines of a log, and to tell layers
apart. What is not there is 1 for a stride, a dilation and groups, and 0 for a padding:

    deconv 9x9 s3 32->1 p3 1x224x224 float32
    deconv 4x3 s2x1 d1x2 8->6 g2 p1,0,2,0 o1x0 zh1,3 zw2 2x12x20 float16

    KHxKW       kernel
    s           stride, d dilation, o output padding: of both axes, or height x width
    step        that of a convolution with strides, likewise: 3x3 step2
    IN->OUT     channels, g groups
    p           padding: of all four sides, or top,left,bottom,right
    zh, zw      taps in height and in width whose weights are all zero
    eh, ew      the taps of all phases have equal sums in height, in width
    v           of a layer over a volume, whose picture is a stack of slices: their taps, first,
                depth, count, height and pitch (``tvm_deconv.algebra.slices``)
    NxHxW       batch and size of the input, then the dtype of input and output, or for products of
                integers those of input and weights: uint8xint8
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import astuple, dataclass, replace
from functools import lru_cache
from typing import Any

from tvm import te, tirx

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.slices import Slices
from tvm_deconv.algebra.volumes import Stack, stack_of
from tvm_deconv.errors import GeometryError, LogError
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant, operands_of
from tvm_deconv.schedules.machines import AnyVariant
from tvm_deconv.schedules.tir.stacks import of_stack, on_volumes
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes

_TEXT = re.compile(
    r"deconv (?P<kernel>\d+x\d+)(?: s(?P<stride>[\dx]+))?(?: d(?P<dilation>[\dx]+))?"
    r"(?: step(?P<step>[\dx]+))? (?P<channels>\d+->\d+)(?: g(?P<groups>\d+))?"
    r"(?: p(?P<padding>[\d,]+))?(?: o(?P<output_padding>[\dx]+))?"
    r"(?: zh(?P<zero_h>[\d,]+))?(?: zw(?P<zero_w>[\d,]+))?(?P<equal_h> eh)?(?P<equal_w> ew)?"
    r"(?: v(?P<slices>[\d,-]+))?"
    r" (?P<sizes>\d+x\d+x\d+) (?P<dtype>\w+)"
)


@dataclass(frozen=True)
class Layer:
    """A transposed convolution for one size of input; ``dtype`` is that of input and output.

    Of a layer of bytes it is ``uint8xint8`` or the like (``schedules.cpu.integer.variant``).
    """

    conv: ConvTranspose2d
    sizes: Sizes
    dtype: str = "float32"

    @property
    def fixed(self) -> tuple[int, int, int]:
        """The sizes, none of which may be free."""
        batch, height, width = self.sizes
        if batch is None or height is None or width is None:
            raise LogError(f"a layer of free size has no shape: {self.sizes}")
        return batch, height, width

    @property
    def is_of_bytes(self) -> bool:
        """Whether bytes are multiplied."""
        return operands_of(self.dtype) is not None

    @property
    def operands(self) -> tuple[str, str]:
        """The dtypes of input and weights."""
        return operands_of(self.dtype) or (self.dtype, self.dtype)

    @property
    def product(self) -> str:
        """What is multiplied: float32, or bytes by ``int8`` or ``int16``."""
        return self.operands[1] if self.is_of_bytes else ACCUMULATE_DTYPE

    @property
    def unit(self) -> str:
        return unit_of(self.product)

    @property
    def stack(self) -> Stack | None:
        """What the picture is of a volume; None where it is none, or one of single slices."""
        return None if self.conv.slices is None else stack_of(self.conv)

    @property
    def shapes(self) -> tuple[tuple[int, ...], tuple[int, ...]]:
        """What a kernel reads and writes: NCHW, of volumes NCDHW."""
        stack, slices = self.stack, self.conv.slices
        if stack is None or slices is None:
            return self.input_shape, self.output_shape
        batch, _, width = self.fixed
        sizes = batch, slices.depth, slices.height, width
        volume = stack.volume
        return (batch, volume.in_channels, *sizes[1:]), volume.output_shape(*sizes)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """NCHW, of the picture."""
        batch, height, width = self.fixed
        return batch, self.conv.in_channels, height, width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        return self.conv.output_shape(*self.fixed)

    @property
    def multiply_adds(self) -> int:
        """As ``ConvTranspose2d.multiply_adds`` counts them."""
        return self.conv.multiply_adds(*self.fixed)

    def __str__(self) -> str:
        """The words above, the same for equal layers and different for others."""
        conv, h, w = self.conv, self.conv.h, self.conv.w
        words = [
            f"deconv {h.kernel}x{w.kernel}",
            _word("s", "x", (h.stride, w.stride), 1),
            _word("d", "x", (h.dilation, w.dilation), 1),
            _word("step", "x", conv.step, 1),
            f"{conv.in_channels}->{conv.out_channels}",
            _word("g", "", (conv.groups,), 1),
            _word("p", ",", conv.padding, 0),
            _word("o", "x", (h.output_padding, w.output_padding), 0),
            *(
                f"{name}{','.join(map(str, sorted(axis.zero_taps)))}"
                for name, axis in (("zh", h), ("zw", w))
                if axis.zero_taps
            ),
            *(name for name, axis in (("eh", h), ("ew", w)) if axis.equal_sums),
            "" if conv.slices is None else _word("v", ",", astuple(conv.slices)),
            "x".join(map(str, self.fixed)),
            self.dtype,
        ]
        return " ".join(filter(None, words))

    @staticmethod
    @lru_cache(maxsize=4096)
    def parse(text: str) -> Layer:
        """The layer that ``str`` makes ``text`` of. Raises LogError for any other text."""
        found = _TEXT.fullmatch(text)
        layer = None
        if found:
            try:
                layer = _layer_of(found)
            except (GeometryError, ValueError) as error:
                raise LogError(f"{text!r} does not describe a layer: {error}") from error
        # One text for a layer: lines of a log are found by it.
        if layer is None or str(layer) != text:
            raise LogError(f"{text[:80]!r} does not describe a layer as tvm_deconv.logs.layer does")
        return layer


def unit_of(product: str) -> str:
    """Of 1e9 operations in a second, two for a multiply-add; ``product`` is that of a layer."""
    return "GFLOP/s" if product == ACCUMULATE_DTYPE else "GOP/s"


def _word(letter: str, between: str, values: Sequence[int], absent: int | None = None) -> str:
    """``s3``, ``s3x2``, and nothing where all values are ``absent``."""
    if set(values) == {absent}:
        return ""
    shown = values[:1] if len(set(values)) == 1 else values
    return letter + between.join(map(str, shown))


def _layer_of(found: re.Match[str]) -> Layer:
    """Raises GeometryError or another ValueError for numbers that make no layer."""

    def numbers(name: str, count: int, absent: int = 1) -> list[int]:
        values = [int(number) for number in re.split("[x,]|->", found[name] or str(absent))]
        values = values * count if len(values) == 1 else values
        if len(values) != count:
            raise ValueError(f"{name.replace('_', ' ')} takes 1 number or {count}")
        return values

    def zeros(name: str) -> frozenset[int]:
        return frozenset(int(tap) for tap in (found[name] or "").split(",") if tap)

    top, left, bottom, right = numbers("padding", 4, 0)
    kernel, stride, dilation = (numbers(name, 2) for name in ("kernel", "stride", "dilation"))
    output = numbers("output_padding", 2, 0)
    axes = zip(
        *(kernel, stride, (top, left), (bottom, right), output, dilation),
        (zeros("zero_h"), zeros("zero_w")),
        (bool(found["equal_h"]), bool(found["equal_w"])),
        strict=True,
    )
    h, w = (Axis(*fields) for fields in axes)
    inputs, outputs = numbers("channels", 2)
    down, right = numbers("step", 2)
    conv = ConvTranspose2d(inputs, outputs, h, w, numbers("groups", 1)[0], (down, right))
    sizes = Sizes(*numbers("sizes", 3))
    if found["slices"]:
        slices = Slices(*numbers("slices", 6))
        conv = replace(conv, slices=slices)
        if stack_of(conv).height(slices.depth, slices.height) != sizes.height:
            raise ValueError(f"a picture of {slices} does not have {sizes.height} rows")
    return Layer(conv, sizes, found["dtype"])


@dataclass(frozen=True)
class Candidate:
    """A layer, the variant that computes it, and the variant's parameters."""

    layer: Layer
    variant: AnyVariant
    parameters: Any

    @property
    def weight_dtype(self) -> str:
        """That of the packed weights."""
        return self.variant.weight_dtype(self.layer.dtype)

    def kernel(self) -> tirx.PrimFunc:
        """The scheduled ``main(x, packed weights, y)``, of ``shapes``; of integers, ``write``'s."""
        layer, variant = self.layer, self.variant
        if isinstance(variant, IntegerVariant):
            func = variant.kernel(layer.conv, self.parameters, layer.dtype, layer.input_shape)
            return func.with_attr("global_symbol", "main")
        x = te.placeholder(layer.input_shape, layer.dtype, "x")
        packed = te.placeholder(
            variant.packed_shape(layer.conv, self.parameters), self.weight_dtype, "packed"
        )
        y = variant.compute(layer.conv, self.parameters, x, packed)
        func = te.create_prim_func([x, packed, y], index_dtype_override="int64")
        func = func.with_attr("tirx.noalias", True).with_attr("global_symbol", "main")
        stack = layer.stack
        if stack is not None:
            func = of_stack(func)
        func = variant.schedule(func, layer.conv, self.parameters)
        return func if stack is None else on_volumes(func, stack, layer.shapes[0], [])
