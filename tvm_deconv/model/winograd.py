"""Counts of Winograd's form of tdc, for which the paper has none.

Along one axis F(m, T) computes m outputs of a phase with T taps from p = m + T - 1 samples by p
products. All phases read the same tiles of m samples; where they start at different offsets, the
last starts s samples late, and t = ceil((blocks + s) / m) tiles cover the output. With the symbols
of ``counts`` and squares for both axes:

    products    N t² p² r² O I/g            weights   p² r² O I/g
    transform   reads N I H², writes N I t² p² (processing); B^T d B for each tile and channel
    sums        read N I t² p², write N O r² t² p² (activation)
    outputs     reads those, writes N O OH² (processing); A^T M A for each tile, phase and channel

The arithmetic of the transforms is counted as products with the entries of the matrices that are
not 0, those along the rows after those along the columns. Our kernel shares the even and odd parts
of two rows, so it does less, and it keeps both intermediates in a cache, strip by strip. Lavin and
Gray, CVPR 2016 (arXiv 1509.09308), count the same passes.
"""

from __future__ import annotations

from math import prod

import numpy as np

from tvm_deconv.algebra.cook_toom import transforms
from tvm_deconv.algebra.geometry import Axis
from tvm_deconv.errors import VariantError

from .counts import Counts, in_bytes
from .operators import Operator


def winograd_counts(operator: Operator, outputs: tuple[int, int]) -> Counts:
    """Counts for tiles of ``outputs`` (rows, columns) of every phase.

    Raises VariantError where phases do not share their input, GeometryError for tiles without
    known points.
    """
    conv, batch = operator.conv, operator.batch
    h = _Tiles(conv.h, operator.height, outputs[0])
    w = _Tiles(conv.w, operator.width, outputs[1])
    tiles, points = batch * h.count * w.count, h.points * w.points
    phases = conv.h.stride * conv.w.stride
    inputs, sums = conv.in_channels * tiles, conv.out_channels * phases * tiles
    weights = points * phases * conv.out_channels * conv.group_inputs
    spread = inputs * (h.data * w.points + h.points * w.data)
    gather = sums * (h.inverse * w.points + h.outputs * w.inverse)
    image = batch * conv.in_channels * operator.height * operator.width
    found = Counts(
        multiply_adds=tiles * weights + spread + gather,
        weight_words=weights,
        activation_words_read=inputs * points,
        activation_words_written=sums * points,
        processing_words_read=image + sums * points,
        processing_words_written=inputs * points + prod(operator.output_shape),
    )
    return in_bytes(found, operator.word_bytes, operator.weight_word_bytes)


class _Tiles:
    """Tiles along one axis; ``data`` and ``inverse`` are the entries of the matrices but for 0."""

    def __init__(self, axis: Axis, size: int, outputs: int) -> None:
        offsets = [axis.first_offset(phase) for phase in range(axis.stride)]
        if not all(axis.taps(phase) for phase in range(axis.stride)) or axis.tap_step != 1:
            raise VariantError(f"winograd needs phases with taps side by side, {axis} has others")
        matrices = transforms(outputs, axis.max_taps)
        self.outputs, self.points = outputs, outputs + axis.max_taps - 1
        self.count = -(-(axis.blocks(size) + max(offsets) - min(offsets)) // outputs)
        self.data, self.inverse = (
            int(np.count_nonzero(matrix)) for matrix in (matrices.data, matrices.inverse)
        )
