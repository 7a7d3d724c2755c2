"""Pointwise regions: everything elementwise between one tensor and another.

A region is a small graph, not only a chain (``x * sigmoid(x)``, ``where(x > 0, x, a*x)``). It has
one source; its other operands are constants, scalar or one value per channel. Layout changes
between NCHW and NHWC inside it are absorbed: a region is always emitted in NCHW order.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import tvm
from tvm import relax

from .graph import constant, is_var

PRELU = "relax.nn.prelu"
LAYOUT_CHANGE = "relax.permute_dims"


@dataclass(frozen=True)
class Channel:
    """A constant operand: shape () for a scalar, (C,) for one value per channel."""

    values: np.ndarray


@dataclass(frozen=True)
class Step:
    """One operator: ``var = op(*operands)``; an operand is a variable, a Channel or as it was."""

    var: relax.Var
    op: str
    operands: tuple[Any, ...]
    attrs: Any = None


@dataclass(frozen=True)
class Region:
    """``result`` computed from ``source`` by ``steps``, in order; ``layout`` is the source's.

    ``members`` are the variables that die with the region (``result`` included, ``source`` not).
    """

    source: relax.Var
    layout: str
    steps: tuple[Step, ...]
    result: relax.Var
    members: frozenset[relax.Var]

    def readers(self, var: relax.Var) -> list[Step]:
        return [step for step in self.steps if any(is_var(o, var) for o in step.operands)]


class ConstantForm(Protocol):
    """How per-channel constants look where a region is emitted."""

    def constant(self, values: np.ndarray) -> relax.Expr: ...

    def prelu(
        self, builder: relax.BlockBuilder, x: relax.Expr, slope: np.ndarray
    ) -> relax.Expr: ...


@dataclass(frozen=True)
class PlainForm:
    """NCHW: a constant of one value per channel has shape (1, C, 1, 1)."""

    def constant(self, values: np.ndarray) -> relax.Expr:
        return constant(values if values.ndim == 0 else values.reshape(1, -1, 1, 1))

    def prelu(self, builder: relax.BlockBuilder, x: relax.Expr, slope: np.ndarray) -> relax.Expr:
        return builder.emit(relax.op.nn.prelu(x, constant(slope), axis=1))


def emit(
    region: Region, builder: relax.BlockBuilder, value: relax.Expr, form: ConstantForm
) -> relax.Expr:
    """Emit the steps on ``value``, which stands for the source in NCHW (or ``form``'s) order."""
    values: dict[relax.Var, relax.Expr] = {region.source: value}
    for step in region.steps:
        if step.op == LAYOUT_CHANGE:
            values[step.var] = values[step.operands[0]]
            continue
        if step.op == PRELU:
            x, slope = values[step.operands[0]], step.operands[1].values
            values[step.var] = _emit_prelu(builder, x, slope, form)
            continue
        arguments = [_operand(o, values, form) for o in step.operands]
        call = relax.Call(tvm.ir.Op.get(step.op), arguments, step.attrs)
        values[step.var] = builder.emit(call)
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
        if len(region.readers(current)) != 1 or is_var(current, region.result):
            break
        folded = _fold(step, current, scale, shift)
        if folded is None:
            break
        scale, shift = folded
        current, count = step.var, count + 1
    return scale, shift, replace(region, source=current, steps=region.steps[count:])


def _fold(
    step: Step, current: relax.Var, scale: np.ndarray, shift: np.ndarray
) -> tuple[np.ndarray, np.ndarray] | None:
    if step.op == LAYOUT_CHANGE:
        return scale, shift
    if len(step.operands) != 2 or step.op == PRELU:
        return None
    first, second = step.operands
    if is_var(first, current) and isinstance(second, Channel):
        c = second.values.astype(np.float64)
        if step.op == "relax.add":
            return scale, shift + c
        if step.op == "relax.subtract":
            return scale, shift - c
        if step.op == "relax.multiply":
            return scale * c, shift * c
        if step.op == "relax.divide" and c.all():
            return scale / c, shift / c
    if is_var(second, current) and isinstance(first, Channel):
        c = first.values.astype(np.float64)
        if step.op == "relax.add":
            return scale, shift + c
        if step.op == "relax.subtract":
            return -scale, c - shift
        if step.op == "relax.multiply":
            return scale * c, shift * c
    return None


def _emit_prelu(
    builder: relax.BlockBuilder, x: relax.Expr, slope: np.ndarray, form: ConstantForm
) -> relax.Expr:
    if (slope == slope.flat[0]).all():
        return builder.emit(relax.op.nn.leakyrelu(x, alpha=float(slope.flat[0])))
    return form.prelu(builder, x, slope)


def _operand(operand: Any, values: dict[relax.Var, relax.Expr], form: ConstantForm) -> Any:
    if isinstance(operand, Channel):
        return form.constant(operand.values)
    return values.get(operand, operand) if isinstance(operand, relax.Var) else operand
