"""What the kernels of a scheduled function demand of a GPU, and what of that it does not have.

The driver finds out only when a kernel is started, on the device, and says "invalid argument".
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import prod

import tvm
import tvm_ffi
from tvm import DataType, s_tir, tirx
from tvm.target import Target

from tvm_deconv.schedules.gpu.machine import GpuMachine


@dataclass
class Demand:
    """One kernel: extents of the axes of its launch, where constant, and bytes of shared memory.

    ``free_shared`` is a shape of shared memory that is known only when the kernel is called.
    """

    extents: dict[str, int] = field(default_factory=dict)
    shared_bytes: int = 0
    free_shared: str | None = None

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return prod(n for axis, n in self.extents.items() if axis.startswith("threadIdx"))


def refusal(func: tirx.PrimFunc, target: Target, machine: GpuMachine) -> str | None:
    """The first demand of a scheduled function that a GPU does not meet, in words; None if none."""
    arguments = int(target.attrs.get("max_function_args", len(func.params)))
    if len(func.params) > arguments:
        return f"{len(func.params)} arguments; {machine.name} takes {arguments}"
    for demand in demands(func, target):
        if demand.threads > machine.max_threads:
            return f"{demand.threads} threads a block; {machine.name} has {machine.max_threads}"
        if demand.free_shared is not None:
            return f"shared memory of a free size, {demand.free_shared}"
        if demand.shared_bytes > machine.shared_bytes:
            return (
                f"{demand.shared_bytes} bytes of shared memory; {machine.name} has "
                f"{machine.shared_bytes}"
            )
        for axis, extent in demand.extents.items():
            if extent > machine.most(axis):
                return f"{extent} along {axis}; {machine.name} has {machine.most(axis)}"
    return None


def demands(func: tirx.PrimFunc, target: Target) -> list[Demand]:
    """Those of each kernel of a scheduled function, in order."""
    mod = tvm.IRModule({"main": func.with_attr("target", target)})
    # As in TVM's own lowering up to the pass that shrinks a buffer to the part that is used.
    passes = [
        s_tir.transform.CanonicalizeLoop(),
        s_tir.transform.LowerCrossThreadReduction(),
        s_tir.transform.LowerInitBlock(),
        s_tir.transform.PlanAndUpdateBufferAllocationLocation(),
        s_tir.transform.ConvertBlocksToOpaque(),
        s_tir.transform.LiftThreadBinding(),
        s_tir.transform.ManifestSharedMemoryLocalStage(),
        s_tir.transform.CompactBufferAllocation(),
    ]
    found: list[Demand] = []

    def outermost(stmt: tirx.Stmt) -> tvm_ffi.WalkResult | None:
        if _axis(stmt) is None:
            return None
        found.append(_demand(stmt))
        return tvm_ffi.WalkResult.SKIP

    body = tvm.transform.Sequential(passes)(mod)["main"].body
    tvm_ffi.structural_walk(body, ((tirx.For, tirx.AttrStmt), outermost), order="pre")
    return found


def _demand(kernel: tirx.Stmt) -> Demand:
    demand = Demand()

    def note(stmt: tirx.Stmt) -> None:
        axis = _axis(stmt)
        if axis is not None and isinstance(axis[1], tirx.IntImm):
            tag, extent = axis
            demand.extents[tag] = max(demand.extents.get(tag, 1), int(extent))

    def allocate(block: s_tir.SBlock) -> None:
        for buffer in block.alloc_buffers:
            if not buffer.scope().startswith("shared"):
                continue
            if not all(isinstance(n, tirx.IntImm) for n in buffer.shape):
                demand.free_shared = str(list(buffer.shape))
            else:
                bits = DataType(buffer.dtype).bits * DataType(buffer.dtype).lanes
                demand.shared_bytes += prod(int(n) for n in buffer.shape) * bits // 8

    tvm_ffi.structural_walk(
        kernel, [((tirx.For, tirx.AttrStmt), note), (s_tir.SBlock, allocate)], order="pre"
    )
    return demand


def _axis(stmt: tirx.Stmt) -> tuple[str, tirx.PrimExpr] | None:
    """The axis of the launch that a statement binds, and its extent."""
    if isinstance(stmt, tirx.For) and stmt.thread_binding is not None:
        return str(stmt.thread_binding.thread_tag), stmt.extent
    if isinstance(stmt, tirx.AttrStmt) and stmt.attr_key == "thread_extent":
        return str(stmt.node.thread_tag), stmt.value
    return None
