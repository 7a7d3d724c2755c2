"""Scratch memory in which nothing useful is left from before.

TVM keeps the scratch that host code has freed and gives it out again: a kernel that reads what none
has written would find what the same kernels wrote in the run before, and pass.
"""

from __future__ import annotations

import ctypes

from .device import DEVICE

_NAN = 0xFF  # in every byte, as in ``guarded``
# As many blocks of each size as the functions of a test need; of a larger one, the rest is not
# spoilt. Large ones first: TVM gives out the smallest that is large enough, so that each request
# finds what the ones before it have left.
_BLOCKS, _SIZES = 6, (2 << 20, 512 << 10, 128 << 10, 32 << 10, 8 << 10, 4 << 10)

_PLACE = (DEVICE.dlpack_device_type(), DEVICE.index)
_FLOAT32 = (2, 32)  # DLPack's code, and bits
_runtime = ctypes.CDLL(None)
_allocate, _free = _runtime.TVMBackendAllocWorkspace, _runtime.TVMBackendFreeWorkspace
_allocate.restype = ctypes.c_void_p
_allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
_free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]


def spoil() -> None:
    """Fill with NaN what the next function will get for scratch."""
    blocks = [
        (_allocate(*_PLACE, size, *_FLOAT32), size) for size in _SIZES for _ in range(_BLOCKS)
    ]
    for block, size in blocks:
        ctypes.memset(block, _NAN, size)
        _free(*_PLACE, block)
