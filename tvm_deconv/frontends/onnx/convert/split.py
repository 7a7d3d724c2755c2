"""Split."""

from __future__ import annotations

from itertools import accumulate

from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, dtype_of, normal_axis, shape_of


def split(call: Call) -> relax.Expr:
    """By sizes that are given, else in equal parts; from opset 18 the last may be smaller."""
    x, count = call.tensor(0), len(call.node.output)
    shape = shape_of(x)
    axis = normal_axis(call.get("axis", 0), len(shape))
    size = shape[axis]
    given = call.get("split", None) if call.opset < 13 else call.sizes(1, "sizes")
    if given is not None:
        parts = given
    elif call.get("num_outputs", count) != count:
        refuse(f"num_outputs is {call.get('num_outputs', count)}, and it has {count} outputs")
    elif isinstance(size, int):
        parts = _equal(size, count, may_be_uneven=call.opset >= 18)
    else:
        return relax.op.split(x, count, axis)
    if not all(isinstance(part, int) for part in parts):
        refuse(f"split is {parts}: give the shapes of the inputs")
    if len(parts) != count:
        refuse(f"split is {parts}, and it has {count} outputs")
    if any(part < 0 for part in parts):
        refuse(f"split is {parts}: no size is negative")
    if isinstance(size, int) and sum(parts) != size:
        refuse(f"split is {parts}, and axis {axis} of its input has {size} elements")
    if not isinstance(size, int):
        # A free size must be the sum: that is asked when the model is run.
        shape[axis] = sum(parts)
        x = call.builder.match_cast(x, relax.TensorType(shape, dtype_of(x)))
    if count == 1:
        return relax.Tuple([x])
    return relax.op.split(x, list(accumulate(parts))[:-1], axis)


def _equal(size: int, count: int, *, may_be_uneven: bool) -> list[int]:
    if size % count and not may_be_uneven:
        refuse(f"{size} elements are not divisible by its {count} outputs: give it their sizes")
    part = -(-size // count)
    if part * (count - 1) > size:
        refuse(f"{size} elements do not make {count} parts of {part}")
    return [*[part] * (count - 1), size - part * (count - 1)]
