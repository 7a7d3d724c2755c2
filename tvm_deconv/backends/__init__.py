"""Kinds of device: their targets, machines, passes, limits, compilers, libraries and devices.

``backend_of`` gives that of a target, which answers whatever differs between them: ``Backend`` says
what that is. A new device API is a module here with a subclass (of ``gpu.Gpu``, if it is one), and
its line in ``registry.BACKENDS``.

The names below are looked up when they are used: where TVM has Relay and no Relax, only
``identity`` and ``linker`` can be imported.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .backend import Backend, LibraryDevice
    from .identity import Identity
    from .registry import backend_of, device_for, identity_of, machine_of, missing_runtime

_HOME = {
    "Backend": "backend",
    "Identity": "identity",
    "LibraryDevice": "backend",
    "backend_of": "registry",
    "device_for": "registry",
    "identity_of": "registry",
    "machine_of": "registry",
    "missing_runtime": "registry",
}

__all__ = [
    "Backend",
    "Identity",
    "LibraryDevice",
    "backend_of",
    "device_for",
    "identity_of",
    "machine_of",
    "missing_runtime",
]


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
