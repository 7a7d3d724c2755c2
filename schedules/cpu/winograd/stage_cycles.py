"""What the stages of Winograd's form cost on each kind of processor, as it was measured."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import inf

from tvm_deconv.schedules.cpu.machine import CpuMachine


@dataclass(frozen=True)
class StageCycles:
    """Cycles of a vector of tiles or of outputs, and bytes in a cycle.

    Copying a vector of input, on its way from memory, takes ``read``, and each of the shuffles that
    deal it out ``deal``. Transforming a vector of tiles takes ``transform`` for each point, and
    back ``invert``. In a row of tiles that does not begin with a whole vector, most vectors lie in
    two cache lines, and take ``split_transform`` and ``split_invert`` more. Storing a vector of
    outputs takes ``store``, ``unfetched`` more where its line was not prefetched, and each of the
    shuffles that interleave it ``interleave``. A vector of a register tile takes ``drain`` to be
    set to zero and stored, each load for a multiply-add ``load``, and one of samples or of products
    ``deep`` to be transformed along the depth of a volume.

    The others are bytes in a cycle: of ``weights``, which are prefetched, and of ``scratch``, each
    between a core and the level-3 cache and between a core and memory; and of scratch in the
    level-2 cache ``loads``. Of that cache ``near`` times what may be counted on is. Products, of
    which all points are read in turn, count ``scattered`` times beyond it. If ``far_part`` is not
    0, one of so many parts of the level-3 cache counts, and of a strip that takes more only what is
    too much comes from memory.
    """

    read: float
    deal: float
    transform: float
    invert: float
    split_transform: float
    split_invert: float
    store: float
    unfetched: float
    interleave: float
    drain: float
    deep: float
    load: float
    weights: tuple[float, float]
    scratch: tuple[float, float]
    loads: float
    near: int = 1
    scattered: int = 1
    far_part: int = 0


# Of one Zen 4 core (EPYC, AVX-512), fitted to the times of 120 tiles for ten layers, plain,
# sub-pixel, nearest and transposed, with 32 to 256 channels; the model is 10 % away from a time on
# average, which is about what two runs on that machine differ by. Split vectors make no difference
# to the 1,079 times of its tuning log; lines were not prefetched then.
_AVX512 = StageCycles(
    read=5,
    deal=4,
    transform=13,
    invert=5,
    split_transform=0,
    split_invert=0,
    store=8,
    unfetched=0,
    interleave=4,
    drain=5,
    deep=6,
    load=0.03,
    weights=(30, 4),
    scratch=(10, 4),
    loads=inf,
)
# Lines are transformed along one axis, and their rows of scratch lie far apart.
_AVX512_LINES = replace(_AVX512, transform=7, invert=3, scratch=(4, 4), loads=64)

# Of an Intel Xeon (model 207, AVX-512), where a core loads and computes twice as many whole vectors
# in a cycle, and a shuffle starts in each: fitted to 853 tiles for twenty layers, one thread. The
# model is 11 % away from a time there, with Zen 4's shuffles and loads 14 %. Of the tiles of a
# layer that these prefer, its first is 1.4 % slower than the fastest on average, theirs 6.4; of all
# tiles of a layer that were measured together 1.3 and 3.8 %.
_INTEL = replace(
    _AVX512,
    read=8,
    deal=1.3,
    split_transform=12,
    split_invert=6,
    store=10,
    unfetched=6,
    interleave=1.4,
    drain=2,
    load=0.2,
    loads=100,
)
# Lines there: fitted to 430 tiles for 21 layers of 3 to 15 taps, one thread. They may fill all of
# the level-2 cache, of which half counts (``cpu.machine``). The model is 9 % away from a time, and
# what it takes first 3 % slower than the best on average; with Zen 4's numbers 23 % and 6 %.
_INTEL_LINES = replace(_AVX512_LINES, transform=3, unfetched=18, scratch=(6, 4), near=2)

# Pictures on Zen 5 (EPYC, family 26 model 2) fare with Intel's but for this, by 555 tiles for 22
# layers, two threads of an idle machine: of the tiles of a layer the first is 0.3 % slower than the
# best on average, with Intel's numbers 1.7. Shuffles start beside what else a core does. What is
# transformed is read in order by each block of channels, so it comes ahead of its use from the
# level-3 cache; products lie in a place for each point, and do not. So blocks of not too many
# channels are faster: 256->256 behind a resize by 2 takes 0.88 of the time with 32 in place of 64.
# The level-3 cache is everybody's: half of a core's share counts. Volumes fare alike: of 52 tiles
# of six layers (one thread, CPU time beside other programs) the first is 5 % slower than the best
# on average, with Intel's numbers 30: 96->32 channels of 64x64x64 have strips of 7 MB, not of 220,
# and take 0.59 of the time, 64->64 of 32x32x32 0.67.
_ZEN5 = replace(
    _INTEL,
    deal=0.5,
    split_transform=6,
    split_invert=3,
    interleave=0.5,
    scratch=(30, 8),
    scattered=6,
    far_part=2,
)
# Of lines there the shuffles are as for pictures: of 46 tiles of five lines, beside other programs,
# the first is 3.7 % slower than the fastest on average, which was 5.7.
_ZEN5_LINES = replace(_INTEL_LINES, deal=1.3, interleave=1.4)

# Of AVX2, where two multiply-adds start in a cycle and none of the shuffles takes two registers:
# fitted to 110 tiles for 13 layers, code for Haswell on an Intel Xeon (Emerald Rapids), one thread.
# The model is 16 % away on average with that processor's caches. Of lines none was measured: what
# they take is half of the above, since a cycle has two multiply-adds. What split vectors and lines
# that are not prefetched take was fitted to 288 tiles for ten layers likewise, two threads.
_AVX2 = StageCycles(
    read=4,
    deal=3.5,
    transform=6.5,
    invert=2.6,
    split_transform=5,
    split_invert=3,
    store=8.5,
    unfetched=18,
    interleave=9.5,
    drain=2.4,
    deep=4,
    load=0.03,
    weights=(15, 5),
    scratch=(4, 2.5),
    loads=inf,
)
_AVX2_LINES = replace(
    _AVX2,
    transform=3.5,
    invert=1.5,
    split_transform=0,
    split_invert=0,
    scratch=(2, 2),
    loads=32,
)


def cycles_of(machine: CpuMachine, line: bool) -> StageCycles:
    """Those of the machine's kind, for lines or for pictures and volumes."""
    if machine.has_few_registers:
        return _AVX2_LINES if line else _AVX2
    if machine.is_zen5:
        return _ZEN5_LINES if line else _ZEN5
    if machine.has_wide_avx512:
        return _INTEL_LINES if line else _INTEL
    return _AVX512_LINES if line else _AVX512
