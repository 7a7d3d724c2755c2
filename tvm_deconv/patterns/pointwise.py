"""Pointwise regions: everything elementwise between one tensor and another.

A region is a small graph, not only a chain (``x * sigmoid(x)``, ``where(x > 0, x, a*x)``). It has
one source; its other operands are constants, scalar or one value per channel, and the tensors
beside the source that who collects it allows. Layout changes
between NCHW and NHWC inside it are absorbed: a region is always emitted in NCHW order.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Any, Protocol

import numpy as np

from .graph import Builder, Tensor, is_same
from .operators import PRELU, TRANSPOSE


@dataclass(frozen=True)
class Channel:
    """A constant operand: shape () for a scalar, (C,) for one value per channel."""

    values: np.ndarray


@dataclass(frozen=True)
class Given:
    """An operand that is no tensor, as the front has it."""

    value: Any


@dataclass(frozen=True, eq=False)
class Between:
    """A tensor that only a region knows: what an operator of two steps has between them."""


@dataclass(frozen=True)
class Step:
    """One operator: ``var = op(*operands)``; an operand is a tensor, a Channel or Given."""

    var: Tensor
    op: str
    operands: tuple[Any, ...]
    attrs: Any = None


@dataclass(frozen=True)
class Region:
    """``result`` computed from ``source`` by ``steps``, in order; ``layout`` is the source's.

    ``members`` are the variables that die with the region (``result`` included, ``source`` not).
    ``sides`` are tensors of the source's shape that steps read, too, with their layouts.
    """

    source: Tensor
    layout: str
    steps: tuple[Step, ...]
    result: Tensor
    members: frozenset[Tensor]
    sides: Mapping[Tensor, str] = field(default_factory=dict)

    def readers(self, var: Tensor) -> list[Step]:
        return [step for step in self.steps if any(is_same(o, var) for o in step.operands)]


class ConstantForm(Protocol):
    """How per-channel constants look where a region is emitted."""

    def constant(self, builder: Builder, values: np.ndarray) -> Any: ...

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any: ...


@dataclass(frozen=True)
class PlainForm:
    """Behind N and C there are ``axes``: a constant of one value per channel is (1, C, 1, 1)."""

    axes: int = 2

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        return builder.constant(values.reshape(1, -1, *[1] * self.axes) if values.ndim else values)

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        return builder.prelu(x, slope)


def prelu_of(form: ConstantForm, builder: Builder, x: Any, slope: np.ndarray) -> Any:
    """A PReLU written out: ``nn.prelu`` has one slope per index of one axis only."""
    negative = builder.apply("minimum", (x, builder.constant(np.zeros((), slope.dtype))))
    scaled = builder.apply("multiply", (negative, form.constant(builder, slope)))
    return builder.apply("add", (builder.apply("nn.relu", (x,)), scaled))


def emit(
    region: Region,
    builder: Builder,
    value: Any,
    form: ConstantForm,
    sides: Mapping[Tensor, Any] = MappingProxyType({}),
) -> Any:
    """Emit the steps on ``value``, which stands for the source in NCHW (or ``form``'s) order.

    ``sides`` are the values that stand for the region's, of the same order.
    """
    values: dict[Tensor, Any] = {region.source: value, **sides}
    for step in region.steps:
        if step.op == TRANSPOSE:
            values[step.var] = values[step.operands[0]]
            continue
        if step.op == PRELU:
            x, slope = values[step.operands[0]], step.operands[1].values
            values[step.var] = _emit_prelu(builder, x, slope, form)
            continue
        arguments = [_operand(builder, o, values, form) for o in step.operands]
        values[step.var] = builder.apply(step.op, arguments, step.attrs)
    return values[region.result]


def channel_constants(region: Region) -> list[np.ndarray]:
    """Every constant operand that has one value per channel."""
    operands = [o for step in region.steps for o in step.operands if isinstance(o, Channel)]
    return [o.values for o in operands if o.values.ndim]


def split_affine(region: Region, channels: int) -> tuple[np.ndarray, np.ndarray, Region]:
    """(scale, shift, rest): the leading ``scale*x + shift`` steps, in float64, and what follows."""
    scale, shift = np.ones(channels), np.zeros(channels)
    current, count = region.source, 0
    for step in region.steps:
        # The step may be one of a side's.
        if region.readers(current) != [step] or is_same(current, region.result):
            break
        folded = _fold(step, current, scale, shift)
        if folded is None:
            break
        scale, shift = folded
        current, count = step.var, count + 1
    return scale, shift, replace(region, source=current, steps=region.steps[count:])


def _fold(
    step: Step, current: Tensor, scale: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    if step.op == TRANSPOSE:
        return scale, shift
    if len(step.operands) != 2 or step.op == PRELU:
        return None
    first, second = step.operands
    if is_same(first, current) and isinstance(second, Channel):
        c = second.values.astype(np.float64)
        if step.op == "add":
            return scale, shift + c
        if step.op == "subtract":
            return scale, shift - c
        if step.op == "multiply":
            return scale * c, shift * c
        if step.op == "divide" and c.all():
            return scale / c, shift / c
    if is_same(second, current) and isinstance(first, Channel):
        c = first.values.astype(np.float64)
        if step.op == "add":
            return scale, shift + c
        if step.op == "subtract":
            return -scale, c - shift
        if step.op == "multiply":
            return scale * c, shift * c
    return None


def _emit_prelu(builder: Builder, x: Any, slope: np.ndarray, form: ConstantForm) -> Any:
    if (slope == slope.flat[0]).all():
        return builder.leaky_relu(x, float(slope.flat[0]))
    return form.prelu(builder, x, slope)


def _operand(builder: Builder, operand: Any, values: dict[Tensor, Any], form: ConstantForm) -> Any:
    if isinstance(operand, Channel):
        return form.constant(builder, operand.values)
    return operand.value if isinstance(operand, Given) else values[operand]
