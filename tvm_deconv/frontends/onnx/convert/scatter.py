"""ScatterND that writes into a slice: ``x[a:b:s, c:d] = v`` as exporters write it down.

Where the places are a grid, each coordinate a progression along an axis of its own, every element
of the result knows from its own place whether it is written, and with what::

    y[i, j] = v[(i - a) / s, j - c]     if the divisions leave nothing, and are inside of v
            = x[i, j]                   else

That is one parallel loop, at any sizes, and no place is computed. Any other ScatterND is TVM's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from tvm import relax, te, tirx

from tvm_deconv.frontends.onnx.formulas import int64, shown, sizes_analyzer
from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, by_tvm, shape_of
from .progression import Progression, columns

_COMBINE: dict[str, Callable[[Any, Any], Any]] = {
    "none": lambda old, new: new,
    "add": lambda old, new: old + new,
    "mul": lambda old, new: old * new,
    "max": tirx.max,
    "min": tirx.min,
}


def scatter_nd(call: Call) -> relax.Expr:
    """The sizes of what is written must be those of the grid: asked when it is run."""
    x, indices, updates = (call.tensor(i) for i in range(3))
    known = ["none"] if call.opset < 16 else ["none", "add", "mul"]
    reduction = call.choice("reduction", "none", known if call.opset < 18 else _COMBINE)
    if 0 in shape_of(indices)[-1:]:
        refuse(
            f"its indices of the shape {shown(shape_of(indices))} are of no axis: each would write "
            "the whole tensor"
        )
    grid = _grid(call, x, indices)
    if grid is None:
        return by_tvm(call)
    sizes, places, written = shape_of(x), shape_of(indices)[:-1], shape_of(updates)
    wanted = [*places, *sizes[len(grid) :]]
    what = f"writes {shown(written)} to places of the shape {shown(wanted)}"
    if len(written) != len(wanted):
        refuse(what)
    call.require([int64(n) - m for n, m in zip(written, wanted, strict=True)], what)
    for column, n in zip(grid, sizes, strict=False):
        beyond = tirx.max(int64(column.most) - n + 1, int64(0))
        call.require([beyond], f"its index {column.most} is outside of an axis of {n}")
    return call.builder.emit_te(
        _written,
        x,
        updates,
        [int64(column.first) for column in grid],
        [int64(column.length) for column in grid],
        [column.step for column in grid],
        [column.axis for column in grid],
        reduction,
        primfunc_name_hint="write_slice",
    )


def _grid(call: Call, x: relax.Expr, indices: relax.Expr) -> list[Progression] | None:
    """The coordinates, counted from 0; None where two may be one place, or one is not known."""
    found = columns(indices, call.builder.lookup_binding)
    if found is None or len(found) > len(shape_of(x)):
        return None
    places = shape_of(indices)[:-1]
    long = [axis for axis, n in enumerate(places) if not (isinstance(n, int) and n == 1)]
    used = [c.axis for c in found if c.axis is not None and c.axis in long]
    if sorted(used) != long:
        return None
    counted = [_from_zero(c, n) for c, n in zip(found, shape_of(x), strict=False)]
    grid = [column for column in counted if column is not None]
    return grid if len(grid) == len(found) else None


def _from_zero(column: Progression, size: Any) -> Progression | None:
    """Negative indices count from the end; None for those that change their sign on the way."""
    analyzer = sizes_analyzer(column.least, column.most, size)
    if analyzer.can_prove(int64(column.least) >= 0):
        return column
    if analyzer.can_prove(int64(column.most) < 0) and analyzer.can_prove(
        int64(column.least) + size >= 0
    ):
        return replace(column, begin=column.begin + size, most=column.most + size)
    return None


def _written(
    x: te.Tensor,
    updates: te.Tensor,
    firsts: Sequence[Any],
    lengths: Sequence[Any],
    steps: Sequence[int],
    axes: Sequence[int | None],
    reduction: str,
) -> te.Tensor:
    rank = len(updates.shape) - (len(x.shape) - len(firsts))

    def value(*i: Any) -> Any:
        at: list[Any] = [int64(0)] * rank
        inside = []
        for j, first, length, step, axis in zip(i, firsts, lengths, steps, axes, strict=False):
            if axis is None:
                inside.append(tirx.EQ(j, first))
                continue
            # Rising with j: TVM's code for an index like (3 - j) // 2 reads elsewhere.
            offset, stride = j - first, int64(abs(step))
            place = tirx.floordiv(offset, stride)
            at[axis] = place if step > 0 else length - 1 - place
            inside += [offset >= 0, place < length]
            if abs(step) > 1:
                inside.append(tirx.EQ(tirx.floormod(offset, stride), int64(0)))
        new = _COMBINE[reduction](x[i], updates(*at, *i[len(firsts) :]))
        return tirx.if_then_else(tirx.all(*inside), new, x[i])

    return te.compute(x.shape, value, name="write_slice")
