"""Arrays of a device that notice who reads or writes beyond them."""

from __future__ import annotations

import ctypes

import numpy as np
import tvm_ffi

from .device import DEVICE

# All bits set are NaN in every float, and -1 in integers.
_BYTE = 0xFF
_MARGIN = 1 << 16  # a channel too many is behind the array, but not behind this
_ALIGNMENT = 64  # of every tensor, TVM counts on it


class Guarded:
    """A tensor between two margins; ``tensor`` is what a function takes, ``checked`` its values."""

    def __init__(
        self,
        shape: tuple[int, ...],
        dtype: str,
        values: np.ndarray | None = None,
        device: tvm_ffi.Device = DEVICE,
    ) -> None:
        size = int(np.prod(shape)) * np.dtype(dtype).itemsize
        self._whole = np.full(size + 2 * _MARGIN + _ALIGNMENT, _BYTE, "uint8")
        self._begin = _MARGIN + -(self._whole.ctypes.data + _MARGIN) % _ALIGNMENT
        self._end = self._begin + size
        self._array = self._whole[self._begin : self._end].view(dtype).reshape(shape)
        if values is not None:
            self._array[...] = values
        self.tensor = tvm_ffi.from_dlpack(_OnDevice(self._array, device))

    @property
    def place(self) -> tuple[int, int]:
        """Address and bytes of the values."""
        return self._array.ctypes.data, self._array.nbytes

    def checked(self, name: str) -> np.ndarray:
        """A copy of the values; AssertionError where a margin was written to."""
        before, after = self._whole[: self._begin], self._whole[self._end :]
        assert (before == _BYTE).all(), f"a kernel wrote before {name}"
        assert (after == _BYTE).all(), f"a kernel wrote behind {name}"
        return self._array.copy()


class _OnDevice:
    """An array of the processor's memory that says it were the device's, which it is here."""

    def __init__(self, array: np.ndarray, device: tvm_ffi.Device) -> None:
        self._array = array
        self._place = device.dlpack_device_type(), device.index

    def __dlpack__(self, **_options):
        capsule = self._array.__dlpack__()
        address = ctypes.pythonapi.PyCapsule_GetPointer
        address.restype, address.argtypes = ctypes.c_void_p, [ctypes.py_object, ctypes.c_char_p]
        # A DLTensor begins with the address of its data, then the device: its type and number.
        device = (ctypes.c_int32 * 2).from_address(address(capsule, b"dltensor") + 8)
        device[:] = self._place
        return capsule

    def __dlpack_device__(self):
        return self._place
