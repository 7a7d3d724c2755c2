"""All variants for GPUs by name, in the order in which a tie is decided."""

from __future__ import annotations

from tvm_deconv.schedules.gpu.winograd.variant import WINOGRAD
from tvm_deconv.schedules.variant import Variant

from .revd import REVD
from .revd2 import REVD2, REVD2_IN_HALF
from .stdd import STDD
from .strd import STRD
from .tdc import TDC

GPU_VARIANTS: dict[str, Variant] = {
    variant.name: variant for variant in (REVD2, WINOGRAD, TDC, REVD, STDD, STRD)
}

# By the names of those that they stand for, with sums of float16.
GPU_IN_HALF: dict[str, Variant] = {variant.name: variant for variant in (REVD2_IN_HALF,)}
