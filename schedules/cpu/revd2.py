"""REVD2, reverse deconvolution without modulo: output-stationary, each output written once.

The algorithm's stages run over a domain rounded up to whole tiles, so that no loop of the
reduction ever carries a remainder predicate:

    pad        x[n, c, i, j] with a zero border (rows and columns beyond the input read as 0)
    phases     sum over channels and taps, one stride-1 convolution per phase (fh, fw)
    interleave phases -> high-resolution rows; pure data movement (absent when stride_w = 1)
    edge       the same rows in memory, for tiles that cross the right edge (absent if none does)
    store      one output element each, the only stage with the output's exact shape

``store`` is where the pointwise operators that follow the convolution are inlined. A stride-1
``conv2d`` is the case of one phase. Loop nest after scheduling, ``acc`` in registers:

    parallel n, strip, column block, [group], [channel block]:
        pad the strip's input into scratch
        for o_tile, fh, y, x_tile:
            acc[o, fw, x] = 0
            for ic: for th, tw, o, fw, x (unrolled, x in vectors): acc += pad * weight
            store acc, interleaved

Weights are packed as [g][o/tile][fh][ic][th][tw][fw][o%tile], the order in which the inner loop
reads them. Why this form: every output is written once and accumulates in registers, and a vector
of ``lanes`` inputs is loaded once for ``o * fw`` multiply-adds. Phases take the place of the
modulo: a loop over phases runs along the output as the running offset does in arXiv 2107.07647.
Measured on two cores of Zen 4 (EPYC, AVX-512, November 2026), layers with 32 input channels or
more run at 90 to 97 % of the multiply-add peak; with one output channel, 75 to 80 %, because the
copy to scratch is then a fifth of the time.
"""

from __future__ import annotations

from tvm import tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.algorithms.names import EDGE, INTERLEAVE, PAD, PHASES
from tvm_deconv.schedules.half import in_half
from tvm_deconv.schedules.tir.last_steps import for_llvm
from tvm_deconv.schedules.tir.scratch import in_own_coordinates
from tvm_deconv.schedules.variant import scheduled

from . import steps
from .definitions import revd2 as definition
from .finish import finish
from .tiling import Tiling


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: Tiling) -> tirx.PrimFunc:
    """The CPU loop nest above, for a function made of ``compute`` and pointwise consumers."""
    # Prerequisite checks want a proof that rounded domains cover the output, which the analyser
    # does not find for symbolic sizes; `finish` makes every bound explicit.
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, PHASES, INTERLEAVE, EDGE))
    nest = steps.tile_phases(sch, PHASES, tile)
    steps.parallel_with_scratch(sch, PAD, nest)
    for stage in (INTERLEAVE, EDGE):
        if steps.has_stage(sch, stage):
            steps.at_tile(sch, stage, nest)
    steps.at_tile(sch, store, nest)
    if tile.weight_vectors:
        steps.weights_in_vectors(sch, PHASES, tile)
    steps.keep_in_registers(sch, PHASES, nest, tile)
    func = in_own_coordinates(sch.mod["main"], keep=EDGE)
    return for_llvm(finish(func, conv, tile, store))


REVD2 = scheduled(definition.REVD2, schedule)
REVD2_IN_HALF = in_half(REVD2)
