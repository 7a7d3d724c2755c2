"""Does a convolution that is split at a Concat cost less than the one that it was?

Counted per output pixel, whatever the size is. The whole convolution reads a Concat that was
written: two passes over all C channels. The split one spares them, and of every channel of an input
that was resized by r it needs T/r² products for each output channel instead of K² (T taps of the
transposed kernel; of a volume T/r³ and K³). In return each of the J sums of two terms reads what a
kernel more has written, all O output channels; with groups one Concat does it. It pays if

    BALANCE * (2 C + 2 L - 2 D - 2 O J) + products spared > 0

where D are the channels of those inputs that stay and are joined again, and L those of maps that
were enlarged linearly, each of which is written and read before it is joined. Reading the inputs
themselves costs the same on both sides.

Where Winograd's form computes both, with few products for each tap, only a part of them is spared:
for K = 3, r = 2 the sixteenth that is counted is 0.3 of K² - T/r² = 5, and 2 - 1.56 = 0.44 are
spared by tiles of 6 x 4 and of 6 x 3. Measured on an Intel Xeon (Emerald Rapids), milliseconds of
one thread beside a busy one; the resize is not counted, the residual once in full:

    up + skip -> outputs    whole + Concat    split     counted
    128 + 64 -> 64, 128²    16.5              9.4       splits
    64 + 32 -> 32, 256²     17.3              11.4      splits
    64 + 64 -> 64, 128²     7.9               7.3       splits
    32 + 32 -> 64, 128²     4.0               4.4       splits
    64 + 64 -> 256, 64²     5.4               5.8       leaves
    32 + 32 -> 96, 128²     5.1               6.3       leaves
    16 + 16 -> 64, 128²     2.4               3.3       leaves
"""

from __future__ import annotations

from collections.abc import Iterable
from math import prod

from .convolution import Conv
from .graph import Graph, Refused, Transposed

# Products that a machine computes in the time of moving one float32 from or to memory: peak over
# bandwidth, of the one with the least bandwidth for its arithmetic among the devices that
# ``tvm_deconv.model`` has data of (Raspberry Pi 4B; the others have 8 to 16).
BALANCE = 20

# The share of the products above that Winograd's form spares, and from how many input channels of a
# group on it is what computes a layer.
WINOGRAD_SHARE, WINOGRAD_INPUTS = 1 / 16, 8


def pays(
    graph: Graph,
    conv: Conv,
    maps: Iterable[tuple[Transposed, tuple[int, ...]]],
    joins: int,
    copied: int,
    enlarged: int = 0,
) -> Refused | None:
    """None if the split pays, else the reason.

    ``maps`` are the transposed convolutions with their factors, ``joins`` how often all
    outputs are written and read again (J), ``copied`` the channels of a new Concat (D), and
    ``enlarged`` those of maps that need not be enlarged linearly any more (L).
    """
    outputs, inputs, *kernel = conv.weight.shape
    spared = 0.0
    for op, factor in maps:
        taps = prod(axis.useful_taps for axis in op.axes) / prod(factor)
        spared += op.in_channels * op.group_outputs * (prod(kernel) - taps)
    if graph.has_winograd and inputs >= WINOGRAD_INPUTS:
        spared *= WINOGRAD_SHARE
    floats = 2 * (conv.in_channels + enlarged - copied - outputs * joins)
    if BALANCE * floats + spared > 0:
        return None
    return Refused(
        f"splitting {graph.describe(conv.var)} does not pay: it spares {spared:.0f} products an "
        f"output pixel and moves {-floats} values more, each worth {BALANCE} products"
    )
