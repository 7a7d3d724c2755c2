"""Give a tile of a buffer its own coordinates and its exact size.

After ``compute_at`` a stage still has the coordinates of the whole tensor, and TVM bounds later
what one block of threads touches. With symbolic sizes it finds no constant, and device code cannot
allocate.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx

from tvm_deconv.schedules.tir import edit


def rebased(
    func: tirx.PrimFunc,
    name: str,
    loop: tirx.Var,
    extents: list[int],
    order: list[int],
    before: dict[int, int] | None = None,
) -> tirx.PrimFunc:
    """Shrink the buffer that the block ``name`` writes to a tile of ``extents``.

    The tile begins where the block is while all loops inside ``loop`` are at 0; the block's first
    variables are those of the buffer's dimensions. ``order`` is the order of the dimensions in
    memory, the slowest first. ``before`` says of some dimensions how many more elements the tile
    has before it begins.
    """
    realize = edit.find_block(func.body, name)
    around = edit.loops_to(func.body, realize)
    depth = next(i for i, one in enumerate(around) if one.loop_var.same_as(loop))
    first = {one.loop_var: 0 for one in around[depth + 1 :]}
    origin = [edit.bind(value, first) for value in realize.iter_values[: len(extents)]]
    for dimension, more in (before or {}).items():
        origin[dimension] = origin[dimension] - more
    whole = realize.block.writes[0].source

    def in_order(values: Any) -> list[Any]:
        return [values[i] for i in order]

    shape, scope = in_order(extents), whole.scope()
    tile = tirx.decl_buffer(shape, whole.dtype, name=whole.name, scope=scope)

    def moved(indices: Any) -> list[Any]:
        return in_order([index - begin for index, begin in zip(indices, origin, strict=True)])

    moves = edit.moving(whole, tile, moved, in_order)
    return func.with_body(tvm_ffi.structural_map(func.body, moves))
