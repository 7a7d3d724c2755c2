"""STDD where its loops over strips stay apart, as they do where a size is free."""

from __future__ import annotations

from dataclasses import replace

import pytest
from kernel import HOST, check

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.variant import Sizes

LINE = Axis(1), Axis(4, pad_begin=1)


@pytest.mark.parametrize("symbolic", ["", "w", "hw"])
@pytest.mark.parametrize("groups, splits", [(1, 2), (3, 1), (2, 2)])
def test_groups_and_shares_of_the_channels_read_their_own_weights(groups, splits, symbolic):
    conv = ConvTranspose2d(4 * groups, 8 * groups, *LINE, groups)
    tile = VARIANTS["stdd"].choose(conv, Sizes(1, None, None), machine_of(HOST))
    tile = replace(tile, channel_splits=splits, rows=1, parallel=True)
    check("stdd", conv, (1, 1, 150), symbolic=symbolic, parameters=tile)
