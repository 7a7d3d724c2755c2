"""What a schedule may know about a CPU: one frozen description, derived from a target's features.

Schedules ask this description and never look at a target's name. Features come from LLVM itself
(``target.target_has_feature``), which accounts for ``mtriple``, ``mcpu`` and ``mattr`` together.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path
from typing import ClassVar

from tvm.target import Target

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules import llvm

from .dot import PLAIN, Dot, dot_of, wide_dot_of
from .processors import available_processors


@dataclass(frozen=True)
class CpuMachine:
    """One processor, as far as loop tiling cares.

    ``lanes`` counts float32 values of one vector register. ``l1_bytes`` is one core's data cache
    and ``l2_bytes`` the level-2 cache that one core can count on. ``l3_bytes`` is a core's share of
    a level-3 cache, 0 where there is none. ``threads`` is the number of cores that a kernel may
    use. ``fp16_arithmetic`` says that float16 vectors can be added and multiplied without
    conversion to float32. ``multiplies_by_lane`` says that a multiply-add can take one lane of a
    register as its factor, so that one load brings ``lanes`` weights. ``memory_operands`` says that
    it can take a factor from memory, without a register for it. ``loads_per_multiply_add`` is how
    many loads can start with each multiply-add of whole vectors. ``keeps_nan`` says that there are
    maxima and minima in one instruction that are NaN where an operand is. ``narrow`` multiplies
    bytes by weights of int8, ``wide`` by weights of int16. A sum takes ``sum_bytes``.
    ``orders_bytes`` says that an instruction puts the bytes of a vector into any order.
    ``fuses`` says that it multiplies and adds with one rounding. ``is_amd`` says that it is a core
    of AMD's.
    """

    name: str
    lanes: int
    vector_registers: int
    l1_bytes: int
    l2_bytes: int
    threads: int
    fp16_arithmetic: bool = False
    multiplies_by_lane: bool = False
    memory_operands: bool = False
    l3_bytes: int = 0
    loads_per_multiply_add: int = 2
    keeps_nan: bool = False
    narrow: Dot = PLAIN
    wide: Dot = PLAIN
    sum_bytes: int = 4
    orders_bytes: bool = False
    fuses: bool = False
    is_amd: bool = False

    # Fields of a tile whose product is the number of sums in a thread's registers, as vectors.
    SUMS: ClassVar[tuple[str, ...]] = ("vectors", "channels")

    @property
    def multiply_adds(self) -> int:
        """Of float32 in a cycle of one thread, as far as the vector's width goes."""
        return self.lanes

    @property
    def has_few_registers(self) -> bool:
        """Whether it has the 16 registers of AVX2 and SSE, and operands of instructions in memory.

        ARM's processors of 16 registers have none, and spills cost them more.
        """
        return self.memory_operands and self.vector_registers <= 16

    @property
    def has_wide_avx512(self) -> bool:
        """Whether it multiplies whole vectors of AVX-512, two in a cycle: Intel's cores, Zen 5."""
        return self.loads_per_multiply_add == 1 and not self.has_few_registers

    @property
    def is_zen5(self) -> bool:
        """Whether it starts four operations on whole vectors of AVX-512 in a cycle.

        Two of them multiply, beside two loads. Intel's cores start two or three.
        """
        return self.has_wide_avx512 and self.is_amd

    @property
    def in_half(self) -> CpuMachine | None:
        """As kernels with sums of float16 see it; None where float16 is not computed in."""
        return replace(self, lanes=2 * self.lanes, sum_bytes=2) if self.fp16_arithmetic else None

    @property
    def near_bytes(self) -> int:
        """The memory that a kernel's weights had better fit into."""
        return self.l2_bytes


@dataclass(frozen=True)
class _VectorUnit:
    name: str
    feature: str
    lanes: int
    registers: int
    l2_bytes: int
    multiplies_by_lane: bool = False


_KIB = 1024

