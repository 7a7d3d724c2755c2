"""How large the weights of a folded layer may become: a dilated kernel is written out for it.

3x3 taps 1000 apart behind a resize by 3 would be 2003x2003 of them: gigabytes, most of them zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from math import prod

from .convolution import Conv
from .graph import Graph, Refused

# 1x1 behind a nearest resize by 8 has 64 times as many; what is smaller than this never matters.
_TIMES, _SMALL = 64, 1 << 24


def refuse_growth(graph: Graph, conv: Conv, shape: Sequence[int]) -> Refused | None:
    """A reason not to fold ``conv`` into a layer whose weights have this ``shape``, or None."""
    before, after = int(conv.weight.size), prod(int(n) for n in shape)
    if after <= max(_SMALL, _TIMES * before):
        return None
    taps = "x".join(str(n) for n in shape[2:])
    return Refused(
        f"{graph.describe(conv.var)}, of dilation {list(conv.dilation)}, would have {taps} taps: "
        f"{after} weights in place of {before}"
    )
