"""Tensors as maps of a network's input: which axes are its height and width, through any reshape.

Each axis of a tensor is a row of digits, the most significant first: a plain size, or a side of the
picture with its reach. A reshape splits and merges digits::

    depth to space, CRD:   (1)(12)(h)(w) -> (1)(3)(2)(2)(h)(w) -> (1)(3)(h)(2)(w)(2)
                                         -> (1)(3)(h 2)(w 2)

and a side followed by a plain digit is read as one side of twice the samples where an operator asks
for a whole axis.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod
from typing import TypeAlias

from tvm_deconv.algebra.reach import Reach


class Lost(Exception):
    """A tensor whose height and width cannot be followed; the reason in words."""


@dataclass(frozen=True)
class Side:
    """Height (0) or width (1) of the picture."""

    which: int
    reach: Reach

    @property
    def size(self) -> int:
        return self.reach.size


Digit: TypeAlias = int | Side
Axis: TypeAlias = tuple[Digit, ...]


@dataclass(frozen=True)
class Map:
    """A tensor; ``why`` says why it depends on the whole picture, where it does."""

    axes: tuple[Axis, ...]
    why: str | None = None

    @property
    def has_sides(self) -> bool:
        return any(isinstance(digit, Side) for axis in self.axes for digit in axis)

    def at(self, axis: int) -> Digit:
        """An axis as one digit."""
        return merged(self.axes[axis])

    def put(self, axis: int, digit: Digit) -> Map:
        """The same tensor with another axis."""
        axes = list(self.axes)
        axes[axis] = (digit,)
        return replace(self, axes=tuple(axes))

    def because(self, why: str | None) -> Map:
        """The same tensor, which depends on the whole picture if ``why`` says so."""
        return replace(self, why=self.why or why)


def plain(shape: Sequence[int]) -> Map:
    """A tensor that does not depend on the picture."""
    return Map(tuple((size,) for size in shape))


def size_of(digit: Digit) -> int:
    return digit if isinstance(digit, int) else digit.size


def merged(axis: Axis) -> Digit:
    """All digits of an axis as one; raises Lost for a side with plain digits before it, or two."""
    digits = [digit for digit in axis if digit != 1]
    if not any(isinstance(digit, Side) for digit in digits):
        return prod(digit for digit in digits if isinstance(digit, int))
    first, rest = digits[0], digits[1:]
    if not isinstance(first, Side) or any(isinstance(digit, Side) for digit in rest):
        raise Lost("an axis holds a side of the picture together with channels or the other side")
    factor = prod(digit for digit in rest if isinstance(digit, int))
    return first if factor == 1 else replace(first, reach=first.reach.repeated(factor))


def reshaped(tensor: Map, shape: Sequence[int]) -> Map:
    """The same elements, in order, in another shape."""
    left = [digit for axis in tensor.axes for digit in axis if digit != 1]
    axes: list[Axis] = []
    for size in shape:
        axis: list[Digit] = []
        while size > 1:
            if not left:
                raise Lost("a reshape does not keep the number of elements")
            digit = left.pop(0)
            if size % size_of(digit) == 0:
                axis.append(digit)
                size //= size_of(digit)
                continue
            if size_of(digit) % size:
                raise Lost("a reshape cuts a side of the picture at no whole part of it")
            factor = size_of(digit) // size
            axis.append(_split(digit, factor))
            left.insert(0, factor)
            size = 1
        axes.append(tuple(axis) or (1,))
    if left:
        raise Lost("a reshape does not keep the number of elements")
    return Map(tuple(axes), tensor.why)


def _split(digit: Digit, factor: int) -> Digit:
    if isinstance(digit, int):
        return digit // factor
    return replace(digit, reach=digit.reach.split(factor))


def combined(operands: Sequence[Map], shape: Sequence[int]) -> Map:
    """Element by element of operands that are broadcast to ``shape``."""
    axes: list[Axis] = []
    why = next((operand.why for operand in operands if operand.why), None)
    for place in range(-len(shape), 0):
        found = [o.axes[place] for o in operands if len(o.axes) >= -place]
        sides = [axis for axis in found if any(isinstance(digit, Side) for digit in axis)]
        if not sides:
            axes.append((shape[place],))
            continue
        if any(axis not in sides and prod(map(size_of, axis)) != 1 for axis in found):
            why = why or "a constant differs from place to place"
        axes.append(_joined(sides))
    return Map(tuple(axes), why)


def _joined(axes: Sequence[Axis]) -> Axis:
    first = axes[0]
    for other in axes[1:]:
        if [type(digit) for digit in first] != [type(digit) for digit in other]:
            first, other = (merged(first),), (merged(other),)
        first = tuple(_both(a, b) for a, b in zip(first, other, strict=True))
    return first


def _both(a: Digit, b: Digit) -> Digit:
    if isinstance(a, Side) and isinstance(b, Side) and a.which == b.which:
        reach = a.reach.joined(b.reach)
        if reach is not None:
            return replace(a, reach=reach)
    elif a == b:
        return a
    raise Lost("two maps are combined whose samples do not lie at the same places")
