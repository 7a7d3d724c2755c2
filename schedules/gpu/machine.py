"""What a schedule may know about a GPU: one frozen description, derived from a target.

Numbers that TVM's target has (threads and shared memory of a block) come from there, so that a
caller can lower them; the rest is a property of the family.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from tvm.target import Target

from tvm_deconv.errors import TargetError

CUDA, OPENCL = "cuda", "opencl"


@dataclass(frozen=True)
class GpuMachine:
    """One GPU, as far as loop tiling cares.

    ``name`` is the architecture (``sm_87``, ``mali``). ``api`` is ``"cuda"`` or ``"opencl"``.
    ``warp`` threads run in lockstep. A block has at most ``max_threads`` threads and
    ``shared_bytes`` of shared memory (OpenCL: local memory), which is a memory of its own only if
    ``shared_is_real``. A thread has at most ``registers`` registers of 32 bits. ``lanes`` counts
    the float32 values of the widest load that needs no alignment; 1 if there is none. The chip has
    ``units`` multiprocessors (shader cores), each with ``unit_registers`` registers and
    ``unit_shared_bytes`` of shared memory for all its blocks, and ``fma_lanes`` float32
    multiply-adds a cycle. ``accumulators`` is how many sums a thread holds by default at most, so
    that enough threads fit beside each other.
    """

    name: str
    api: str
    warp: int
    max_threads: int
    shared_bytes: int
    shared_is_real: bool
    registers: int
    lanes: int
    units: int
    unit_registers: int
    unit_shared_bytes: int
    fma_lanes: int
    accumulators: int


@dataclass(frozen=True)
class _CudaArchitecture:
    fma_lanes: int
    unit_shared_kib: int
    units: int


# float32 results per cycle and shared memory per multiprocessor: CUDA C++ Programming Guide,
# "Arithmetic Instructions" and "Technical Specifications per Compute Capability". Multiprocessors:
# the largest Jetson module of that architecture (Nano 1, TX2 2, AGX Xavier 8, AGX Orin 16, by
# NVIDIA's data sheets); H100 SXM and H200 132.
_CUDA = {
    "50": _CudaArchitecture(128, 64, 5),
    "52": _CudaArchitecture(128, 96, 16),
    "53": _CudaArchitecture(128, 64, 1),
    "60": _CudaArchitecture(64, 64, 56),
    "61": _CudaArchitecture(128, 96, 20),
    "62": _CudaArchitecture(128, 64, 2),
    "70": _CudaArchitecture(64, 96, 80),
    "72": _CudaArchitecture(64, 96, 8),
    "75": _CudaArchitecture(64, 64, 40),
    "80": _CudaArchitecture(64, 164, 108),
    "86": _CudaArchitecture(128, 100, 30),
    "87": _CudaArchitecture(128, 164, 16),
    "89": _CudaArchitecture(128, 100, 60),
    "90": _CudaArchitecture(128, 228, 132),
}
# What a later architecture is taken for.
_LATER = _CudaArchitecture(128, 100, 20)

_KIB = 1024
# A block's shared memory without asking the driver for more (same guide), which TVM does not.
_CUDA_SHARED_BYTES = 48 * _KIB
_CUDA_REGISTERS, _CUDA_UNIT_REGISTERS = 255, 64 * _KIB


def gpu_machine(target: Target) -> GpuMachine:
    """The machine that ``target`` compiles for.

    Raises TargetError for a target that is neither CUDA nor OpenCL, or a CUDA architecture that is
    not of the form ``sm_87``.
    """
    if target.kind.name == CUDA:
        return _cuda(target)
    if target.kind.name == OPENCL:
        return _opencl(target)
    raise TargetError(
        f"no schedules for {target.kind.name}: give a target of kind llvm, cuda or opencl, such as "
        "host, nvidia/jetson-nano or arm/mali"
    )


def _cuda(target: Target) -> GpuMachine:
    arch = str(target.attrs.get("arch", ""))
    parsed = re.fullmatch(r"sm_(\d{2,3})[a-z]?", arch)
    if not parsed:
        raise TargetError(f"CUDA architecture {arch!r} is not of the form sm_87: give arch")
    found = _CUDA.get(parsed[1], _LATER)
    return GpuMachine(
        name=arch,
        api=CUDA,
        warp=32,
        max_threads=_threads(target, 1024),
        shared_bytes=min(_shared(target, _CUDA_SHARED_BYTES), _CUDA_SHARED_BYTES),
        shared_is_real=True,
        registers=_CUDA_REGISTERS,
        # Vector loads must be aligned, which a halo is not.
        lanes=1,
        units=found.units,
        unit_registers=_CUDA_UNIT_REGISTERS,
        unit_shared_bytes=found.unit_shared_kib * _KIB,
        fma_lanes=found.fma_lanes,
        # With 64 sums a thread takes about 112 registers: 16 warps fit (ptxas 13, sm_87).
        accumulators=64,
    )


# Local memory is ordinary cached memory, so copying to it gains nothing (Arm Mali GPU OpenCL
# Developer Guide, "Memory"). A thread has 64 registers of 32 bits, and half as many threads fit
# with more than 32 (Arm Mali Offline Compiler User Guide, "Work registers"). G76: 24 float32
# multiply-adds a cycle in a core (Arm's data sheet). Warps have 4 threads or more from Bifrost on;
# the tags say how many.
_MALI = GpuMachine(
    name="mali",
    api=OPENCL,
    warp=4,
    max_threads=256,
    shared_bytes=32 * _KIB,
    shared_is_real=False,
    registers=64,
    lanes=4,
    units=4,
    unit_registers=16 * _KIB,
    unit_shared_bytes=32 * _KIB,
    fma_lanes=24,
    accumulators=32,
)
# Local memory is on the chip, 32 KiB for a work group of a shader processor, and a wave has 64 or
# 128 work items (Snapdragon Mobile Platform OpenCL General Programming and Optimization). Registers
# are not documented: counted as on Mali.
_ADRENO = replace(
    _MALI,
    name="adreno",
    warp=64,
    shared_is_real=True,
    units=2,
    unit_registers=32 * _KIB,
    fma_lanes=128,
)
# Nothing is known: what OpenCL 1.2 guarantees (full profile), and a middling GPU otherwise.
_ANY = replace(
    _ADRENO,
    name=OPENCL,
    warp=32,
    registers=128,
    units=8,
    unit_registers=64 * _KIB,
    unit_shared_bytes=64 * _KIB,
    fma_lanes=64,
)
_OPENCL = {machine.name: machine for machine in (_MALI, _ADRENO)}


def _opencl(target: Target) -> GpuMachine:
    family = str(target.attrs.get("device", "")) or OPENCL
    found = _OPENCL.get(family, replace(_ANY, name=family))
    return replace(
        found,
        warp=max(int(target.attrs.get("thread_warp_size", 1)), found.warp),
        max_threads=_threads(target, found.max_threads),
        shared_bytes=_shared(target, found.shared_bytes),
    )


def _threads(target: Target, otherwise: int) -> int:
    known = [target.attrs.get(name) for name in ("max_threads_per_block", "max_num_threads")]
    return min([int(limit) for limit in known if limit is not None] or [otherwise])


def _shared(target: Target, otherwise: int) -> int:
    return int(target.attrs.get("max_shared_memory_per_block", otherwise))
