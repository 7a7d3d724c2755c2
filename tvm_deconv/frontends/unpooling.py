"""Where the maxima of a pool lie, and the way back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from math import prod
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.schedules.rest.unpooling import unpool_function


@dataclass(frozen=True)
class Windows:
    """Window i of an axis covers stride*i - begin + k*dilation for k below kernel.

    ``inside`` says that no window leaves the map.
    """

    kernel: Sequence[int]
    strides: Sequence[int]
    begin: Sequence[Any]
    dilations: Sequence[int]
    inside: bool


def places_of_maxima(
    builder: relax.BlockBuilder,
    x: relax.Expr,
    y: relax.Expr,
    windows: Windows,
    counted: Callable[..., Any] = lambda place, at: place,
    sizes: Sequence[Any] = (),
) -> relax.Expr:
    """Where in the flattened map of ``x`` each maximum of ``y`` first occurs, int64.

    Of NaN it is where the last one is. ``counted`` makes another number of that place, of where the
    maximum is in ``y``, and of ``sizes``. A maximum is a value of its window: one minimum over the
    places of all that are equal finds the first, by a comparison and a choice for each tap.
    """

    def first(x: te.Tensor, y: te.Tensor) -> te.Tensor:
        return _first(x, y, windows)

    def decoded(first: te.Tensor, *sizes: Any) -> te.Tensor:
        def value(*at: Any) -> Any:
            found = first(*at)
            place = tirx.max(found, tirx.const(-1, first.dtype) - found)
            return counted(place.astype("int64"), at, *sizes)

        return te.compute(first.shape, value, name="places")

    found = builder.emit_te(first, x, y, primfunc_name_hint="first_maxima")
    # Apart from the minimum, which is stored once: fused, it would be named in each formula.
    opaque = {"op_pattern": 8}
    return builder.emit_te(
        decoded, found, *sizes, primfunc_name_hint="places_of_maxima", primfunc_attrs=opaque
    )


def _first(x: te.Tensor, y: te.Tensor, windows: Windows) -> te.Tensor:
    """The least place of a maximum; -1 less the place of the last NaN, where there is one."""
    axes = len(windows.kernel)
    sizes = x.shape[-axes:]
    kind = "int64"
    if all(isinstance(size, tirx.IntImm) for size in sizes):
        kind = "int32" if prod(int(size) for size in sizes) < 2**31 else "int64"
    taps = [te.reduce_axis((0, k), name=f"k{d}") for d, k in enumerate(windows.kernel)]
    nowhere = tirx.max_value(kind)

    def place(*at: Any) -> Any:
        numbers = zip(
            at[-axes:], windows.strides, windows.begin, taps, windows.dilations, strict=True
        )
        where = [i * s - b + k * d for i, s, b, k, d in numbers]
        flat = reduce(lambda flat, axis: flat * sizes[axis] + where[axis], range(1, axes), where[0])
        flat = flat.astype(kind)
        value = x(*at[:-axes], *where)
        missed = nowhere
        if str(x.dtype).startswith("float"):
            missed = tirx.Select(tirx.isnan(value), tirx.const(-1, kind) - flat, nowhere)
        found = tirx.Select(value.equal(y(*at)), flat, missed)
        if not windows.inside:
            bounds = [(i >= 0, i < size) for i, size in zip(where, sizes, strict=True)]
            is_there = tirx.all(*(side for sides in bounds for side in sides))
            found = tirx.if_then_else(is_there, found, nowhere)
        return te.min(found, axis=taps)

    return te.compute(y.shape, place, name="first")


def unpooled(
    builder: relax.BlockBuilder,
    x: relax.Expr,
    indices: relax.Expr,
    shape: Sequence[Any],
    axes: int,
    through_all: bool,
) -> relax.Expr:
    """``x`` at the places ``indices`` of zeros of ``shape``, whose last ``axes`` are a map.

    ``through_all`` is that of ``unpool_function``.
    """
    sizes = list(x.ty.shape.values)
    planes = prod(sizes[:-axes], start=tirx.IntImm("int64", 1))
    values, elements = (
        prod(own[-axes:], start=tirx.IntImm("int64", 1)) for own in (sizes, list(shape))
    )
    flat = [builder.emit(relax.op.reshape(each, (planes, values))) for each in (x, indices)]
    dtype = str(x.ty.dtype)
    kernel = builder.add_func(unpool_function(dtype, through_all), "unpool")
    kind = relax.TensorType([planes, elements], dtype)
    written = builder.emit(relax.call_tir(kernel, relax.Tuple(flat), kind))
    return builder.emit(relax.op.reshape(written, list(shape)))
