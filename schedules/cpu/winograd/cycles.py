"""Cycles of the stages of Winograd's form, those of one multiply-add of whole vectors."""

from __future__ import annotations

from dataclasses import dataclass

from tvm_deconv.schedules.cpu.machine import CpuMachine


@dataclass(frozen=True)
class StageCycles:
    """Cycles of a vector of tiles or of outputs, and bytes in a cycle.

    Copying a vector of input, on its way from memory, takes ``read``, and each of the shuffles that
    deal it out ``deal``. Transforming a vector of tiles takes ``transform`` for each point, and
    back ``invert``; along the one axis of a line ``line_transform`` and ``line_invert``. Storing a
    vector of outputs takes ``store``, and each of the shuffles that interleave it ``interleave``. A
    vector of a register tile takes ``drain`` to be set to zero and stored.

    The others are bytes in a cycle: of ``weights``, which are prefetched, of ``scratch``, and of
    that of a line, whose rows lie far apart, each between a core and the level-3 cache and between
    a core and memory; and ``line_loads`` of a line's scratch in the level-2 cache.
    """

    read: float
    deal: float
    transform: float
    invert: float
    line_transform: float
    line_invert: float
    store: float
    interleave: float
    drain: float
    weights: tuple[float, float]
    scratch: tuple[float, float]
    line_scratch: tuple[float, float]
    line_loads: float


# Of one Zen 4 core (EPYC, AVX-512), fitted to the times of 120 tiles for ten layers, plain,
# sub-pixel, nearest and transposed, with 32 to 256 channels; the model is 10 % away from a time on
# average, which is about what two runs on that machine differ by.
_AVX512 = StageCycles(5, 4, 13, 5, 7, 3, 8, 4, 5, (30, 4), (10, 4), (4, 4), 64)

# Of AVX2, where two multiply-adds start in a cycle and none of the shuffles takes two registers:
# fitted to 110 tiles for 13 layers, code for Haswell on an Intel Xeon (Emerald Rapids), one thread.
# The model is 16 % away on average with that processor's caches. Of lines none was measured: what
# they take is half of the above, since a cycle has two multiply-adds.
_AVX2 = StageCycles(4, 3.5, 6.5, 2.6, 3.5, 1.5, 8.5, 9.5, 2.4, (15, 5), (4, 2.5), (2, 2), 32)


def cycles_of(machine: CpuMachine) -> StageCycles:
    """Those of the machine's kind."""
    return _AVX2 if machine.has_few_registers else _AVX512
