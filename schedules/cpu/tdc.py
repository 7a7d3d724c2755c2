"""TDC, transforming deconvolution to convolution: r^2 convolutions, then an interleave.

pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
phases     sum over channels and taps in registers, one stride-1 convolution per phase
planes     the sums of a whole strip in memory, a plane for each phase (fh, fw)
interleave planes -> high-resolution rows; pure data movement
edge       the same row in memory, for vectors that cross the right edge (absent if none does)
store      one output element each, the only stage with the output's exact shape
"""

from __future__ import annotations

from tvm import tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import EDGE, INTERLEAVE, PAD, PHASES, PLANES
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.scratch import in_own_coordinates
from tvm_deconv.schedules.variant import scheduled

from . import steps
from .definitions import tdc as definition
from .finish import finish
from .tiling import Tiling


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: Tiling) -> tirx.PrimFunc:
    """The CPU loop nest above, for a function made of ``compute`` and pointwise consumers."""
    # Checks off for the reason that ``revd2.schedule`` gives.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, PHASES, PLANES, INTERLEAVE, EDGE))
    nest = steps.tile_planes(sch, PHASES, conv, tile)
    steps.parallel_with_scratch(sch, PAD, nest)
    steps.write_out(sch, PLANES, nest, tile)
    rows = steps.rows_of_strip(sch, INTERLEAVE, nest, conv.w.stride * tile.lanes)
    for stage in (EDGE, store):
        if steps.has_stage(sch, stage):
            steps.at_tile(sch, stage, rows)
    if tile.weight_vectors:
        steps.weights_in_vectors(sch, PHASES, tile)
    steps.keep_in_registers(sch, PHASES, nest, tile)
    func = in_own_coordinates(sch.mod["main"], keep=EDGE)
    return for_llvm(finish(func, conv, tile, store, by_rows=True))


TDC = scheduled(definition.TDC, schedule)
