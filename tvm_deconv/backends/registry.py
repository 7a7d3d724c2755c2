"""The kinds of devices that there are, and which of them a target or a library is for."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import tvm
from tvm.target import Target

from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.schedules.machines import Machine

from .backend import Backend, LibraryDevice
from .cpu import Cpu
from .cuda import Cuda
from .identity import Identity
from .opencl import OpenCl

BACKENDS: tuple[Backend, ...] = (Cpu(), Cuda(), OpenCl())

_CPU = BACKENDS[0]
_BY_KIND = {backend.kind: backend for backend in BACKENDS}
_BY_DEVICE = {backend.device_kind: backend for backend in BACKENDS}
# Kinds of GPU of which TVM prints warnings when it makes a target.
_NOISY = ("nvptx", "rocm")
# What TVM says when it loads a library whose device code it has no runtime for.
_NO_LOADER = re.compile(r"created using \{(\w+)\} but a loader")


def backend_of(target: Target) -> Backend:
    """The backend of a target. Raises TargetError for a kind that has no schedules."""
    found = _BY_KIND.get(target.kind.name)
    if found is not None:
        return found
    # Among them kinds that TVM counts as processors: no machine code comes of "c", and nothing here
    # loads or links what comes of "hexagon".
    raise _no_schedules(
        target.kind.name, " (qcom/adreno-opencl)" if "adreno" in target.keys else ""
    )


def check_config(config: Mapping[str, Any]) -> None:
    """Raise TargetError for what must not become a target, because TVM would print or guess."""
    kind = str(config.get("kind"))
    if kind in _BY_KIND:
        _BY_KIND[kind].check_config(config)
    elif kind in _NOISY:
        raise _no_schedules(kind)


def machine_of(target: Target) -> Machine:
    """The machine that a target compiles for. Raises TargetError for one without schedules."""
    return backend_of(target).machine(target)


def identity_of(target: Target) -> Identity:
    """What a target compiles for, as far as tuning cares."""
    return backend_of(target).identity(target)


def device_for(wanted: LibraryDevice, library: str) -> tvm.runtime.Device:
    """The first device of the kind that a library is for.

    Raises ModelError, naming the library, where there is none, or a CUDA GPU of an architecture
    that cannot execute its machine code.
    """
    found = _BY_DEVICE.get(wanted.kind)
    if found is None:
        raise ModelError(f"{library} is for {wanted.kind}, which this version does not know")
    return found.device(wanted, library)


def missing_runtime(error: Exception) -> str | None:
    """What to do where TVM cannot load a library for want of a GPU's runtime, else None."""
    loader = _NO_LOADER.search(str(error))
    backend = _BY_DEVICE.get(loader[1]) if loader else None
    if backend is None:
        return None
    folder = Path(tvm.__file__).parent / "lib"
    if list(folder.glob(f"libtvm_runtime_{backend.device_kind}.*")):
        return (
            f"it is for {backend.name}, and TVM's runtime for that does not load here: no driver, "
            "or one of another version than the runtime was built for (see docs/gpus.md)"
        )
    return (
        f"it is for {backend.name}, and this TVM has no {backend.name} runtime: build it, see "
        "docs/gpus.md"
    )


def _no_schedules(kind: str, advice: str = "") -> TargetError:
    *first, last = ("CPUs (llvm)", *(one.name for one in BACKENDS if one is not _CPU))
    return TargetError(
        f"no schedules for {kind}: there are some for {', '.join(first)} and {last}{advice}"
    )
