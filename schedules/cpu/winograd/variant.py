"""Winograd's form of TDC: the phases are small convolutions, and small convolutions can be cheap.

Every phase of a transposed convolution is a stride-1 convolution over the same input with a few
taps (3x3 for a sub-pixel convolution with K = 3, 2x2 for a nearest resize by 2 and K = 3; a plain
3x3 layer is the case of one phase). F(m, k) of ``algebra.cook_toom`` computes m x m outputs of
such a convolution with (m + k - 1)^2 products instead of (m k)^2, and its transform of the input
depends neither on the phase nor on the output channel: all share it.

    pad        x with a zero border, a strip of rows and columns at a time
    spread     pad[m*t + p] -> [p][t]: neighbouring tiles side by side, since a vector holds tiles
    transform  B^T d B for every tile d of every input channel: of columns before they are spread
    products   sum over input channels, for each of the (m + k - 1)^2 points: a matrix product;
               a long kernel's pieces are summed, too, each of which reads tiles that come later
    outputs    A^T M A, m x m outputs of each phase
    store      one output element each, interleaved, with the pointwise operators that follow

Taps d samples apart (dilation): the samples of each residue by d are a convolution of their own
with taps side by side. Spread deals a row to vectors by the residue by m*d instead of m, and there
are d rows of tiles for one; no zero is multiplied. A layer of one dimension is a picture of one
row: F(1, 1) in height does nothing, and F(m, k) in width may have more points, see
``algebra.winograd``.

A strip has its own border, so that strips are independent. Loop nest after scheduling:

    parallel n, strip, [phase in height], [group], [share of the channels]:
        for ic: pad, spread and transform one channel of the strip
        for block of output channels:
            for point, rows, vector of tiles:
                acc = 0; for ic, piece: acc += weight * transform; products = acc
            for channel, fh, row of tiles: outputs of all fw; interleave and store the rows

Weights are G w G^T of every phase, packed as
[g][phase in height][block][point_h][point_w][rows][ic][piece][row].

Tiles of a strip start where the earliest phase reads, so that of a later phase the first row of
tiles has an output before the map, and there is one row of tiles more: of a map of 16 rows and
kernel 4, stride 2, 9 rows of two outputs in place of 8. Strips of one phase (``apart``) have 8, and
transform the input again for each. In width likewise, if each phase has tiles of its own
(``shifted``): kernel 4, stride 2 over 8 columns has 4 of two outputs for each of two phases, not 5
that both read, and products of 16 tiles in place of 20.

Of a stack of slices (``algebra.slices``) the depth is an axis, too (``depth``): strips, tiles,
points and pieces have it as the outermost of their axes.

    read       the slices of a tile along the depth; B^T of each vector of samples along it
    transform  as above, each point's slice; the points of a channel and point (u, v) side by side
    products   also for each point of the depth; or added over its taps, that is pieces
    outputs    A^T of products along the depth, in their place; then as above, slice by slice

A strip is as large as pays: its transformed input and a block's products stay in the level-2 cache
for layers of 64 channels, while nearest r2 256->256 at 64 x 64 is one strip of 15 MB in the level-3
cache, because its 44 MB of transformed weights are read again for every strip. Measured on two
cores of Zen 4 (EPYC, AVX-512, November 2026), times REVD2's speed: plain 3x3 64->64 at 224 x 224
2.5, sub-pixel r2 64->64 3.3, nearest r2 64->64 1.7, 256->256 2.1, sub-pixel r3 32->1 1.2. The
products run at 90 % of the multiply-add peak; in the plain layer they are 60 % of the time, reading
and transforming the input 22 %, the way back to the output 17 %.
"""

from __future__ import annotations

from typing import Any

from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing, Winograd
from tvm_deconv.algebra.winograd import most_taps, tile_outputs
from tvm_deconv.schedules.algorithms.expressions import static
from tvm_deconv.schedules.algorithms.names import OUTPUTS, PAD, PRODUCTS, STORE, TRANSFORM
from tvm_deconv.schedules.cpu import steps
from tvm_deconv.schedules.tir.last_steps import OPT_LEVEL, for_llvm
from tvm_deconv.schedules.tir.stacks import INSIDE_SLICES
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Variant

from . import steps as winograd_steps
from .choice import choose_tile, choose_tiles
from .cycles import tile_cycles
from .finish import finish
from .layout import Layout, multiply_adds
from .places import Places
from .space import WinogradSpace
from .tile import WinogradTile

