"""Relax passes: recognise upsampling convolutions and rewrite them."""

from __future__ import annotations

from .decompose import DecomposePixelShuffle
from .keep_nan import KeepNaN
from .lower import LowerConvolutions
from .lower_shuffle import LowerShuffles
from .rewrite import RewriteUpsampling, explain, rewrite_upsampling

__all__ = [
    "DecomposePixelShuffle",
    "KeepNaN",
    "LowerConvolutions",
    "LowerShuffles",
    "RewriteUpsampling",
    "explain",
    "rewrite_upsampling",
]
