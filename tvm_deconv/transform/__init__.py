"""Relax passes: recognise upsampling convolutions and rewrite them."""

from __future__ import annotations

from tvm_deconv.transform.lower.byte_pools import LowerBytePools
from tvm_deconv.transform.lower.byte_resizes import LowerByteResizes
from tvm_deconv.transform.lower.convolutions import LowerConvolutions
from tvm_deconv.transform.lower.lookups import LowerLookups
from tvm_deconv.transform.lower.lower_integers import LowerIntegers
from tvm_deconv.transform.lower.shuffles import LowerShuffles

from .check_sizes import CheckSizes
from .decompose import DecomposePixelShuffle
from .fold import FoldConstants, FoldExactly
from .fold_scales import FoldScales
from .keep_bytes import KeepBytes
from .keep_nan import KeepNaN
from .many_phases import PhasesToChannels
from .merge_equal import MergeEqual
from .one_dimension import AddHeight
from .outer_taps import DropOuterTaps
from .rewrite import RewriteUpsampling, explain, rewrite_upsampling
from .separate import SeparateCopies

__all__ = [
    "AddHeight",
    "CheckSizes",
    "DecomposePixelShuffle",
    "DropOuterTaps",
    "FoldConstants",
    "FoldExactly",
    "FoldScales",
    "KeepBytes",
    "KeepNaN",
    "LowerBytePools",
    "LowerByteResizes",
    "LowerConvolutions",
    "LowerIntegers",
    "LowerLookups",
    "LowerShuffles",
    "MergeEqual",
    "PhasesToChannels",
    "RewriteUpsampling",
    "SeparateCopies",
    "explain",
    "rewrite_upsampling",
]
