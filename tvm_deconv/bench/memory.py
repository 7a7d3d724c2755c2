"""How much memory a compiled network plans for what lies between its input and its output."""

from __future__ import annotations

import threading

import tvm
import tvm_ffi
from tvm import relax, tirx

_PLANNED, _LOWERED = "StaticPlanBlockMemory", "tirx.LowerTVMBuiltin"
_ALLOC_WORKSPACE = "tirx.TVMBackendAllocWorkspace"


@tvm.instrument.pass_instrument
class PlannedMemory:
    """Watches one ``relax.build``, as an instrument of the pass context around it.

    ``intermediates`` is the bytes that Relax's memory plan keeps for the tensors between the
    kernels, those that share storage counted once. ``workspace`` is the bytes that the kernel with
    the largest scratch allocates while it runs, on ``threads`` threads. Neither holds the weights,
    the input or the output. Sizes that only the run time knows count as nothing.
    """

    def __init__(self, threads: int) -> None:
        self.threads = threads
        # Kernels are compiled on several threads (``tvm_deconv.built``).
        self._lock = threading.Lock()
        self.intermediates = 0
        self.workspace = 0

    @property
    def total(self) -> int:
        """The most bytes that are held at once."""
        return self.intermediates + self.workspace

    def run_after_pass(self, mod: tvm.IRModule, info: tvm.instrument.PassInstrument) -> None:
        if info.name == _PLANNED:
            # Kernels that were lowered before folded constants: no run will ever need them.
            self.intermediates, self.workspace = _storage_bytes(mod), 0
        elif info.name == _LOWERED:
            for _, func in mod.functions_items():
                if isinstance(func, tirx.PrimFunc):
                    scratch = _scratch_bytes(func, self.threads)
                    with self._lock:
                        self.workspace = max(self.workspace, scratch)


def _storage_bytes(mod: tvm.IRModule) -> int:
    found: list[int] = []

    def visit(node: relax.Expr) -> None:
        if isinstance(node, relax.Call) and node.op == _ALLOC_STORAGE:
            found.extend(int(size) for size in node.args[0] if isinstance(size, tirx.IntImm))

    for _, func in mod.functions_items():
        if isinstance(func, relax.Function):
            relax.analysis.post_order_visit(func, visit)
    return sum(found)


_ALLOC_STORAGE = tvm.ir.Op.get("relax.memory.alloc_storage")


def _scratch_bytes(func: tirx.PrimFunc, threads: int) -> int:
    """Bytes of all workspaces of a lowered kernel; each thread has its own inside a parallel loop.

    Parallel loops do not nest: inner ones run serially on the thread that meets them.
    """
    loops: list[tirx.For] = []
    tvm_ffi.structural_walk(func.body, (tirx.For, loops.append))
    per_thread = sum(_workspaces(loop.body) for loop in loops if loop.kind == tirx.ForKind.PARALLEL)
    return _workspaces(func.body) + (threads - 1) * per_thread


def _workspaces(body: tirx.Stmt) -> int:
    calls: list[tvm.ir.Call] = []
    tvm_ffi.structural_walk(body, (tvm.ir.Call, calls.append))
    return sum(
        int(call.args[2]) for call in calls if getattr(call.op, "name", "") == _ALLOC_WORKSPACE
    )
