"""A compiled model whose description can still be changed, without compiling its kernels again.

The kernels of a processor are compiled on all processors of this machine: each takes a share of
them to a library of its own, and all are linked in the end.

What range of pixels a network wants is asked of the network, when all is compiled, and the answer
belongs into its library. So the kernels, which take most of the time, become object files once.
They are linked alone to be asked, with the weights left where they are. The description is a
function of the virtual machine, whose code takes a moment to make.
"""

from __future__ import annotations

import heapq
import os
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import count
from pathlib import Path

import tvm
import tvm_ffi
from tvm import relax, tirx
from tvm.relax.vm_build import VMExecutable
from tvm.runtime import load_static_library
from tvm.target import Target

from tvm_deconv import metadata
from tvm_deconv.backends.linking import link, link_objects, takes_weights
from tvm_deconv.backends.lowering import PIPELINE, for_thread, target_of
from tvm_deconv.backends.weights import without_weights
from tvm_deconv.metadata import Metadata
from tvm_deconv.schedules.cpu.machine import is_cpu
from tvm_deconv.schedules.cpu.processors import available_processors

# The attribute of the function that computes free sizes. In a module with it a kernel may lose what
# LLVM knows of its arguments, that none overlap: a nearest resize took 3.6 times as long.
_COMPUTES_SIZES = "tirx.is_host_func"


@dataclass(frozen=True)
class Built:
    """What a model for ``target`` became.

    ``lowered`` is the module that all passes give: functions of the virtual machine, one of which
    returns ``description``, and the kernels that they call. Those of a processor are in the
    ``libraries`` (none where nothing is computed).
    """

    lowered: tvm.IRModule
    description: Metadata
    target: Target
    libraries: tuple[tvm.runtime.Module, ...]

    @cached_property
    def executable(self) -> VMExecutable:
        """What runs it; for other devices with their kernels, which are compiled then."""
        return _linked(self.lowered, self.libraries, self.target)

    def with_objects(self, folder: Path) -> Built:
        """The same for a CPU, with its kernels' machine code in files in ``folder``.

        They have to be there until ``write`` is done; they cannot be run from there.
        """
        names = [str(kernel.attrs["global_symbol"]) for kernel in _kernels(self.lowered).values()]

        def written(library: tvm.runtime.Module, path: Path) -> tvm.runtime.Module:
            own = [name for name in names if library.implements_function(name)]
            library.write_to_file(str(path))
            return load_static_library(str(path), own)

        # TVM lets other threads run while LLVM makes machine code.
        with ThreadPoolExecutor(available_processors()) as pool:
            objects = tuple(pool.map(written, self.libraries, _object_files(folder)))
        return replace(self, libraries=objects)

    def machine(self, folder: Path, command: str) -> relax.VirtualMachine:
        """What runs the network here, where ``with_objects(folder)`` has written the kernels.

        ``command`` links them. Weights are where they are, and nothing else is written.
        """
        path = folder / "kernels.so"
        files = [file for _, file in zip(self.libraries, _object_files(folder), strict=False)]
        if files:
            link_objects(files, path, command, self.target)
        libraries = (tvm_ffi.load_module(path),) if files else ()
        return relax.VirtualMachine(_linked(self.lowered, libraries, self.target), tvm.cpu())

    def described_by(self, description: Metadata) -> Built:
        """The same with another description, and with the kernels that it has."""
        lowered = metadata.attach(self.lowered, description)
        return replace(self, lowered=lowered, description=description)

    def write(self, path: str | os.PathLike, command: str) -> None:
        """Write a library, which ``command`` links. Raises what ``link`` does."""
        if not takes_weights(self.target):
            link(self.executable, path, command, self.target)
            return
        lowered, weights = without_weights(self.lowered)
        link(_linked(lowered, self.libraries, self.target), path, command, self.target, weights)


def _object_files(folder: Path) -> Iterator[Path]:
    """The names of files of machine code, as many as are wanted."""
    return (folder / f"kernels{number}.o" for number in count())


def built(lowered: tvm.IRModule, description: Metadata, target: Target) -> Built:
    """What a module that all passes have lowered becomes.

    To be called in the pass context in which TVM is to compile the kernels.
    """
    libraries = _compiled(lowered, target) if is_cpu(target) else ()
    made = Built(lowered, description, target, libraries)
    if not made.libraries:
        # In this context.
        _ = made.executable
    return made


def _compiled(lowered: tvm.IRModule, target: Target) -> tuple[tvm.runtime.Module, ...]:
    """Libraries of the kernels, one or more for each share of them.

    TVM lets other threads run while it compiles. A pass context is one thread's own: its
    instruments are called on all of them.
    """
    sizes = {var: _size(func) for var, func in _kernels(lowered).items()}
    # LLVM's JIT makes a module's constructor visible when it runs it, and a linker refuses two of a
    # name. Optimizations remove them: they are empty.
    is_optimized = int(target.attrs.get("opt-level", 1)) > 0
    shares = _shares(sizes, available_processors() if is_optimized else 1)
    context = tvm.transform.PassContext.current()

    def compile_share(names: Sequence[tvm.ir.GlobalVar]) -> list[tvm.runtime.Module]:
        kinds: dict[tuple[Target, bool], dict[tvm.ir.GlobalVar, tirx.PrimFunc]] = {}
        for var in names:
            apart = is_optimized and _COMPUTES_SIZES in lowered[var].attrs
            kinds.setdefault((target_of(lowered[var], target), apart), {})[var] = lowered[var]
        with for_thread(context):
            return [
                tirx.build(tvm.IRModule(kernels), target=own, pipeline=PIPELINE)
                for (own, _), kernels in kinds.items()
            ]

    with ThreadPoolExecutor(max(1, len(shares))) as pool:
        return tuple(library for made in pool.map(compile_share, shares) for library in made)


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
    lowered: tvm.IRModule, libraries: Sequence[tvm.runtime.Module], target: Target
) -> VMExecutable:
    """An executable of a module; its kernels are compiled where there are no ``libraries``."""
    if not libraries:
        return relax.build(lowered, target, relax_pipeline=None)
    functions = dict(lowered.functions.items())
    for var, kernel in _kernels(lowered).items():
        functions[var] = relax.ExternFunc(str(kernel.attrs["global_symbol"]))
    executable = relax.build(tvm.IRModule(functions), target, relax_pipeline=None)
    # In place of the C that TVM adds where it compiles nothing, for which it calls a compiler.
    executable.mod.clear_imports()
    for library in libraries:
        executable.mod.import_module(library)
    return executable


def _kernels(lowered: tvm.IRModule) -> dict[tvm.ir.GlobalVar, tirx.PrimFunc]:
    functions = lowered.functions.items()
    return {var: func for var, func in functions if isinstance(func, tirx.PrimFunc)}
