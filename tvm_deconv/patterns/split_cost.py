"""Does a convolution that is split at a Concat cost less than the one that it was?

Counted per output pixel, whatever the size is. The whole convolution reads a Concat that was
written: two passes over all C channels. The split one spares them, and of every channel of an input
that was resized by r it needs T/r² products for each output channel instead of K² (T taps of the
transposed kernel). In return each of the J sums of two terms reads what a kernel more has written,
all O output channels; with groups one Concat does it. It pays if

    BALANCE * (2 C + 2 L - 2 D - 2 O J) + products spared > 0

where D are the channels of those inputs that stay and are joined again, and L those of maps that
were enlarged linearly, each of which is written and read before it is joined. Reading the inputs
themselves costs the same on both sides.
"""

from __future__ import annotations

from collections.abc import Iterable

from tvm_deconv.algebra.geometry import ConvTranspose2d

from .convolution import Conv
from .graph import Graph, Refused

# Products that a machine computes in the time of moving one float32 from or to memory: peak over
# bandwidth, of the one with the least bandwidth for its arithmetic among the devices that
# ``tvm_deconv.model`` has data of (Raspberry Pi 4B; the others have 8 to 16).
BALANCE = 20


def pays(
    graph: Graph,
    conv: Conv,
    maps: Iterable[tuple[ConvTranspose2d, tuple[int, int]]],
    joins: int,
    copied: int,
    enlarged: int = 0,
) -> Refused | None:
    """None if the split pays, else the reason.

    ``maps`` are the transposed convolutions with their factors, ``joins`` how often all
    outputs are written and read again (J), ``copied`` the channels of a new Concat (D), and
    ``enlarged`` those of maps that need not be enlarged linearly any more (L).
    """
    outputs, _, kernel_h, kernel_w = conv.weight.shape
    spared = 0.0
    for op, (rh, rw) in maps:
        taps = op.h.useful_taps * op.w.useful_taps / (rh * rw)
        spared += op.in_channels * op.group_outputs * (kernel_h * kernel_w - taps)
    floats = 2 * (conv.in_channels + enlarged - copied - outputs * joins)
    if BALANCE * floats + spared > 0:
        return None
    return Refused(
        f"splitting {graph.describe(conv.var)} does not pay: it spares {spared:.0f} products an "
        f"output pixel and moves {-floats} values more, each worth {BALANCE} products"
    )
