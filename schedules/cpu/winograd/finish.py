"""The Winograd transforms written out, and the store fused behind them.

The schedule has tiled the products. What is left of the definition, constant matrices and index
maps with divisions, is replaced here by straight-line vector code that means the same:

    pad, spread, transform   one nest over input channels: copy a row in three runs (zeros, input,
                             zeros), deal its columns out to vectors, transform all its tiles
    outputs, store           one nest over the channels of a block: inverse transform to a scratch
                             of some KiB, then interleave it row by row into whole vectors; only
                             vectors that lie inside the strip and the output are stored, the last
                             elements of a row one by one
"""

from __future__ import annotations

from tvm import tirx

from tvm_deconv.schedules.tir import edit

from .inputs import read_inputs
from .outputs import clear_reach, write_outputs
from .products import in_scratch
from .strip import Strip
from .tile import Layout


def finish(func: tirx.PrimFunc, layout: Layout, store: str) -> tirx.PrimFunc:
    """``func`` with both nests above; the result is marked as scheduled.

    ``store`` is the name of the block that writes the output.
    """
    root = func.body
    strip = Strip(layout, root, store)
    blocks = strip.blocks
    inner = tirx.SeqStmt([in_scratch(strip, blocks.body), write_outputs(strip)])
    before = [*strip.keep_pitch(), read_inputs(strip), *clear_reach(strip)]
    body = tirx.SeqStmt([*before, edit.with_loop(blocks, body=inner)])
    body = edit.rebuild(strip.pieces, body)
    root = edit.with_block(root, body=body, alloc_buffers=strip.buffers)
    return func.with_body(root).with_attr("tirx.is_scheduled", True)
