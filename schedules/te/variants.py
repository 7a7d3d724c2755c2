"""All variants of TE by name, in the order in which a tie is decided."""

from __future__ import annotations

from tvm_deconv.schedules.variant import Variant

from .revd import REVD
from .revd2 import REVD2
from .stdd import STDD
from .strd import STRD
from .tdc import TDC

TE_VARIANTS: dict[str, Variant] = {v.name: v for v in (REVD2, TDC, REVD, STDD, STRD)}
