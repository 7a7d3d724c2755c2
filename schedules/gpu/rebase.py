"""Give a tile of a buffer its own coordinates and its exact size.

After ``compute_at`` a stage still has the coordinates of the whole tensor, and TVM bounds later
what one block of threads touches. With symbolic sizes it finds no constant, and device code cannot
allocate.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range, TensorLoad, TensorRegion
from tvm.s_tir import SBlock

from .. import tir_edit as edit


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
    variables are those of the buffer's dimensions. ``order`` is the
    order of the dimensions in memory, the slowest first. ``before`` says of some dimensions how
    many more elements the tile has before it begins.
    """
    realize = edit.find_block(func.body, name)
    around = edit.loops_to(func.body, realize)
    depth = next(i for i, one in enumerate(around) if one.loop_var.same_as(loop))
    first = {one.loop_var: 0 for one in around[depth + 1 :]}
    origin = [edit.substitute(value, first) for value in realize.iter_values[: len(extents)]]
    for dimension, more in (before or {}).items():
        origin[dimension] = origin[dimension] - more
    whole = realize.block.writes[0].source
    tile = tirx.decl_buffer(
        [extents[i] for i in order], whole.dtype, name=whole.name, scope=whole.scope()
    )

    def moved(indices: Any) -> list[Any]:
        local = [index - begin for index, begin in zip(indices, origin, strict=True)]
        return [local[i] for i in order]

    def load(node: TensorLoad) -> Any:
        return tirx.BufferLoad(tile, moved(node.indices)) if node.source.same_as(whole) else node

    def store(node: tirx.BufferStore) -> Any:
        if not node.buffer.same_as(whole):
            return node
        return tirx.BufferStore(tile, node.value, moved(node.indices))

    def region(node: TensorRegion) -> Any:
        if not node.source.same_as(whole):
            return node
        begins = moved([part.min for part in node.region])
        sizes = [node.region[i].extent for i in order]
        ranges = [Range.from_min_extent(*part) for part in zip(begins, sizes, strict=True)]
        return TensorRegion(tile, ranges, node.ty)

    def block(node: SBlock) -> Any:
        buffers = [tile if b.same_as(whole) else b for b in node.alloc_buffers]
        return edit.changed(node, alloc_buffers=buffers)

    rebuilt = [(TensorLoad, load), (tirx.BufferStore, store), (TensorRegion, region)]
    return func.with_body(tvm_ffi.structural_map(func.body, [*rebuilt, (SBlock, block)]))
