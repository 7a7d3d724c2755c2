"""Sequences of tensors, which are tuples of as many as are known when the model is compiled."""

from __future__ import annotations

from itertools import accumulate

from tvm import relax

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call, normal_axis, shape_of


def split_to_sequence(call: Call) -> relax.Expr:
    """In parts of one size, of which the last may be smaller, or of sizes that are given.

    That they are positive, and as many as there are, the standard's shape inference asks before.
    """
    x, given = call.tensor(0), call.constant(1, "split")
    shape = shape_of(x)
    axis = normal_axis(call.get("axis", 0), len(shape))
    size = shape[axis]
    if not isinstance(size, int):
        refuse(f"axis {axis} of its input has a free size: give the shapes of the inputs")
    if given is None or given.ndim == 0:
        part = 1 if given is None else int(given)
        parts = [min(part, size - first) for first in range(0, size, part)]
    else:
        parts = [int(part) for part in given]
    fields = [x]
    if len(parts) > 1:
        whole = call.emit(relax.op.split(x, list(accumulate(parts))[:-1], axis))
        fields = [call.emit(relax.TupleGetItem(whole, i)) for i in range(len(parts))]
    if given is None and not call.get("keepdims", 1):
        fields = [call.emit(relax.op.squeeze(field, [axis])) for field in fields]
    return relax.Tuple(fields)


def sequence_at(call: Call) -> relax.Expr:
    """The tensor at a position, which is counted from the end where it is negative."""
    fields, position = call.input(0), call.constant(1, "position")
    if not isinstance(fields, relax.Tuple):
        refuse("its sequence is computed at run time: it must be made by other operators")
    at = 0 if position is None else int(position.item())
    if not -len(fields) <= at < len(fields):
        refuse(f"position is {at}, and its sequence has {len(fields)} tensors")
    return fields[at % len(fields)]
