"""What a schedule may know about a GPU: one frozen description, which its backend derives."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import ClassVar

from tvm.target import Target


@dataclass(frozen=True)
class GpuMachine:
    """One GPU, as far as loop tiling cares.

    ``name`` is the architecture (``sm_87``, ``mali``). ``warp`` threads run in lockstep. A block
    has at most ``max_threads`` threads and ``shared_bytes`` of shared memory (OpenCL: local
    memory), which is a memory of its own only if ``shared_is_real``. A thread has at most
    ``registers`` registers of 32 bits. ``lanes`` counts the float32 values of the widest load that
    needs no alignment; 1 if there is none. The chip has ``units`` multiprocessors (shader cores),
    each with ``unit_registers`` registers and ``unit_shared_bytes`` of shared memory for all its
    blocks, and ``fma_lanes`` float32 multiply-adds a cycle. ``accumulators`` is how many sums a
    thread holds by default at most, so that enough threads fit beside each other. ``extents`` are
    the most blocks or threads along those axes of a launch that have a limit of their own.
    ``byte_products`` says who multiplies four bytes at a time and adds the products up: ``dp4a`` is
    CUDA's instruction, ``opencl`` a function that the device's own compiler makes; or nobody.
    ``doubles_half`` says that float16 is multiplied and added twice as many at a time.
    """

    name: str
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
    extents: tuple[tuple[str, int], ...] = ()
    byte_products: str = ""
    doubles_half: bool = False

    # Fields of a tile whose product is the number of sums in a thread's registers.
    SUMS: ClassVar[tuple[str, ...]] = ("channels", "rows", "lanes")

    @property
    def multiply_adds(self) -> int:
        """Of float32 in a cycle."""
        return self.units * self.fma_lanes

    @property
    def in_half(self) -> GpuMachine | None:
        """As kernels with sums of float16 see it; None where there is nothing to gain."""
        if not self.doubles_half:
            return None
        return replace(self, fma_lanes=2 * self.fma_lanes, accumulators=2 * self.accumulators)

    @property
    def near_bytes(self) -> int:
        """The memory that a kernel's weights had better fit into."""
        return self.unit_shared_bytes

    def most(self, axis: str) -> float:
        """The most blocks or threads along an axis of a launch, such as ``blockIdx.y``."""
        return dict(self.extents).get(axis, math.inf)

    def limited(self, target: Target) -> GpuMachine:
        """The machine with those limits of a block that a target names."""
        names = ("max_threads_per_block", "max_num_threads")
        threads = [int(target.attrs[name]) for name in names if name in target.attrs]
        shared = target.attrs.get("max_shared_memory_per_block", self.shared_bytes)
        return replace(
            self, max_threads=min(threads, default=self.max_threads), shared_bytes=int(shared)
        )
