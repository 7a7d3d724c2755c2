"""Scratch memory in which nothing useful is left from before.

TVM keeps the scratch that host code has freed and gives it out again: a kernel that reads what none
has written would find what the same kernels wrote in the run before, and pass.
"""

from __future__ import annotations

import ctypes

from .device import DEVICE

_NAN = 0xFF  # in every byte, as in ``guarded``
# More and larger blocks than the functions of a test need; a larger one is not spoilt.
_BLOCKS, _BYTES = 6, 2 << 20

_PLACE = (DEVICE.dlpack_device_type(), DEVICE.index)
_FLOAT32 = (2, 32)  # DLPack's code, and bits
_runtime = ctypes.CDLL(None)
_allocate, _free = _runtime.TVMBackendAllocWorkspace, _runtime.TVMBackendFreeWorkspace
_allocate.restype = ctypes.c_void_p
_allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
_free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]


def spoil() -> None:
    """Fill with NaN what the next function will get for scratch."""
    blocks = [_allocate(*_PLACE, _BYTES, *_FLOAT32) for _ in range(_BLOCKS)]
    for block in blocks:
        ctypes.memset(block, _NAN, _BYTES)
        _free(*_PLACE, block)
