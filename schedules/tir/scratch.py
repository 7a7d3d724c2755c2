"""Give each scratch buffer its own coordinates, its exact size, and its place among the statements.

A schedule leaves a stage the coordinates of the whole map, and TVM later bounds what one turn of
the loops around it touches. It cannot bound the three runs of a row that ``finish`` writes: the
scratch came out up to three times as wide as a strip, and every load of the reduction carried an
origin that did not cancel, one more instruction or two for each on AArch64. Of a free size it took
half of the time of lowering a kernel. So the buffers are as large as their loops say::

    alloc pad[n, c, i, j], sums[n, o, y, x]
    for strip: for c, i, j: pad[n, c, i, j] = ...
               for tile: for o, x: sums[n, o, y, x] = ...; for o, x: y[...] = sums[n, o, y, x]
    => for strip: alloc pad[c, i, j]
                  for c, i, j: pad[c - c0, i - i0, j - j0] = ...
                  for tile: alloc sums[o, x]
                            for o, x: sums[o - o0, x - x0] = ...; ...
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.ir import Range, TensorLoad, TensorRegion
from tvm.s_tir import SBlockRealize
from tvm.sym import Analyzer

from . import edit
from .pieces import divided


@dataclass(frozen=True)
class _Scratch:
    """``part`` stands for a buffer of a whole map from ``first`` on, within the loop of ``var``.

    ``of_piece`` says that it is what a whole piece needs.
    """

    part: Any
    first: list[Any]
    var: tirx.Var
    of_piece: bool

    def place(self, indices: Sequence[Any]) -> list[Any]:
        return [index - begin for index, begin in zip(indices, self.first, strict=True)]


def in_own_coordinates(func: tirx.PrimFunc, keep: str) -> tirx.PrimFunc:
    """All scratch of ``func``, scheduled, as above, but for the buffer called ``keep``.

    Its memory is allocated in the innermost loop around all that touches it, and begins where the
    first block that writes it does. The loops between have known extents.
    """
    root = func.body
    blocks: list[SBlockRealize] = []
    tvm_ffi.structural_walk(root.block.body, (SBlockRealize, blocks.append))
    nests = [(realize, edit.loops_to(root, realize)) for realize in blocks]
    kept: list[Any] = []
    own: dict[Any, _Scratch] = {}
    for whole in root.block.alloc_buffers:
        if whole.name == keep:
            kept.append(whole)
        else:
            own[whole] = _scratch(whole, nests)

    def load(node: TensorLoad) -> Any:
        scratch = own.get(node.source)
        if scratch is None:
            return node
        return tirx.BufferLoad(scratch.part, scratch.place(node.indices))

    def store(node: tirx.BufferStore) -> Any:
        scratch = own.get(node.buffer)
        if scratch is None:
            return node
        return tirx.BufferStore(scratch.part, node.value, scratch.place(node.indices))

    def region(node: TensorRegion) -> Any:
        scratch = own.get(node.source)
        if scratch is None:
            return node
        begins = scratch.place([dimension.min for dimension in node.region])
        extents = [dimension.extent for dimension in node.region]
        ranges = [Range.from_min_extent(*pair) for pair in zip(begins, extents, strict=True)]
        return TensorRegion(scratch.part, ranges, node.ty)

    def loop(node: tirx.For) -> Any:
        here = [scratch for scratch in own.values() if scratch.var.same_as(node.loop_var)]
        if not here:
            return node
        # TVM's own lowering would shrink a buffer to what it takes to be touched, and has used the
        # variable of an inner loop for that; it keeps the size of one whose address is taken.
        kept = [tirx.Evaluate(scratch.part.data) for scratch in here if scratch.of_piece]
        body = node.body.seq if isinstance(node.body, tirx.SeqStmt) else [node.body]
        parts = [scratch.part for scratch in here]
        return edit.with_loop(node, body=edit.allocating(parts, [*kept, *body]))

    callbacks = [
        (TensorLoad, load),
        (tirx.BufferStore, store),
        (TensorRegion, region),
        (tirx.For, loop),
    ]
    body = tvm_ffi.structural_map(root.block.body, callbacks)
    return func.with_body(edit.with_block(root, body=body, alloc_buffers=kept))


def _scratch(whole: Any, nests: Sequence[tuple[SBlockRealize, list[tirx.For]]]) -> _Scratch:
    """What stands for ``whole``, which is touched in ``nests`` of loops around blocks."""
    touching = [
        loops
        for realize, loops in nests
        if _is_among(whole, [*realize.block.reads, *realize.block.writes])
    ]
    writer, around = next(nest for nest in nests if _is_among(whole, nest[0].block.writes))
    shared = 0
    for level in zip(*touching, strict=False):
        if not all(loop.same_as(level[0]) for loop in level):
            break
        shared += 1
    inner = around[shared:]
    first, last = (
        [edit.bind(value, position) for value in writer.iter_values]
        for position in (
            {loop.loop_var: 0 for loop in inner},
            {loop.loop_var: int(loop.extent) - 1 for loop in inner},
        )
    )
    extents = [Analyzer().simplify(b - a + 1) for a, b in zip(first, last, strict=True)]
    part = tirx.decl_buffer(extents, whole.dtype, name=whole.name, scope=whole.scope())
    pieces, _ = divided(around)
    return _Scratch(part, first, around[shared - 1].loop_var, shared <= len(pieces))


def _is_among(buffer: Any, regions: Sequence[TensorRegion]) -> bool:
    return any(region.source.same_as(buffer) for region in regions)
