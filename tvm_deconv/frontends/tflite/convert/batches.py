"""SPACE_TO_BATCH_ND and BATCH_TO_SPACE_ND: samples in blocks of space as batches, and back.

    N, h * a, w * b, C  <=>  a * b * N, h, w, C        the phase outside of the batch

of any number of spatial axes. Converters write them around convolutions with dilations; of free
sizes they compute the paddings that make whole blocks, and the crops that undo them.
"""

from __future__ import annotations

from itertools import pairwise
from math import prod

import numpy as np

from tvm_deconv.frontends.onnx.nodes import refuse

from .call import Call

_INT64 = 7  # TensorProto.INT64


def space_to_batch_nd(call: Call) -> None:
    """Zeros are padded first."""
    block = _blocks(call)
    begin, end = _margins(call, len(block))
    others = call.constant(np.zeros(call.rank(0) - 1 - len(block), np.int64))
    batch = call.constant(np.zeros(1, np.int64))
    pads = call.emit("Concat", batch, begin, others, batch, end, others, axis=0)
    x = call.emit("Pad", call.form(0), pads, call.zero())
    n, space, rest = _sizes(call, x, len(block))
    known = call.graph.facts.values.get(space)
    if known is not None and (known % block).any():
        refuse(f"its blocks {block} do not divide its padded sizes {known.tolist()}")
    few = call.emit("Div", space, call.constant(np.array(block)))
    x = call.emit("Reshape", x, call.emit("Concat", n, *_pairs(call, few, block), rest, axis=0))
    axes = range(1, 2 * len(block) + 1)
    order = [*axes[1::2], 0, *axes[::2], *range(axes[-1] + 1, call.rank(0) + len(block))]
    x = call.emit("Transpose", x, perm=order)
    many = call.emit("Mul", n, call.constant(np.array([prod(block)])))
    call.result(call.emit("Reshape", x, call.emit("Concat", many, few, rest, axis=0)))


def batch_to_space_nd(call: Call) -> None:
    """Crops at the end."""
    block, x = _blocks(call), call.form(0)
    many, few, rest = _sizes(call, x, len(block))
    known = call.graph.facts.values.get(many)
    if known is not None and (known % prod(block)).any():
        refuse(f"its blocks {block} do not divide its batch of {known.item()}")
    blocks = call.constant(np.array(block))
    n = call.emit("Div", many, call.constant(np.array([prod(block)])))
    x = call.emit("Reshape", x, call.emit("Concat", blocks, n, few, rest, axis=0))
    count = len(block)
    pairs = [axis for k in range(count) for axis in (count + 1 + k, k)]
    order = [count, *pairs, *range(2 * count + 1, call.rank(0) + count)]
    x = call.emit("Transpose", x, perm=order)
    space = call.emit("Mul", few, blocks)
    x = call.emit("Reshape", x, call.emit("Concat", n, space, rest, axis=0))
    begin, end = _margins(call, count)
    axes = call.constant(np.arange(1, count + 1))
    call.result(call.emit("Slice", x, begin, call.emit("Sub", space, end), axes))


def _blocks(call: Call) -> list[int]:
    block = call.integers(1, "blocks")
    if not 0 < len(block) < call.rank(0) or min(block) < 1:
        refuse(f"its blocks are {block} of {call.rank(0)} axes: give a positive number for each")
    return block


def _margins(call: Call, axes: int) -> tuple[str, str]:
    """Begin and end of paddings or crops along each axis: two vectors."""
    known = call.value(2)
    if known is not None and (known.shape != (axes, 2) or (known < 0).any()):
        refuse(f"its margins are {known.tolist()}: give {axes} pairs, none negative")
    margins = call.emit("Cast", call.form(2), to=_INT64)
    columns = (call.constant(np.array(column)) for column in (0, 1))
    begin, end = (call.emit("Gather", margins, column, axis=1) for column in columns)
    return begin, end


def _sizes(call: Call, x: str, axes: int) -> tuple[str, str, str]:
    """Of the batch, of space, and of the axes behind."""
    sizes = call.emit("Shape", x)
    bounds = [0, 1, axes + 1, call.rank(0)]
    cuts = [call.constant(np.array([bound])) for bound in bounds]
    parts = [call.emit("Slice", sizes, *cut) for cut in pairwise(cuts)]
    return parts[0], parts[1], parts[2]


def _pairs(call: Call, few: str, block: list[int]) -> list[str]:
    """Along each axis how many blocks there are, and how large one is."""
    pairs = []
    for axis, size in enumerate(block):
        places = (call.constant(np.array([n])) for n in (axis, axis + 1))
        pairs += [call.emit("Slice", few, *places), call.constant(np.array([size]))]
    return pairs
