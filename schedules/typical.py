"""What a size counts as that only the run time knows: one assumption, wherever layers are weighed.

Tiles are chosen to do well on typical sizes, and cycles are their mean over these, as if every one
were as likely. On GPUs a single size stands for all. A batch that is free counts as 1. Layers of
one network have the same picture, though: behind a resize by 2 it is twice as high and wide
(``tvm_deconv.transform.lower.weighed``).
"""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean

from .variant import Sizes

TYPICAL_SIZES = (17, 31, 57, 101, 128, 224, 540, 1080)

# The same for a line, which is a picture of one row: from frames of a spectrum to samples of sound.
TYPICAL_LENGTHS = (57, 128, 540, 4096, 65536)

# What a free size of a network is, all of whose layers have the same picture.
MEAN_SIZE = round(fmean(TYPICAL_SIZES))

# On GPUs.
GPU_SIZE = 128


def typical(sizes: Sizes) -> tuple[Sequence[int], Sequence[int]]:
    """Heights and widths to do well on: those of ``sizes``, or on a processor typical ones."""
    _, height, width = sizes
    lengths = TYPICAL_LENGTHS if height == 1 else TYPICAL_SIZES
    return (
        TYPICAL_SIZES if height is None else (height,),
        lengths if width is None else (width,),
    )


def means(sizes: Sizes) -> tuple[int, int]:
    """The height and the width where one of each has to do."""
    heights, widths = typical(sizes)
    return round(fmean(heights)), round(fmean(widths))


def of_model(is_free: bool) -> str:
    """Whose word a number of cycles is, for the reasons that ``explain`` prints."""
    return "machine model at typical sizes" if is_free else "machine model"
