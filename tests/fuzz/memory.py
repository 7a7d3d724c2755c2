"""Memory in which whoever reads or writes what is not his is noticed.

Scratch that kernels of any thread get is full of NaN, and inputs lie between margins of NaN. What
comes from malloc is spoilt by ``MALLOC_PERTURB_`` in the worker's environment.
"""

from __future__ import annotations

import ctypes

import numpy as np
import tvm
import tvm_ffi

_NAN = 0xFF  # in every byte: NaN in every float, -1 in integers
_MARGIN = 1 << 14
_ALIGNMENT = 64  # of every tensor, TVM counts on it
# As many blocks of each size as a function may want; larger ones malloc gives anew. Large ones
# first, because TVM gives out the smallest that is large enough.
_BLOCKS, _SIZES = 4, (2 << 20, 512 << 10, 128 << 10, 32 << 10, 8 << 10, 4 << 10)
_CPU, _FLOAT32 = (1, 0), (2, 32)  # DLPack's codes

_runtime = ctypes.CDLL(None)
_allocate, _free = _runtime.TVMBackendAllocWorkspace, _runtime.TVMBackendFreeWorkspace
_allocate.restype = ctypes.c_void_p
_allocate.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int]
_free.argtypes = [ctypes.c_int, ctypes.c_int, ctypes.c_void_p]
_Task = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p)
_launch = _runtime.TVMBackendParallelLaunch
_launch.argtypes = [_Task, ctypes.c_void_p, ctypes.c_int]


def _spoil_own(_task: int, _environment: int | None, _data: int | None) -> int:
    blocks = [(_allocate(*_CPU, size, *_FLOAT32), size) for size in _SIZES for _ in range(_BLOCKS)]
    for block, size in blocks:
        ctypes.memset(block, _NAN, size)
        _free(*_CPU, block)
    return 0


_spoil_own_task = _Task(_spoil_own)


def spoil() -> None:
    """Fill with NaN what the next functions will get for scratch, in each of TVM's threads."""
    _launch(_spoil_own_task, None, 0)


class Guarded:
    """A tensor between two margins: ``tensor`` is what a function takes."""

    def __init__(self, values: np.ndarray) -> None:
        size = values.nbytes
        self._whole = np.full(size + 2 * _MARGIN + _ALIGNMENT, _NAN, "uint8")
        self._begin = _MARGIN + -(self._whole.ctypes.data + _MARGIN) % _ALIGNMENT
        self._end = self._begin + size
        self._array = self._whole[self._begin : self._end].view(values.dtype).reshape(values.shape)
        self._array[...] = values
        self._before = values.copy()
        self.tensor = tvm_ffi.from_dlpack(self._array) if size else tvm.runtime.tensor(values)

    def values(self) -> np.ndarray:
        """A copy of what is there now."""
        return self._array.copy()

    def damage(self, written: bool = False) -> str | None:
        """In words what a kernel did where it must not; ``written``: it may write the values."""
        if (self._whole[: self._begin] != _NAN).any():
            return "memory before a tensor was written to"
        if (self._whole[self._end :] != _NAN).any():
            return "memory behind a tensor was written to"
        same = self._array.tobytes() == self._before.tobytes()
        return None if same or written else "an input was written to"


def nan(shape: tuple[int, ...], dtype: str) -> np.ndarray:
    """An array that nobody has written yet."""
    return np.full(shape, np.nan, dtype)
