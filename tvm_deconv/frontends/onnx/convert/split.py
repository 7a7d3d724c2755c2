"""Split."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

from tvm import relax

from ..nodes import refuse
from .call import Call, dtype_of, normal_axis, shape_of


def split(call: Call) -> relax.Expr:
    """By sizes that are given, else in equal parts; from opset 18 the last may be smaller."""
    x, count = call.tensor(0), len(call.node.output)
    shape = shape_of(x)
    axis = normal_axis(call.get("axis", 0), len(shape))
    size = shape[axis]
    parts = _given(call)
    if parts is None:
        if call.get("num_outputs", count) != count:
            refuse(f"num_outputs is {call.get('num_outputs', count)}, and it has {count} outputs")
        if not isinstance(size, int):
            return relax.op.split(x, count, axis)
        parts = _equal(size, count, may_be_uneven=call.opset >= 18)
    if len(parts) != count:
        refuse(f"split is {list(parts)}, and it has {count} outputs")
    if any(part < 0 for part in parts):
        refuse(f"split is {list(parts)}: no size is negative")
    if isinstance(size, int) and sum(parts) != size:
        refuse(f"split is {list(parts)}, and axis {axis} of its input has {size} elements")
    if not isinstance(size, int):
        # A free size must be the sum: that is asked when the model is run.
        shape[axis] = sum(parts)
        x = call.builder.match_cast(x, relax.TensorType(shape, dtype_of(x)))
    if count == 1:
        return relax.Tuple([x])
    return relax.op.split(x, list(accumulate(parts))[:-1], axis)


def _given(call: Call) -> list[int] | None:
    given = call.get("split", None) if call.opset < 13 else call.constant(1, "sizes")
    return None if given is None else [int(part) for part in given]


def _equal(size: int, count: int, *, may_be_uneven: bool) -> Sequence[int]:
    if size % count and not may_be_uneven:
        refuse(f"{size} elements are not divisible by its {count} outputs: give it their sizes")
    part = -(-size // count)
    if part * (count - 1) > size:
        refuse(f"{size} elements do not make {count} parts of {part}")
    return [*[part] * (count - 1), size - part * (count - 1)]
