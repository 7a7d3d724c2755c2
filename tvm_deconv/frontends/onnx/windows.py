"""Sliding windows of Conv, ConvTranspose and the pools: their attributes, read and checked once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm import sym, tirx

from .formulas import sizes_analyzer
from .nodes import refuse

AUTO_PADS = ("NOTSET", "SAME_UPPER", "SAME_LOWER", "VALID")


@dataclass(frozen=True)
class Window:
    """One number for each spatial axis; ``begin`` and ``end`` are what ``pads`` gives."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    dilations: tuple[int, ...]
    begin: tuple[int, ...]
    end: tuple[int, ...]
    auto_pad: str

    @property
    def extents(self) -> list[int]:
        """How many samples a window spans."""
        pairs = zip(self.kernel, self.dilations, strict=True)
        return [(kernel - 1) * dilation + 1 for kernel, dilation in pairs]

    @property
    def is_same(self) -> bool:
        """Whether the padding follows from the size of the input."""
        return self.auto_pad.startswith("SAME")

    def split(self, totals: Sequence[Any]) -> tuple[list[Any], list[Any]]:
        """Begin and end of paddings of ``totals`` samples: the odd one is at the end, but at the
        beginning with SAME_LOWER. Negative ones crop: halves are rounded towards zero, as in C."""
        more = 1 if self.auto_pad == "SAME_LOWER" else 0
        begin = [_half(total + more) for total in totals]
        return begin, [total - half for total, half in zip(totals, begin, strict=True)]

    def same_padding(
        self, sizes: Sequence[Any], crops: bool = False
    ) -> tuple[list[Any], list[Any]]:
        """Begin and end for ceil(size / stride) windows; expressions for free sizes.

        Where a stride over the window leaves samples over, the standard's formula is negative: with
        ``crops`` that is what it says, else 0.
        """
        totals = []
        for size, stride, extent in zip(sizes, self.strides, self.extents, strict=True):
            if stride == 1:
                totals.append(extent - 1)
                continue
            count = floordiv(size + stride - 1, stride)
            total = (count - 1) * stride + extent - size
            totals.append(total if crops and extent < stride else not_negative(total))
        return self.split(totals)


def read_window(
    attributes: Mapping[str, Any], axes: int, weights: Sequence[Any] | None = None
) -> Window:
    """The window of a node over ``axes`` spatial axes.

    ``weights`` are the spatial sizes of the kernel's tensor, where there is one.

    Raises ModelError for attributes that the standard or ONNX Runtime refuses.
    """
    kernel = attributes.get("kernel_shape")
    if weights is not None and all(isinstance(size, int) for size in weights):
        found = [int(size) for size in weights]
        if kernel is not None and list(kernel) != found:
            refuse(f"kernel_shape is {list(kernel)}, but its weights are {found}")
        kernel = found
    if kernel is None:
        refuse("kernel_shape is missing: give the size of the window")
    auto_pad = attributes.get("auto_pad", "NOTSET")
    if auto_pad not in AUTO_PADS:
        refuse(f"auto_pad is {auto_pad!r}: give one of {', '.join(AUTO_PADS)}")
    if auto_pad != "NOTSET" and "pads" in attributes:
        refuse(f"has pads and auto_pad {auto_pad}: give one of them")
    pads = _numbers("pads", attributes.get("pads", [0] * 2 * axes), 2 * axes, 0)
    return Window(
        _numbers("kernel_shape", kernel, axes, 1),
        _numbers("strides", attributes.get("strides", [1] * axes), axes, 1),
        _numbers("dilations", attributes.get("dilations", [1] * axes), axes, 1),
        pads[:axes],
        pads[axes:],
        auto_pad,
    )


def output_padding(attributes: Mapping[str, Any], window: Window) -> tuple[int, ...]:
    """``output_padding`` of ConvTranspose.

    Raises ModelError for one that ONNX Runtime refuses.
    """
    axes = len(window.kernel)
    extra = _numbers("output_padding", attributes.get("output_padding", [0] * axes), axes, 0)
    for axis, number in enumerate(extra):
        limit = max(window.strides[axis], window.dilations[axis])
        if number >= limit:
            refuse(f"output_padding {list(extra)} must be less than the stride, {limit}")
    return extra


def _numbers(name: str, values: Sequence[int], count: int, least: int) -> tuple[int, ...]:
    if len(values) != count:
        refuse(f"{name} has {len(values)} numbers, {count} are needed")
    if any(value < least for value in values):
        refuse(f"{name} is {list(values)}: each must be at least {least}")
    return tuple(int(value) for value in values)


def floordiv(value: Any, by: int) -> Any:
    if isinstance(value, int):
        return value // by
    return sym.Analyzer().simplify(tirx.floordiv(value, by))


def _half(value: Any) -> Any:
    if isinstance(value, int):
        return -(-value // 2) if value < 0 else value // 2
    # TVM simplifies floor divisions further, and few formulas are ever negative.
    analyzer = sizes_analyzer(value)
    if analyzer.can_prove(value >= 0):
        return analyzer.simplify(tirx.floordiv(value, 2))
    return analyzer.simplify(tirx.floordiv(value + tirx.Select(value < 0, 1, 0), 2))


def not_negative(value: Any) -> Any:
    """The value, or 0 where it is less."""
    if isinstance(value, int):
        return max(value, 0)
    return sym.Analyzer().simplify(tirx.max(value, tirx.const(0, "int64")))
