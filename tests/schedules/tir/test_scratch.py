"""Scratch is as large as the loops that fill it, and is allocated where it is used."""

from __future__ import annotations

import pytest
import tvm_ffi
from kernel import function
from tvm import tirx

from tvm_deconv.algebra.geometry import ConvAxis, ConvTranspose2d, axis_of_subpixel

AXIS = axis_of_subpixel(ConvAxis(3, 1, 1), 2)
LAYER = ConvTranspose2d(5, 8, AXIS, AXIS)


def buffers(variant, symbolic):
    """The extents of what a kernel allocates, by name, and its tile."""
    func, tile = function(variant, LAYER, (2, 40, 100), symbolic=symbolic)
    found = {}

    def note(alloc):
        assert alloc.buffer.name not in found
        found[alloc.buffer.name] = [int(size) for size in alloc.buffer.shape]

    tvm_ffi.structural_walk(func.body, (tirx.AllocBuffer, note))
    return found, tile


@pytest.mark.parametrize("symbolic", ["", "w", "nhw"])
def test_scratch_is_that_of_a_strip_or_a_tile(symbolic):
    found, tile = buffers("revd2", symbolic)
    halo = LAYER.h.halo_extent, LAYER.w.halo_extent
    assert found["pad"] == [1, 5, tile.rows + halo[0], tile.block_columns + halo[1]]
    phases = 2 if tile.inner_fh else 1
    of_tile = [1, 1, tile.channels, phases]
    assert found["phases"] == [*of_tile, 2, 1, tile.tile_columns]
    assert found["interleave"] == [*of_tile, 1, 2 * tile.tile_columns]
    assert found["edge"] == [tile.channels * phases, 2 * tile.tile_columns]


@pytest.mark.parametrize("variant", ["tdc", "revd", "stdd"])
def test_sums_of_a_strip_are_allocated_for_it(variant):
    found, tile = buffers(variant, "hw")
    sums = found[{"tdc": "planes", "revd": "gather", "stdd": "phases"}[variant]]
    of_one = 4 * tile.rows * tile.block_columns
    count = 1
    for extent in sums:
        count *= extent
    assert count == of_one * 8
