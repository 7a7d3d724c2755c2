"""``depthwise``: sums over the taps of one input channel, vectors along its columns.

What is said of the loop nests stands in ``write`` and ``flat``.
"""

from __future__ import annotations

from tvm import te, tirx

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.tir.last_steps import NAMES_IN_MEMORY
from tvm_deconv.schedules.tir.sizes import sizes_of
from tvm_deconv.schedules.variant import Variant

from .flat import FlatWriter
from .space import DepthSpace
from .tile import DepthTile, choose_depth, depth_cycles, refusal
from .write import RowsWriter


def packing(conv: ConvTranspose2d, tile: DepthTile) -> Direct:
    """The weights of a channel, phase by phase."""
    return Direct(conv, "g o/n fh fw th tw", 1)


def compute(conv: ConvTranspose2d, tile: DepthTile, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    return stages.written_out(conv, x, stages.weights_in(packed, packing(conv, tile)))


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: DepthTile) -> tirx.PrimFunc:
    """The loop nest, for a function made of ``compute`` and pointwise consumers."""
    writer = FlatWriter if tile.flat else RowsWriter
    written = writer(func, conv, tile).write()
    # Of known sizes there is little to simplify.
    return written.with_attr(NAMES_IN_MEMORY, True) if sizes_of(func) else written


DEPTHWISE = Variant(
    name="depthwise",
    summary="one input channel for each output: rows of it in registers",
    parameters=DepthTile,
    space=DepthSpace(),
    choose=choose_depth,
    cycles=depth_cycles,
    packing=packing,
    compute=compute,
    refusal=refusal,
    schedule=schedule,
    has_steps=True,
    for_volumes=False,
    of_groups=True,
)
