"""What convolutions and products of bytes have in common: bounds of sums, scales, and the store."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from tvm import relax

from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.cpu.integer.kernel import Store
from tvm_deconv.transform.graph import Graph, dtype_of, op_name, shape_of
from tvm_deconv.transform.keep_bytes import DEQUANTIZE, QUANTIZE, Scale, scale_of

from .following import Following
from .residual import Residual, residual_of

_INT32 = 2**31
# Products of two scales with which sums are far from where float32 ends: beyond, float32 computes
# other results.
_UNITS = (2.0**-120, 2.0**80)
# How far a bias may be from a multiple of its unit: the rounding of two products of float32.
_ROUNDING = 2.0**-22


@dataclass(frozen=True, kw_only=True)
class ByteLayer:
    """``kernel`` computes ``result`` of ``data``, and of ``arrays`` in its order.

    ``var`` is what the sums are; ``result`` may be a view of it.
    """

    var: relax.Var
    data: relax.Expr
    result: relax.Var
    kernel: Any
    arrays: tuple[np.ndarray, ...] = field(repr=False)
    other: relax.Expr | None = None

    @property
    def inputs(self) -> tuple[relax.Expr, ...]:
        """The tensors that are multiplied, but for constant ones."""
        return (self.data,)

    @property
    def dims(self) -> tuple[Any, ...]:
        """The sizes that the kernel is written for."""
        return shape_of(self.data) or ()

    @property
    def operands(self) -> tuple[relax.Expr | np.ndarray, ...]:
        """What the kernel is called with."""
        if self.other is None:
            return (*self.inputs, *self.arrays)
        return (*self.inputs, *self.arrays[:-1], self.other, self.arrays[-1])


@dataclass(frozen=True)
class Stored:
    """What a kernel makes of its sums, which count in ``units`` of (O, r_h, r_w).

    ``bias`` is added to sums, ``shift`` to what they stand for.
    """

    store: Store
    after: Following
    units: np.ndarray
    bias: np.ndarray
    shift: np.ndarray | None
    result: relax.Var
    added: Residual | None

    @property
    def other(self) -> relax.Expr | None:
        return None if self.added is None else self.added.other

    def arrays(self, kernel: Any, weight: np.ndarray, zero_point: int) -> tuple[np.ndarray, ...]:
        """The constant arguments of ``kernel``, for integers ``weight`` and the zero point of x."""
        offsets = self.bias - kernel.corrections(weight, zero_point)
        return (
            kernel.pack(weight),
            kernel.points(zero_point, self.after.zero_point),
            # Sums wrap around, and so may what they begin with.
            kernel.lines(offsets).astype("int64").astype("int32"),
            *self.of_store(kernel.lines),
        )

    def of_store(self, lines: Callable[[np.ndarray], np.ndarray]) -> tuple[np.ndarray, ...]:
        """Those that the store reads; ``lines`` puts values of channels into a kernel's order."""
        after = self.after
        per = np.float32(1 if after.scale is None else after.scale)
        low, high = (_in_units(bound, per) for bound in (after.low, after.high))
        arrays = [
            lines((self.units / per).astype("float32")),
            self.store.numbers(after.zero_point, low, high, float(per)),
        ]
        for values in (None if self.shift is None else self.shift / per, after.slope):
            if values is not None:
                arrays.append(lines(values.astype("float32")))
        return (*arrays, *(() if self.added is None else (self.added.values,)))


def stored(
    graph: Graph, var: relax.Var, after: Following, units: np.ndarray, largest: np.ndarray
) -> Stored | Refused:
    """What is made of the sums ``var``, none of which is beyond ``largest``.

    Refused, with the reason, where int32 does not hold them.
    """
    if largest.max() >= _INT32:
        return Refused(f"a sum may be {largest.max()}, which int32 does not hold")
    bias, shift = _bias(after.shift, units, _INT32 - largest)
    is_float, result = after.scale is None, after.result
    is_quantized = not is_float and graph.op(result) == QUANTIZE
    added = residual_of(graph, result) if is_quantized else None
    value = _value_of(graph, result) if not is_float and added is None else None
    store = Store(
        "float32" if is_float else dtype_of(result),
        has_shift=shift is not None,
        has_slope=after.slope is not None,
        is_value=value is not None,
        sum=None if added is None else added.sum,
    )
    final = added.result if added is not None else result if value is None else value
    return Stored(store, after, units, bias, shift, final, added)


def units_of(scales: np.ndarray, known: Scale) -> np.ndarray | Refused:
    """What sums count in: the products of the ``scales`` of weights and that of x."""
    with np.errstate(over="ignore", under="ignore"):
        units = scales * np.float32(known.scale)
    if ((units > _UNITS[0]) & (units < _UNITS[1])).all():
        return units
    extreme = max(units.ravel().tolist(), key=lambda unit: abs(np.log2(unit or 1e-46)))
    return Refused(f"the scales of its input and weights multiply to {extreme:.3g}")


def farthest(dtype: str, zero_point: int) -> int:
    """How far a byte of ``dtype`` may be from its zero point."""
    bounds = np.iinfo(dtype)
    return int(max(bounds.max - zero_point, zero_point - bounds.min))


def _in_units(bound: float, per: np.float32) -> float:
    """In float32, in which it may be infinite."""
    with np.errstate(over="ignore"):
        return float(np.float32(bound) / per)


def _bias(
    shift: np.ndarray, units: np.ndarray, limit: np.ndarray
) -> tuple[np.ndarray, np.ndarray | None]:
    """``shift`` as multiples of ``units`` under ``limit``, else zeros and what to add later."""
    multiples = np.rint(shift / units.astype("float64"))
    near = np.abs(multiples * units - shift) <= _ROUNDING * np.abs(shift)
    if near.all() and (np.abs(multiples) < limit).all():
        return multiples.astype(np.int64), None
    return np.zeros(shift.shape, np.int64), shift


def _value_of(graph: Graph, result: relax.Var) -> relax.Var | None:
    """What dequantizes the bytes ``result`` for the caller, if nothing else reads either.

    Whatever else reads them is given bytes, which are less to move.
    """
    readers = graph.users.get(result, [])
    if len(readers) != 1 or result in graph.outputs or graph.op(result) != QUANTIZE:
        return None
    (reader,) = readers
    call = graph.value(reader)
    if op_name(call) != DEQUANTIZE or dtype_of(reader) != "float32":
        return None
    own, back = (scale_of(graph, one, dtype_of(result)) for one in (graph.value(result), call))
    is_last = reader in graph.outputs and not graph.users.get(reader)
    return reader if own is not None and own == back and is_last else None
