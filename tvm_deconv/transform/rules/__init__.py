"""The rules by which upsampling patterns become transposed convolutions.

A new pattern is a module here with a ``Rule``, and a place among ``RULES``.
"""

from __future__ import annotations

from .nearest_resize import NearestResize
from .rule import Rule
from .subpixel import SubPixel

# In this order: a convolution between a resize and a shuffle can only go to one of them, and the
# shuffle gains more, since no pass over the large map remains.
RULES: tuple[Rule, ...] = (SubPixel(), NearestResize())