# LLVM's third level writes out loops of few turns that are long already: twice the time, half as
# much code again, and as fast (0.84 to 1.05 of the time of 24 layers on an Intel Xeon, AVX-512).
_OPT_LEVEL = 2


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why there is nothing to gain, or nothing known, for this geometry; None if there is.

    Sums in float16 would lose all but the first digits, since the transforms subtract numbers that
    are up to a hundred times as large as the outputs.
    """
    if accumulate == "float16":
        return "sums in float16 are too coarse for the differences that the transforms take"
    axes = (("height", conv.h), ("width", conv.w))
    for name, axis in axes:
        if any(not axis.taps(phase) for phase in range(axis.stride)):
            return f"some phases have no tap in {name}, so they share no input with the others"
    if max(conv.h.max_taps, conv.w.max_taps) < 2:
        return "phases have 1 tap, where no product can be saved"
    for (name, axis), outputs in zip(axes, tile_outputs(conv), strict=True):
        if not outputs:
            return (
                f"phases have {axis.max_taps} taps in {name}, at most {most_taps(conv)} are known"
            )
    return None


def packing(conv: ConvTranspose2d, tile: WinogradTile) -> Packing:
    """For each point a matrix of rows and input channels, in register tiles of rows."""
    order = "g f b u v row/n ic piece row%n"
    sizes = tile.channels, tile.outputs, tile.block
    return Winograd(conv, order, *sizes, tile.shared, tile.apart, tile.depth[0], tile.shifted)


def compute(
    conv: ConvTranspose2d, tile: WinogradTile, x: te.Tensor, packed: te.Tensor
) -> te.Tensor:
    """The stages: y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype.

    Only ``pad`` and ``products`` are the algorithm. ``finish`` writes both transforms, so of them
    there is what is read and how large they are: TVM would simplify matrices and places for longer
    than the rest of a kernel's schedule takes.
    """
    batch, _, height, width = (static(dim) for dim in x.shape)
    layout = Layout(conv, tile)
    d, h, w, groups, inputs = layout.d, layout.h, layout.w, conv.groups, layout.group_inputs
    places = Places(layout, height)
    strips = (batch, places.strips, w.strips(width), h.kinds)
    zero = tirx.const(0, ACCUMULATE_DTYPE)

    def padded(n, sy, sx, f, c, i, j):
        k, i = _divmod(i, h.inputs) if places.slices else (0, i)
        row, inside = places.read(sy, f, k, i)
        column = sx * w.span + w.first + j
        inside = tirx.all(*inside, column >= 0, column < width)
        channel = c if inputs == conv.group_inputs else c // inputs * conv.group_inputs + c % inputs
        value = x[n, channel, row, column].astype(ACCUMULATE_DTYPE)
        return tirx.if_then_else(inside, value, zero)

    pad_shape = (*strips, groups * inputs, d.inputs * h.inputs, layout.spread * w.unit)
    pad = te.compute(pad_shape, padded, name=PAD)

    tiles = d.points * layout.point_tiles if d.points > 1 else layout.read_tiles
    transform = te.compute(
        (*strips, groups, h.points, w.filter.transformed, inputs, tiles),
        lambda n, sy, sx, f, g, u, v, ic, tau: pad[n, sy, sx, f, g * inputs + ic, 0, 0],
        name=TRANSFORM,
    )

    ic = te.reduce_axis((0, inputs), "ic")
    piece = te.reduce_axis((0, layout.pieces), "piece")

    def multiplied(n, sy, sx, f, g, blk, u, product, row, tau):
        v, t = _divmod(product, d.points) if d.points > 1 else (product, 0)
        at = h.filter.point(u), w.filter.point(v)
        tiles = t * layout.point_tiles + tau + layout.later_tiles(piece)
        read = (n, sy, sx, f, g, *at, ic, tiles)
        lane = row % tile.channels
        weight = packed[g, f, blk, u, product, row // tile.channels, ic, piece, lane]
        return te.sum(transform[read] * weight, axis=[ic, piece])

    products = te.compute(
        (*strips, groups, layout.blocks, *layout.products, layout.rows, layout.strip_tiles),
        multiplied,
        name=PRODUCTS,
    )
    shape = conv.output_shape(batch, height, width)
    outputs = te.compute(
        shape, lambda n, c, oh, ow: products(n, *[0] * (len(products.shape) - 1)), name=OUTPUTS
    )
    return te.compute(shape, lambda *at: outputs[at].astype(x.dtype), name=STORE)


def schedule(func: tirx.PrimFunc, conv: ConvTranspose2d, tile: WinogradTile) -> tirx.PrimFunc:
    """The CPU loop nest above, for a function made of ``compute`` and pointwise consumers."""
    sch = Schedule(func, enable_check=False)
    store = steps.inline_epilogue(sch, keep=(PAD, TRANSFORM, PRODUCTS, OUTPUTS))
    winograd_steps.tile_products(sch, tile)
    layout = Layout(conv, tile)
    finished = for_llvm(finish(sch.mod["main"], layout, store)).with_attr(OPT_LEVEL, _OPT_LEVEL)
    return finished if layout.depth_slices is None else finished.with_attr(INSIDE_SLICES, True)


def _divmod(value: Any, unit: int) -> tuple[Any, Any]:
    return value // unit, value % unit


WINOGRAD = Variant(
    name="winograd",
    summary="TDC with phases by Winograd's F(m, k), which share one transformed input",
    parameters=WinogradTile,
    space=WinogradSpace(),
    choose=choose_tile,
    choose_each=choose_tiles,
    cycles=tile_cycles,
    packing=packing,
    compute=compute,
    schedule=schedule,
    multiply_adds=multiply_adds,
    refusal=refusal,
    maps_input=True,
)
