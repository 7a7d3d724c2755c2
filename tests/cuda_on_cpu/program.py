"""Kernels of CUDA source, executed on the processor: see ``machine.cpp`` for what is checked."""

from __future__ import annotations

import ctypes
from collections.abc import Mapping

import numpy as np

from . import compiler

_Index = ctypes.c_uint32 * 3


class _Buffer(ctypes.Structure):
    _fields_ = (
        ("begin", ctypes.c_uint64),
        ("bytes", ctypes.c_uint64),
        ("element", ctypes.c_uint64),
        ("name", ctypes.c_char_p),
    )


class Program:
    """CUDA source, compiled. ``memory`` has the bytes at every address that a kernel may get."""

    def __init__(self, source: str, memory: Mapping[int, int]) -> None:
        self._signatures = compiler.signatures(source)
        self._library = compiler.library(source)
        self._library.machine_launch.restype = ctypes.c_char_p
        self._memory = memory

    def local_bytes(self, name: str) -> int:
        """Shared memory of a block of a kernel."""
        return self._signatures[name].shared_bytes

    def launch(self, name: str, arguments: list, grid: tuple, block: tuple) -> None:
        """Run a kernel to its end; an argument is a scalar of NumPy or the address of a buffer.

        ``grid`` counts blocks and ``block`` threads of one, along x, y, z. Raises AssertionError
        for what the machine notices.
        """
        parameters = self._signatures[name].parameters
        values, buffers = [], []
        for parameter, argument in zip(parameters, arguments, strict=True):
            assert parameter.pointer != isinstance(argument, np.generic), parameter
            values.append(np.uint64(argument) if parameter.pointer else argument)
            if parameter.pointer:
                size = self._memory.get(argument)
                assert size is not None, f"{name}: {parameter.name} is no tensor and no scratch"
                buffers.append(_Buffer(argument, size, parameter.bytes, parameter.name.encode()))
        cells = [np.array(value) for value in values]
        addresses = (ctypes.c_void_p * len(cells))(*(cell.ctypes.data for cell in cells))
        failure = self._library.machine_launch(
            getattr(self._library, f"enter_{name}"),
            addresses,
            _Index(*grid),
            _Index(*block),
            (_Buffer * len(buffers))(*buffers),
            ctypes.c_uint64(len(buffers)),
        )
        assert not failure, f"{name}, {failure.decode()}"
