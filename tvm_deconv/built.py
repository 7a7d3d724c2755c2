"""A compiled model whose description can still be changed, without compiling its kernels again.

The kernels of a processor are compiled on all processors of this machine: each takes a share of
them to a library of its own, and all are linked in the end.

What range of pixels a network wants is asked of its library, when all is compiled, and the answer
belongs into that library. The description is a function of the virtual machine, whose code takes
milliseconds to make; the kernels, which take most of the time, become an object file once and are
linked as they are.
"""

from __future__ import annotations

import heapq
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.relax.vm_build import VMExecutable
from tvm.runtime import load_static_library
from tvm.target import Target

from tvm_deconv import metadata
from tvm_deconv.backends import backend_of
from tvm_deconv.backends.lowering import lean_for
from tvm_deconv.metadata import Metadata
from tvm_deconv.schedules.cpu.processors import available_processors


@dataclass(frozen=True)
class Built:
    """What a model for ``target`` became.

    ``lowered`` is the module that all passes give: functions of the virtual machine, and the
    kernels that they call. ``executable`` is made of it, and returns ``description``; the kernels
    are in the ``libraries`` (none where nothing is computed).
    """

    executable: VMExecutable
    lowered: tvm.IRModule
    description: Metadata
    target: Target
    libraries: tuple[tvm.runtime.Module, ...]

    def with_object(self, path: Path) -> Built:
        """The same for a CPU, with its kernels' machine code, in files called like ``path``.

        They have to be there until the executable is linked.
        """
        names = [str(kernel.attrs["global_symbol"]) for kernel in self._kernels().values()]
        objects = []
        for number, library in enumerate(self.libraries):
            if library.kind != "llvm":  # TVM's empty one where nothing is computed
                continue
            own = [name for name in names if library.implements_function(name)]
            file = str(path.with_stem(f"{path.stem}{number}"))
            library.write_to_file(file)
            objects.append(load_static_library(file, own))
        return replace(self, libraries=tuple(objects))._linked()

    def described_by(self, description: Metadata) -> Built:
        """The same with another description."""
        lowered = metadata.attach(self.lowered, description)
        return replace(self, lowered=lowered, description=description)._linked()

    def _linked(self) -> Built:
        """The same with an executable of its own parts."""
        names = list(_kernels(self.lowered))
        return replace(self, executable=_linked(self.lowered, self.libraries, self.target, names))

    def _kernels(self) -> dict[tvm.ir.GlobalVar, tirx.PrimFunc]:
        return _kernels(self.lowered)


def built(lowered: tvm.IRModule, description: Metadata, target: Target) -> Built:
    """What a module that all passes have lowered becomes.

    To be called in the pass context in which TVM is to compile the kernels.
    """
    # One kernel goes with the virtual machine's code: without any, TVM would add a module of C, for
    # which it calls a compiler even where nothing is written.
    sizes = {var: _size(func) for var, func in _kernels(lowered).items()}
    others = sorted(sizes, key=lambda var: sizes[var])[1:]
    is_cpu = backend_of(target).device_kind == "cpu"
    libraries = _compiled(lowered, {var: sizes[var] for var in others}, target) if is_cpu else ()
    executable = _linked(lowered, libraries, target, others if is_cpu else ())
    return Built(executable, lowered, description, target, tuple(executable.mod.imports))


def _compiled(
    lowered: tvm.IRModule, sizes: Mapping[tvm.ir.GlobalVar, int], target: Target
) -> tuple[tvm.runtime.Module, ...]:
    """Libraries of the kernels that have ``sizes``, each with its share.

    TVM lets other threads run while it compiles. A pass context is one thread's own: its
    instruments are called on all of them.
    """
    shares = _shares(sizes, available_processors())
    context = tvm.transform.PassContext.current()

    def compile_share(names: Sequence[tvm.ir.GlobalVar]) -> tvm.runtime.Module:
        kernels = {var: lowered[var] for var in names}
        with lean_for(kernels.values(), context):
            return tirx.build(tvm.IRModule(kernels), target=target)

    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        return tuple(pool.map(compile_share, shares))


def _shares(sizes: Mapping[tvm.ir.GlobalVar, int], most: int) -> list[list[tvm.ir.GlobalVar]]:
    """Shares of about the same size: the largest kernel first, each to what is smallest then."""
    shares: list[tuple[int, int, list[tvm.ir.GlobalVar]]] = [(0, n, []) for n in range(most)]
    for var in sorted(sizes, key=lambda var: -sizes[var]):
        size, n, names = shares[0]
        heapq.heapreplace(shares, (size + sizes[var], n, [*names, var]))
    return [names for _, _, names in sorted(shares, key=lambda share: share[1]) if names]


def _size(func: tirx.PrimFunc) -> int:
    """About how much code a kernel has."""
    stores: list[tirx.BufferStore] = []
    tvm_ffi.structural_walk(func.body, (tirx.BufferStore, stores.append))
    return 1 + len(stores)


def _linked(
    lowered: tvm.IRModule,
    libraries: Sequence[tvm.runtime.Module],
    target: Target,
    compiled: Sequence[tvm.ir.GlobalVar],
) -> VMExecutable:
    """An executable of a module of which the kernels ``compiled`` are in ``libraries``."""
    functions = dict(lowered.functions.items())
    for var in compiled:
        functions[var] = relax.ExternFunc(str(functions[var].attrs["global_symbol"]))
    callers = tvm.IRModule(functions).with_attr("external_mods", list(libraries))
    with lean_for(_kernels(callers).values()):
        return relax.build(callers, target, relax_pipeline=None)


def _kernels(lowered: tvm.IRModule) -> dict[tvm.ir.GlobalVar, tirx.PrimFunc]:
    functions = lowered.functions.items()
    return {var: func for var, func in functions if isinstance(func, tirx.PrimFunc)}
