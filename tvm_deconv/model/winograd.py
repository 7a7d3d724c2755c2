"""Counts of Winograd's form of tdc, for which the paper has none.

Along one axis F(m, T) computes m outputs of a phase with T taps from p = m + T - 1 samples by p
products. A phase with more taps than that pays for is cut into q pieces of T = m, each of which
reads the tiles of the piece before, one later. All phases read the same tiles of m samples; where
they start at different offsets, the last starts s samples late, and t = ceil((blocks + s) / m)
tiles cover the output. Taps d samples apart take tiles of d residues: t = d ceil((blocks + s) /
(m d)). With the symbols of ``counts`` and squares for both axes:

    products    N t² p² q² r² O I/g         weights   p² q² r² O I/g
    transform   reads N I H², writes N I t² p² (processing); B^T d B for each tile and channel
    sums        read N I t² p², write N O r² t² p² (activation)
    outputs     reads those, writes N O OH² (processing); A^T M A for each tile, phase and channel

Where phases share a product, (p-1) r + 1 stands for p r in products, weights and what sums write.
The arithmetic of the transforms is counted as products with the entries of the matrices that are
not 0, those along the rows after those along the columns. Our kernel shares the even and odd parts
of two rows, so it does less, and it keeps both intermediates in a cache, strip by strip. Lavin and
Gray, CVPR 2016 (arXiv 1509.09308), count the same passes.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.algebra.winograd import Filter, filters
from tvm_deconv.errors import VariantError

from .counts import Counts, in_bytes
from .operators import Operator


def winograd_counts(operator: Operator, outputs: tuple[int, int], shared: bool = False) -> Counts:
    """Counts for tiles of ``outputs`` (rows, columns) of every phase, which may share products.

    Raises VariantError where phases do not share their input, GeometryError for tiles without
    known points.
    """
    conv, batch = operator.conv, operator.batch
    rows, columns = filters(conv, outputs, shared)
    h = _Tiles(conv.h, operator.height, rows)
    w = _Tiles(conv.w, operator.width, columns)
    tiles, points = batch * h.count * w.count, h.points * w.points
    phases, products = conv.h.stride * conv.w.stride, h.products * w.products
    inputs, sums = conv.in_channels * tiles, conv.out_channels * phases * tiles
    weights = products * h.pieces * w.pieces * conv.out_channels * conv.group_inputs
    spread = inputs * (h.data * w.points + h.points * w.data)
    gather = sums * (h.inverse * w.points + h.outputs * w.inverse)
    found = Counts(
        multiply_adds=tiles * weights + spread + gather,
        weight_words=weights,
        activation_words_read=inputs * points,
        activation_words_written=conv.out_channels * tiles * products,
        processing_words_read=prod(operator.input_shape) + sums * points,
        processing_words_written=inputs * points + prod(operator.output_shape),
    )
    return in_bytes(found, operator.word_bytes, operator.weight_word_bytes)


class _Tiles:
    """Tiles along one axis; ``data`` and ``inverse`` are the entries of the matrices but for 0."""

    def __init__(self, axis: Axis, size: int, known: Filter) -> None:
        if not all(axis.taps(phase) for phase in range(axis.stride)):
            raise VariantError(f"winograd needs taps in every phase, {axis} has phases without")
        matrices = known.matrices
        self.outputs, self.points, self.pieces = known.outputs, known.points, known.pieces
        self.products = known.products * axis.stride // known.sharing
        self.count = known.step * -(-(axis.blocks(size) + max(axis.shifts)) // known.unit)
        self.data, self.inverse = (
            int(np.count_nonzero(matrix)) for matrix in (matrices.data, matrices.inverse)
        )
