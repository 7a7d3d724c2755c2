"""``channels``: a vector holds output channels, and each input is broadcast.

What is said of the loop nest stands in ``write``.
"""

from __future__ import annotations

from tvm import te

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.schedules.algorithms import stages
from tvm_deconv.schedules.variant import Variant

from .space import PixelSpace
from .tile import PixelTile, choose_pixels, pixel_cycles
from .write import schedule

# Phases are written out, each with all of its taps.
_MOST_PHASES = 64
_MOST_TAPS = 4096


def refusal(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """Why the layer is not computed, in words."""
    phases = conv.h.stride * conv.w.stride
    if phases > _MOST_PHASES:
        return f"{phases} phases would have to be written out, at most {_MOST_PHASES} are"
    taps = conv.h.useful_taps * conv.w.useful_taps
    if taps > _MOST_TAPS:
        return f"{taps} taps would have to be written out, at most {_MOST_TAPS} are"
    return None


def packing(conv: ConvTranspose2d, tile: PixelTile) -> Direct:
    """The weights of a tile of channels, phase by phase, as they are read."""
    return Direct(conv, "g o/n fh fw th tw ic o%n", tile.channels)


def compute(conv: ConvTranspose2d, tile: PixelTile, x: te.Tensor, packed: te.Tensor) -> te.Tensor:
    """y (NCHW) from x (NCHW) and weights from ``pack_weights``; y has x's dtype."""
    return stages.written_out(conv, x, stages.weights_in(packed, packing(conv, tile)))


CHANNELS = Variant(
    name="channels",
    summary="vectors of output channels, each input broadcast",
    parameters=PixelTile,
    space=PixelSpace(),
    choose=choose_pixels,
    cycles=pixel_cycles,
    packing=packing,
    compute=compute,
    refusal=refusal,
    schedule=schedule,
    has_steps=True,
)
