"""What is counted: an upsampling operator with its sizes, its dtype and where it comes from."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Literal, TypeAlias, get_args

from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.errors import GeometryError

if TYPE_CHECKING:
    from tvm_deconv.workloads.spec import LayerSpec

Origin = Literal["subpixel", "nearest", "deconv", "conv"]
"""What a transposed convolution was in the network, in the words of ``LayerSpec.kind``.

The paper calls those of ``"subpixel"`` D-SP and those of ``"nearest"`` D-NN; ``"deconv"`` was one
from the start and ``"conv"`` is a plain convolution, whose stride is 1.
"""

Pair: TypeAlias = "int | tuple[int, int]"
"""(height, width), or one number for both."""


def bytes_of(dtype: str) -> int:
    """Bytes of an element. Raises GeometryError for a name that is not one of whole bytes."""
    bits = re.fullmatch(r"[a-z]+(\d+)", dtype)
    if bits is None or int(bits[1]) == 0 or int(bits[1]) % 8:
        raise GeometryError(f"a dtype such as float32, bfloat16 or int8 is needed, got {dtype!r}")
    return int(bits[1]) // 8


@dataclass(frozen=True)
class Operator:
    """A transposed convolution over an NCHW input, and the operator that it replaces.

    ``height`` and ``width`` are those of the low-resolution input of ``conv``. ``weight_dtype`` is
    ``dtype`` unless given. ``axes`` (height, width) is the stride-1 convolution of the operator
    that is replaced; without it, it is derived from ``conv``, for which a nearest resize with a
    dilation up to the factor counts as a dense kernel of the same extent.

    Raises GeometryError for sizes without an output, for a dtype that is not in whole bytes, and
    for a ``conv`` that does not come from the operator that ``origin`` names.
    """

    conv: ConvTranspose2d
    origin: Origin
    height: int
    width: int
    batch: int = 1
    dtype: str = "float32"
    weight_dtype: str | None = None
    axes: tuple[ConvAxis, ConvAxis] | None = None

    def __post_init__(self) -> None:
        if self.origin not in get_args(Origin):
            known = ", ".join(get_args(Origin))
            raise GeometryError(f"origin must be one of {known}, got {self.origin!r}")
        for name in ("batch", "height", "width"):
            if getattr(self, name) < 1:
                raise GeometryError(f"{name} must be at least 1, got {getattr(self, name)}")
        if min(self.output_shape) < 1:
            raise GeometryError(
                f"an input of {self.height}x{self.width} gives an empty output {self.output_shape}"
            )
        if self.origin == "conv" and self.conv.strides != (1, 1):
            raise GeometryError(f"a plain convolution has stride 1, got {self.conv.strides}")
        _ = self.word_bytes, self.weight_word_bytes, self.original

    @classmethod
    def of(cls, spec: LayerSpec, batch: int = 1, dtype: str = "float32") -> Operator:
        """The operator of a layer of the workloads.

        Raises GeometryError for a convolution with a stride: see ``counts.convolution_counts``.
        """
        _, _, height, width = spec.geometry_shape
        return cls(spec.geometry(), spec.kind, height, width, batch, dtype)

    @property
    def input_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        return self.batch, self.conv.in_channels, self.height, self.width

    @property
    def output_shape(self) -> tuple[int, int, int, int]:
        """NCHW."""
        return self.conv.output_shape(self.batch, self.height, self.width)

    @property
    def word_bytes(self) -> int:
        """Bytes of an element of the input and of the output."""
        return bytes_of(self.dtype)

    @property
    def weight_word_bytes(self) -> int:
        return bytes_of(self.weight_dtype or self.dtype)

    @cached_property
    def original(self) -> tuple[ConvAxis, ConvAxis] | None:
        """Height and width of the convolution that is replaced; None for ``"deconv"``."""
        if self.origin == "deconv" or self.axes is not None:
            return self.axes
        return self._original(self.conv.h), self._original(self.conv.w)

    def _original(self, axis: Axis) -> ConvAxis:
        nearest, factor = self.origin == "nearest", axis.stride
        extent = axis.kernel - factor + 1 if nearest else axis.kernel // factor
        unit = 1 if nearest else factor
        taps = (axis.kernel - len(axis.zero_taps)) // factor if axis.zero_taps else extent
        spacing = (extent - 1) // (taps - 1) if taps > 1 else 1
        begin, end = (extent - 1 - pad // unit for pad in (axis.pad_begin, axis.pad_end))
        found = ConvAxis(taps, begin, end, spacing)
        make = axis_of_resize if nearest else axis_of_subpixel
        if extent < 1 or make(found, factor) != axis:
            raise GeometryError(f"{axis} does not come from the origin {self.origin!r}")
        return found


def upsampling(
    origin: Literal["subpixel", "nearest"],
    in_channels: int,
    out_channels: int,
    kernel: Pair,
    factor: Pair,
    size: Pair,
    *,
    padding: Pair | None = None,
    groups: int = 1,
    batch: int = 1,
    dtype: str = "float32",
    weight_dtype: str | None = None,
) -> Operator:
    """A convolution before a pixel shuffle, or behind a nearest resize, by ``factor``.

    ``size`` is that of the low-resolution input, ``out_channels`` are those of the high-resolution
    output. Without ``padding`` the convolution keeps the size of its input, with one sample more
    at the end for an even kernel. Raises GeometryError like ``Operator``.
    """
    make = axis_of_subpixel if origin == "subpixel" else axis_of_resize
    axes = tuple(
        _conv_axis(k, None if padding is None else _pair(padding)[i])
        for i, k in enumerate(_pair(kernel))
    )
    h, w = (make(axis, r) for axis, r in zip(axes, _pair(factor), strict=True))
    conv = ConvTranspose2d(in_channels, out_channels, h, w, groups)
    return Operator(conv, origin, *_pair(size), batch, dtype, weight_dtype)


def _conv_axis(kernel: int, padding: int | None) -> ConvAxis:
    if padding is None:
        return ConvAxis(kernel, (kernel - 1) // 2, kernel // 2)
    return ConvAxis(kernel, padding, padding)


def _pair(value: Pair) -> tuple[int, int]:
    return value if isinstance(value, tuple) else (value, value)