# Widest first: the first feature that a target has, decides. Level-2 sizes are those of the first
# core with the feature, so they never promise too much: Skylake-SP 1 MiB (Intel 64 and IA-32
# Optimization Reference Manual, 2.6), Haswell and Sandy Bridge 256 KiB (same, 2.9 and 2.10).
_X86_UNITS = (
    _VectorUnit("avx512", "avx512f", lanes=16, registers=32, l2_bytes=1024 * _KIB),
    _VectorUnit("avx2", "avx2", lanes=8, registers=16, l2_bytes=256 * _KIB),
    _VectorUnit("avx", "avx", lanes=8, registers=16, l2_bytes=256 * _KIB),
    _VectorUnit("sse", "sse2", lanes=4, registers=16, l2_bytes=256 * _KIB),
)

# SVE cores are described by their NEON half: TVM emits vectors of fixed length. 256 KiB is a
# core's share of the cluster's level-2 cache of a Cortex-A72 with 1 MiB for four cores (BCM2711).
_AARCH64_NEON = _VectorUnit(
    "neon", "neon", lanes=4, registers=32, l2_bytes=256 * _KIB, multiplies_by_lane=True
)
_ARM32_NEON = _VectorUnit("neon32", "neon", lanes=4, registers=16, l2_bytes=128 * _KIB)
_GENERIC = _VectorUnit("generic", "", lanes=4, registers=16, l2_bytes=256 * _KIB)

# Every core since Sandy Bridge, Zen and Cortex-A53 has at least 32 KiB of level-1 data cache.
_L1_BYTES = 32 * _KIB

# A core's share in Skylake-SP is 1.375 MiB (Intel 64 and IA-32 Optimization Reference Manual, 2.6);
# Haswell has more. Boards with ARM cores seldom have a level-3 cache.
_X86_L3_BYTES = 1024 * _KIB

# Boards and telephones have four (big) cores or more; a target says better with `num-cores`.
_DEFAULT_THREADS = 4


def is_cpu(target: Target) -> bool:
    """Whether a target is that of a processor; those of GPUs have one as their host."""
    return target.kind.name == "llvm"


def cpu_machine(target: Target) -> CpuMachine:
    """The machine that ``target`` compiles for.

    Cache sizes are this machine's own when the target is this machine's processor, else defaults
    of the architecture; of the level-2 cache of an Intel processor that is a core's own, half
    counts. Threads come from the target's ``num-cores``, else from this machine.

    Raises TargetError for a target that is not a CPU.
    """
    if not is_cpu(target):
        raise TargetError(
            f"no schedules for {target.kind.name} yet (CPU only): give a target of kind llvm, "
            "such as host or raspberry-pi/4b-aarch64"
        )
    cores = target.attrs.get("num-cores")
    return _machine(str(target), available_processors() if cores is None else None)


@lru_cache(maxsize=256)
def _machine(text: str, available: int | None) -> CpuMachine:
    """Asked for each function of a network; ``available`` are this machine's processors now."""
    target = Target(text)
    unit = _vector_unit(target)
    native = is_this_processor(target)
    l1_bytes, l2_bytes = _L1_BYTES, unit.l2_bytes
    l3_bytes = _X86_L3_BYTES if unit in _X86_UNITS else 0
    if native:
        level_1, level_2, level_3 = _own_caches()
        l3_bytes = level_3 or 0
        l1_bytes = level_1 or l1_bytes
        l2_bytes = (level_2 or l2_bytes) // _level_2_parts()
    cores = target.attrs.get("num-cores")
    if cores is None:
        cores = available if native and available is not None else _DEFAULT_THREADS
    return CpuMachine(
        name=unit.name,
        lanes=unit.lanes,
        vector_registers=unit.registers,
        l1_bytes=l1_bytes,
        l2_bytes=l2_bytes,
        threads=int(cores),
        fp16_arithmetic=_has(target, "avx512fp16") or _has(target, "fullfp16"),
        multiplies_by_lane=unit.multiplies_by_lane,
        memory_operands=unit in _X86_UNITS,
        l3_bytes=l3_bytes,
        loads_per_multiply_add=1 if unit in _X86_UNITS and not _splits_vectors(target) else 2,
        keeps_nan=unit in (_AARCH64_NEON, _ARM32_NEON),
        narrow=dot_of(target),
        wide=wide_dot_of(target),
        orders_bytes=_has(target, "avx512vbmi"),
        fuses=any(_has(target, feature) for feature in ("fma", "fp-armv8", "vfp4")),
        is_amd=_is_amd(target),
    )


