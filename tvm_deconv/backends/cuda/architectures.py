"""CUDA's architectures: which there are, and what schedules may know of each."""

from __future__ import annotations

import difflib
import re
from typing import NamedTuple

from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.gpu.machine import GpuMachine

_KIB = 1024


class _Unit(NamedTuple):
    """A multiprocessor, and how many there are."""

    fma_lanes: int
    shared_kib: int
    units: int


# float32 results per cycle and shared memory per multiprocessor: CUDA C++ Programming Guide,
# "Arithmetic Instructions" and "Technical Specifications per Compute Capability". Multiprocessors:
# the largest Jetson module of that architecture (Nano 1, TX2 2, AGX Xavier 8, AGX Orin 16, by
# NVIDIA's data sheets); H100 SXM and H200 132.
_UNITS = {
    "sm_50": _Unit(128, 64, 5),
    "sm_52": _Unit(128, 96, 16),
    "sm_53": _Unit(128, 64, 1),
    "sm_60": _Unit(64, 64, 56),
    "sm_61": _Unit(128, 96, 20),
    "sm_62": _Unit(128, 64, 2),
    "sm_70": _Unit(64, 96, 80),
    "sm_72": _Unit(64, 96, 8),
    "sm_75": _Unit(64, 64, 40),
    "sm_80": _Unit(64, 164, 108),
    "sm_86": _Unit(128, 100, 30),
    "sm_87": _Unit(128, 164, 16),
    "sm_89": _Unit(128, 100, 60),
    "sm_90": _Unit(128, 228, 132),
}
# What a later architecture is taken for.
_LATER = _Unit(128, 100, 20)

# Names by compute capability: same guide, and the options of nvcc 12.9 and 13.0. A letter for
# features of that family only: "a" since 9.0, "f" since 10.0. TVM compiles for any name that begins
# with sm_, and the assembler fails much later.
_NAMES = (
    *_UNITS,
    *("sm_88", "sm_90a"),
    *(
        f"sm_{number}{letter}"
        for number in (100, 101, 103, 110, 120, 121)
        for letter in ("", *"af")
    ),
)

# On every one of them (same guide, "Technical Specifications per Compute Capability"). A block gets
# more shared memory only if it is asked for, which TVM does not.
MOST_THREADS, MOST_SHARED_BYTES = 1024, 48 * _KIB
_REGISTERS, _UNIT_REGISTERS = 255, 64 * _KIB
_EXTENTS = (("blockIdx.y", 65535), ("blockIdx.z", 65535), ("threadIdx.z", 64))


def check_architecture(arch: str) -> None:
    """Raise TargetError for what is not the name of a CUDA architecture."""
    if arch in _NAMES:
        return
    if re.fullmatch(r"sm_[1-3]\d", arch):
        reason = "CUDA 12 and 13 compile for sm_50 and later"
    else:
        near = difflib.get_close_matches(arch, _NAMES, n=4)
        reason = f"did you mean {', '.join(near)}?" if near else "give one such as sm_87"
    raise TargetError(f"unknown CUDA architecture {arch!r}: {reason}")


def base(arch: str) -> str:
    """The architecture without its letter: that allows more instructions, the chip is the same."""
    return arch.rstrip("af")


def machine_for(arch: str) -> GpuMachine:
    """The machine of an architecture. Raises TargetError for one that there is not."""
    check_architecture(arch)
    unit = _UNITS.get(base(arch), _LATER)
    return GpuMachine(
        name=arch,
        warp=32,
        max_threads=MOST_THREADS,
        shared_bytes=MOST_SHARED_BYTES,
        shared_is_real=True,
        registers=_REGISTERS,
        # Vector loads must be aligned, which a halo is not.
        lanes=1,
        units=unit.units,
        unit_registers=_UNIT_REGISTERS,
        unit_shared_bytes=unit.shared_kib * _KIB,
        fma_lanes=unit.fma_lanes,
        # With 64 sums a thread takes about 112 registers: 16 warps fit (ptxas 13, sm_87).
        accumulators=64,
        extents=_EXTENTS,
        byte_products="dp4a" if _has_dp4a(arch) else "",
    )


def _has_dp4a(arch: str) -> bool:
    """Products of four bytes: since 6.1, but not 6.2 (TensorRT's support matrix: no INT8 there)."""
    number = _number(arch)
    return number >= 61 and number != 62


def executes(gpu: str, code: str) -> bool:
    """Whether a GPU executes machine code of an architecture: the same generation, not a later one.

    CUDA C++ Programming Guide, "Binary Compatibility". A letter asks for exactly that architecture.
    """
    (generation, version), (wanted, least) = (divmod(_number(arch), 10) for arch in (gpu, code))
    later_is_fine = not code[-1].isalpha()
    return generation == wanted and (version >= least if later_is_fine else version == least)


def _number(arch: str) -> int:
    return int(re.sub(r"\D", "", arch))
