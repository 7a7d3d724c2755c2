"""An OpenCL device for TVM, whose wheel has none: the processor's memory, and PoCL for kernels.

TVM looks up by name what it needs of a device, so that two global functions make one:

- ``device_api.opencl`` allocates and copies; here it is the interface of the CPU.
- ``ffi.Module.create.opencl`` receives the OpenCL source and what its kernels take.

The host part of a function is then what a user's build would contain, compiled by LLVM. It computes
the extents, allocates scratch, and calls each kernel by its name with the arguments and the extents
of the launch. A name that no imported module has is looked up among the global functions, where
ours stand while a module runs.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import pytest
import tvm
import tvm_ffi
from tvm.target import Target

from .pocl import Program, program

DEVICE = tvm.opencl(0)
_DIMENSION = {"x": 0, "y": 1, "z": 2}


@dataclass(frozen=True)
class Launch:
    """One start of a kernel: work-groups, work-items of each (along x, y, z) and shared bytes."""

    kernel: str
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    shared_bytes: int


class Kernels:
    """The kernels of one build for OpenCL, and the record of their launches.

    Build inside ``collected``, call what was built inside ``running``. Another API that TVM writes
    source for is a subclass with its ``kind`` of target, ``form`` of source and so on.
    """

    kind, form = "opencl", "cl"
    shared_bytes = 0  # of a block, where the target does not say
    program = staticmethod(program)

    def __init__(self, target: Target) -> None:
        self.source = ""
        self.launches: list[Launch] = []
        self._target = target
        self._info: dict[str, object] = {}
        self._programs: dict[str, Program] = {}

    @contextmanager
    def collected(self) -> Iterator[None]:
        """TVM's OpenCL modules that are created inside are ours."""
        tvm_ffi.register_global_func("device_api.opencl", _memory_of_cpu, override=True)
        with self.creating():
            yield

    @contextmanager
    def creating(self) -> Iterator[None]:
        """``collected`` without a device."""
        create = f"ffi.Module.create.{self.kind}"
        before = tvm_ffi.get_global_func(create, allow_missing=True)
        tvm_ffi.register_global_func(create, self._create, override=True)
        try:
            with pytest.MonkeyPatch.context() as patch:
                # Set, it has TVM make a module of its own.
                patch.delenv("TVM_COMPILE_FORCE_FALLBACK", raising=False)
                yield
        finally:
            tvm_ffi.registry.remove_global_func(create)
            if before is not None:
                tvm_ffi.register_global_func(create, before)

    @contextmanager
    def running(self) -> Iterator[None]:
        """Launches by name reach the program; ``launches`` is what happened inside."""
        self.launches = []
        for name in self._info:
            tvm_ffi.register_global_func(name, self._launcher(name))
        try:
            yield
        finally:
            for name in self._info:
                tvm_ffi.registry.remove_global_func(name)

    def _create(self, code, form, info, _sources):
        assert form == self.form, f"TVM built {form!r}, not source"
        source = bytes(code).decode()
        self.source += source
        self._info.update({str(name): about for name, about in info.items()})
        self._programs.update(dict.fromkeys(map(str, info), self.program(source)))
        return tvm_ffi.system_lib("no_function_begins_so_")

    def _launcher(self, name):
        info, program = self._info[name], self._programs[name]
        types = [str(dtype) for dtype in info.arg_types]
        shared = program.local_bytes(name)

        def launch(*values):
            extents = {"blockIdx": [1, 1, 1], "threadIdx": [1, 1, 1]}
            for tag, extent in zip(info.launch_param_tags, values[len(types) :], strict=True):
                kind, _, dimension = str(tag).partition(".")
                extents[kind][_DIMENSION[dimension]] = int(extent)
            grid, block = map(tuple, extents.values())
            started = Launch(name, grid, block, shared)
            self._check(started)
            arguments = [
                (value.value or 0) if dtype == "handle" else np.dtype(dtype).type(value)
                for value, dtype in zip(values, types, strict=False)
            ]
            self.launches.append(started)
            program.launch(name, arguments, grid, block)

        return launch

    def _check(self, launch: Launch) -> None:
        """What the target's device would refuse, PoCL's larger one would not."""
        threads = int(np.prod(launch.block))
        limits = self._target.attrs
        assert 0 < threads <= int(limits["max_num_threads"]), f"{threads} threads: {launch}"
        assert min(launch.grid) > 0, f"empty grid: {launch}"
        shared = int(limits.get("max_shared_memory_per_block", self.shared_bytes))
        assert launch.shared_bytes <= shared, f"more shared memory than {shared} bytes: {launch}"


def _memory_of_cpu():
    return tvm_ffi.get_global_func("device_api.cpu")()


def host_of(target: Target) -> Target:
    """``target`` with the processor that we run on as its host, where it names none."""
    if target.host is not None:
        return target
    # It allocates scratch and calls kernels: nothing that LLVM's optimizations are for.
    return target.with_host(Target({"kind": "llvm", "opt-level": 0}))