def _vector_unit(target: Target) -> _VectorUnit:
    for unit in _X86_UNITS:
        if _has(target, unit.feature):
            return unit
    if _has(target, "neon"):
        return _AARCH64_NEON if is_aarch64(target) else _ARM32_NEON
    return _GENERIC


def is_aarch64(target: Target) -> bool:
    """The attribute feature.is_aarch64 misses the spelling arm64 of Apple and Android."""
    return str(target.attrs.get("mtriple", "")).startswith(("aarch64", "arm64"))


def _splits_vectors(target: Target) -> bool:
    """Whether vectors of AVX-512 are multiplied in halves, one in a cycle, as on Zen 4.

    Other cores with AVX2 or AVX-512 start two multiply-adds and two loads in a cycle (Haswell, Zen,
    Skylake-SP, Zen 5, whose features say so by what Zen 4 has not).
    """
    wide = _has(target, "avx512f") and _is_amd(target)
    return wide and not _has(target, "avx512vp2intersect")


def _is_amd(target: Target) -> bool:
    """Whether it is a Zen core: clzero is AMD's alone."""
    return _has(target, "clzero")


def _has(target: Target, feature: str) -> bool:
    return is_cpu(target) and llvm.has_feature(target, feature)


def is_this_processor(target: Target) -> bool:
    """Same architecture and same processor name as LLVM gives to the machine we run on."""
    if not is_cpu(target):
        return False
    triple = target.attrs.get("mtriple") or llvm.default_triple()
    same_architecture = _architecture(triple) == _architecture(llvm.process_triple())
    return same_architecture and target.attrs.get("mcpu") == llvm.processor()


def _architecture(triple: str) -> str:
    return str(triple).split("-")[0]


_PROCESSOR_0 = Path("/sys/devices/system/cpu/cpu0")


def _level_2_parts(cpu: Path = _PROCESSOR_0, facts: Path = Path("/proc/cpuinfo")) -> int:
    """Of a core's own level-2 cache one part counts: of 2 on Intel's processors, else of 1.

    Measured on an Intel Xeon (Emerald Rapids, 2 MiB a core): the best of 28 tiles of a layer, of
    nine layers, is 11 % faster than the one that Winograd's model takes if it counts on the whole
    cache, and 3 % if on half or three quarters. Weights and rows of input pass through it, too, and
    pages of 4 KiB do not spread evenly over its sets. Of the level-1 cache no rule was measured
    with half, and nothing but the tuning log on Zen 4, whose tiles were chosen with all of it.
    """
    try:
        siblings = _count_list((cpu / "topology" / "thread_siblings_list").read_text())
        words = facts.read_text().split()
    except (OSError, ValueError):
        return 1
    return 2 if siblings == 1 and "GenuineIntel" in words else 1


@cache
def _own_caches() -> tuple[int | None, ...]:
    """``_cache_bytes`` of this machine's three levels: four questions for each network."""
    return tuple(_cache_bytes(level) for level in (1, 2, 3))


def _cache_bytes(level: int, cpu: Path = _PROCESSOR_0) -> int | None:
    """Bytes of one data cache of this machine that one core can count on; None if unknown."""
    for index in sorted((cpu / "cache").glob("index*")):
        try:
            kind = (index / "type").read_text().strip()
            found = int((index / "level").read_text())
            size = (index / "size").read_text().strip()
            sharers = _count_list((index / "shared_cpu_list").read_text())
        except (OSError, ValueError):
            continue
        if found == level and kind != "Instruction" and size.endswith("K"):
            return int(size[:-1]) * _KIB // sharers
    return None


def _count_list(text: str) -> int:
    """Number of processors in a kernel list such as ``0-3,8``."""
    count = 0
    for part in text.strip().split(","):
        first, _, last = part.partition("-")
        count += int(last or first) - int(first) + 1
    return count
