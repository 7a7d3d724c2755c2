"""Give the scratch of a strip its own coordinates and its exact size.

TVM lets ``pad`` keep the coordinates of the whole padded input and later bounds what one iteration
of the parallel loop touches. It cannot bound the three runs of a row that ``finish`` writes, so the
scratch came out up to three times as wide as a strip, and every load of the reduction carried an
origin that did not cancel: one more instruction or two for each load on AArch64.
"""

from __future__ import annotations

from typing import Any

import tvm_ffi
from tvm import tirx
from tvm.sym import Analyzer

from . import edit
from .pieces import divided


def in_strip_coordinates(func: tirx.PrimFunc, name: str) -> tirx.PrimFunc:
    """``pad[n, c, i, j]`` => ``pad[0, c - c0, i - i0, j - j0]`` in a buffer as large as a strip.

    The block ``name`` writes the scratch below the loops over the pieces, which are the outermost.
    The origin is what that block writes first in a piece.
    """
    realize = edit.find_block(func.body, name)
    pieces, loops = divided(edit.loops_to(func.body, realize))
    whole = realize.block.writes[0].source
    first, last = (
        [edit.bind(value, position) for value in realize.iter_values]
        for position in (
            {loop.loop_var: 0 for loop in loops},
            {loop.loop_var: int(loop.extent) - 1 for loop in loops},
        )
    )
    extents = [Analyzer().simplify(b - a + 1) for a, b in zip(first, last, strict=True)]
    strip = tirx.decl_buffer(extents, whole.dtype, name=whole.name)

    def moved(indices: Any) -> list[Any]:
        return [index - a for index, a in zip(indices, first, strict=True)]

    def loop(node: tirx.For) -> Any:
        if not node.loop_var.same_as(pieces[-1].loop_var):
            return node
        # TVM would shrink the buffer to what it takes to be touched, and has used the variable of
        # an inner loop for that; it keeps the size of one whose address is taken.
        parts = node.body.seq if isinstance(node.body, tirx.SeqStmt) else [node.body]
        return edit.with_loop(node, body=tirx.SeqStmt([tirx.Evaluate(strip.data), *parts]))

    moves = [*edit.moving(whole, strip, moved, list), (tirx.For, loop)]
    return func.with_body(tvm_ffi.structural_map(func.body, moves))
