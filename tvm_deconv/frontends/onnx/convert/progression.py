"""Tensors of indices that run along one axis, read from the operators that make them.

``x[a:b:s] = v`` is written down as ``Range`` over the size of ``x``, sliced as ``x`` is, given axes
of size 1, expanded to what the ranges of all axes make together, and joined to places. A range
that was sliced is again begin + step * i, so what the places are is known without their numbers::

    steps = arange(h)                                   begin 0, step 1
    part  = strided_slice(steps, [max(h - 4, 0)], [h])  begin max(h - 4, 0), step 1
    grid  = broadcast_to(reshape(part, [m, 1]), [m, w]) the same, along axis 0 of 2
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import tvm
from tvm import relax

from tvm_deconv.frontends.onnx.formulas import are_one

from .call import known_shape, static

# Gives what a variable is bound to, or None.
Lookup = Callable[[relax.Var], Any]


@dataclass(frozen=True, eq=False)
class Progression:
    """A tensor of ``shape`` whose element at place i is ``begin + step * i[axis]``.

    ``axis`` is None where all elements are ``begin``. All lie between ``least`` and ``most``.
    """

    shape: tuple[Any, ...]
    axis: int | None
    begin: Any
    step: int
    least: Any
    most: Any

    @property
    def length(self) -> Any:
        return 1 if self.axis is None else self.shape[self.axis]

    @property
    def first(self) -> Any:
        """The lowest element, if there is any: the last one where they fall."""
        return self.begin if self.step >= 0 else self.begin + (self.length - 1) * self.step


def columns(indices: relax.Expr, lookup: Lookup) -> list[Progression] | None:
    """The coordinates of places, which stand along the last axis, as one progression each.

    Their shapes are that of ``indices`` less its last axis. None where one is none.
    """
    shape = known_shape(indices)
    if not shape or not isinstance(shape[-1], int):
        return None
    found = _joined(indices, shape, lookup)
    known = [column for column in found if column is not None]
    return known if len(known) == shape[-1] else None


def _joined(indices: relax.Expr, shape: Sequence[Any], lookup: Lookup) -> list[Progression | None]:
    call = _bound(indices, lookup)
    last = len(shape) - 1
    if _name(call) == "relax.concat" and int(call.attrs.axis) % len(shape) == last:
        parts: Sequence[relax.Expr] = _bound(call.args[0], lookup).fields
    else:
        parts = [indices]
    found: list[Progression | None] = []
    for part in parts:
        sizes = known_shape(part)
        if not sizes:
            return [None]
        if isinstance(part, tvm.ir.GenericConst):
            array = part.value.numpy()
            found += [_of_array(array[..., k]) for k in range(array.shape[-1])]
            continue
        whole = progression(part, lookup)
        is_one = isinstance(sizes[-1], int) and sizes[-1] == 1
        if whole is None or whole.axis == last or not is_one:
            return [None]
        found.append(replace(whole, shape=tuple(sizes[:-1])))
    return found


def progression(value: relax.Expr, lookup: Lookup) -> Progression | None:
    """What ``value`` is, if that is one; its shape must be known."""
    if isinstance(value, tvm.ir.GenericConst):
        return _of_array(value.value.numpy())
    call, shape = _bound(value, lookup), known_shape(value)
    reader = _READERS.get(_name(call))
    if reader is None or shape is None:
        return None
    found = reader(call, lookup)
    # With the sizes as the variable has them.
    return None if found is None else replace(found, shape=tuple(shape))


def _of_array(array: np.ndarray) -> Progression | None:
    """That of numbers: at most one axis along which they change, always by as much."""
    if array.size == 0 or array.dtype.kind != "i":
        return None
    begin, axes = int(array.flat[0]), [a for a in range(array.ndim) if array.shape[a] > 1]
    axis, step = None, 0
    for a in axes:
        second = int(np.take(array, 1, a).flat[0])
        if second != begin:
            if axis is not None:
                return None
            axis, step = a, second - begin
    expected = np.full(array.shape, begin)
    if axis is not None:
        steps = np.arange(array.shape[axis]) * step
        expected = expected + steps.reshape([-1 if a == axis else 1 for a in range(array.ndim)])
    if not np.array_equal(array, expected):
        return None
    return Progression(array.shape, axis, begin, step, int(array.min()), int(array.max()))


def _bound(value: Any, lookup: Lookup) -> Any:
    """The operator behind a variable, through other names of it."""
    while isinstance(value, relax.Var):
        found = lookup(value)
        if found is None:
            return None
        value = found
    return value


def _name(call: Any) -> str:
    is_operator = isinstance(call, relax.Call) and isinstance(call.op, tvm.ir.Op)
    return str(call.op.name) if is_operator else ""


def _number(value: relax.Expr, lookup: Lookup) -> Any:
    """A scalar that is a number or a size; None for any other tensor."""
    if isinstance(value, tvm.ir.GenericConst):
        array = value.value.numpy()
        return int(array.item()) if array.size == 1 and array.dtype.kind == "i" else None
    call = _bound(value, lookup)
    if _name(call) == "relax.reshape":
        call = _bound(call.args[0], lookup)
    if _name(call) != "relax.shape_to_tensor":
        return None
    shape = _bound(call.args[0], lookup)
    is_one = isinstance(shape, relax.ShapeExpr) and len(shape.values) == 1
    return static(shape.values[0]) if is_one else None


def _arange(call: relax.Call, _: Lookup) -> Progression | None:
    begin, _end, step = (static(arg) for arg in call.args)
    (count,) = known_shape(call) or [None]
    if not isinstance(step, int) or step == 0 or count is None:
        return None
    last = begin + (count - 1) * step
    return Progression((count,), 0, begin, step, *_ordered(begin, last, step))


def _ordered(first: Any, last: Any, step: int) -> tuple[Any, Any]:
    return (first, last) if step > 0 else (last, first)


def _scaled(call: relax.Call, lookup: Lookup) -> Progression | None:
    found, factor = progression(call.args[0], lookup), _number(call.args[1], lookup)
    if found is None or not isinstance(factor, int) or factor == 0:
        return None
    least, most = _ordered(found.least * factor, found.most * factor, factor)
    return replace(
        found, begin=found.begin * factor, step=found.step * factor, least=least, most=most
    )


def _moved(call: relax.Call, lookup: Lookup) -> Progression | None:
    found, by = progression(call.args[0], lookup), _number(call.args[1], lookup)
    if found is None or by is None:
        return None
    return replace(found, begin=found.begin + by, least=found.least + by, most=found.most + by)


def _sliced(call: relax.Call, lookup: Lookup) -> Progression | None:
    """Within its bounds, as the converter of Slice has them."""
    found = progression(call.args[0], lookup)
    if found is None or not bool(call.attrs.assume_inbound):
        return None
    axes, begins, _ends = (_sizes(argument) for argument in call.args[1:4])
    strides = _sizes(call.args[4]) if len(call.args) > 4 else [1] * len(axes)
    for axis, begin, stride in zip(axes, begins, strides, strict=True):
        if not isinstance(stride, int) or stride < 1:
            return None
        if axis == found.axis:
            found = replace(found, begin=found.begin + begin * found.step, step=found.step * stride)
    return found


def _sizes(value: Any) -> list[Any]:
    fields = value.fields if isinstance(value, relax.Tuple) else value
    return [static(field) for field in fields]


def _flipped(call: relax.Call, lookup: Lookup) -> Progression | None:
    found = progression(call.args[0], lookup)
    if found is None or int(call.attrs.axis) % len(found.shape) != found.axis:
        return found
    last = found.begin + (found.length - 1) * found.step
    return replace(found, begin=last, step=-found.step)


def _reshaped(call: relax.Call, lookup: Lookup) -> Progression | None:
    """With the same axes, but for those of size 1."""
    found, after = progression(call.args[0], lookup), known_shape(call)
    if found is None or after is None or found.axis is None:
        return found
    old, new = ([a for a, n in enumerate(s) if not _is_one(n)] for s in (found.shape, after))
    if found.axis not in old:
        return replace(found, axis=None)
    # Of one axis it cannot be another size.
    pairs = (
        []
        if len(old) == 1
        else [(found.shape[a], after[b]) for a, b in zip(old, new, strict=False)]
    )
    if len(old) != len(new) or not all(are_one(n, m) for n, m in pairs):
        return None
    return replace(found, axis=new[old.index(found.axis)])


def _is_one(size: Any) -> bool:
    return isinstance(size, int) and size == 1


def _broadcast(call: relax.Call, lookup: Lookup) -> Progression | None:
    found, after = progression(call.args[0], lookup), known_shape(call)
    if found is None or after is None or found.axis is None:
        return found
    if _is_one(found.length):
        return replace(found, axis=None)
    return replace(found, axis=found.axis + len(after) - len(found.shape))


def _transposed(call: relax.Call, lookup: Lookup) -> Progression | None:
    found = progression(call.args[0], lookup)
    if found is None or found.axis is None:
        return found
    axes = call.attrs.axes
    order = list(range(len(found.shape)))[::-1] if axes is None else [int(a) for a in axes]
    return replace(found, axis=[a % len(order) for a in order].index(found.axis))


def _same(call: relax.Call, lookup: Lookup) -> Progression | None:
    return progression(call.args[0], lookup)


def _cast(call: relax.Call, lookup: Lookup) -> Progression | None:
    return _same(call, lookup) if str(call.attrs.dtype) in ("int32", "int64") else None


_READERS: dict[str, Callable[[Any, Lookup], Progression | None]] = {
    "relax.add": _moved,
    "relax.arange": _arange,
    "relax.astype": _cast,
    "relax.broadcast_to": _broadcast,
    "relax.expand_dims": _reshaped,
    "relax.flip": _flipped,
    "relax.multiply": _scaled,
    "relax.permute_dims": _transposed,
    "relax.reshape": _reshaped,
    "relax.squeeze": _reshaped,
    "relax.strided_slice": _sliced,
}
