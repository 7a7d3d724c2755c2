"""Parameters of the Winograd form."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

# Lines of output that are prefetched for a block: more would not stay in a level-2 cache of 256 KiB
# beside the weights.
MOST_FETCHED = 2048


def largest(a: int, b: int) -> int:
    """Of two integers, or of each pair in arrays of them, which ``max`` does not compare."""
    return a + (b > a) * (b - a)


def least(a: float, b: float) -> Any:
    """Likewise."""
    return a - (a > b) * (a - b)


@dataclass(frozen=True)
class WinogradTile:
    """Parameters of the loop nest in ``winograd``.

    A tile gives ``outputs`` (rows, columns) of every phase. A strip is ``tiles`` (rows, columns) of
    them; its transformed input stays in cache while ``block`` output channels after the other are
    computed from it. ``channel_splits`` strips of equal place run in parallel, each with its share
    of the blocks. The register tile of the products is ``channels`` rows, a row being a phase of an
    output channel, by ``vectors`` vectors of ``lanes`` tiles; ``unroll`` input channels are written
    out in the reduction. ``weight_vectors`` loads the weights of an input channel in whole vectors.
    With ``shared`` the phases have products in common along each axis where their taps have equal
    sums (``algebra.winograd``); they are products then, not rows. With ``apart`` each phase in
    height has strips of its own, which begin where its first tap reads. With ``shifted`` each phase
    in width has tiles of its own, likewise, and its products are not rows. Of a stack of slices
    ``depth`` are the outputs of a tile along the depth, and the tiles of a strip; (0, 0) where the
    depth is no axis of the tiles.
    """

    lanes: int
    vectors: int
    channels: int
    outputs: tuple[int, int]
    tiles: tuple[int, int]
    block: int
    channel_splits: int = 1
    unroll: int = 1
    parallel: bool = True
    weight_vectors: bool = False
    shared: bool = False
    apart: bool = False
    depth: tuple[int, int] = (0, 0)
    shifted: bool = False
