"""Kinds of device: their targets, machines, passes, limits, compilers, libraries and devices.

``backend_of`` gives that of a target, which answers whatever differs between them: ``Backend`` says
what that is. A new device API is a module here with a subclass (of ``gpu.Gpu``, if it is one), and
its line in ``registry.BACKENDS``.
"""

from .backend import Backend, LibraryDevice
from .identity import Identity
from .registry import backend_of, device_for, identity_of, machine_of, missing_runtime

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
