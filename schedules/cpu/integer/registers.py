"""Vectors of sums that stay in registers while a kernel adds to them."""

from __future__ import annotations

from collections.abc import Hashable, Iterable
from typing import Any

from tvm.script.ir_builder import tirx as T

from tvm_deconv.schedules.tir.edit import index, ramp


class Registers:
    """A vector of int32 for each key, read as ``sums[key]`` and written as ``sums[key] = value``.

    Each is a buffer of the default scope. TVM puts one of another scope, or of 1 KiB or more, into
    its workspace, where LLVM stores and loads sums around each word of channels: of a sub-pixel
    layer of factor 4, 64 -> 3 channels, 24 sums of AVX-512 in one buffer took twice the time.
    Smaller ones are on the stack, from where LLVM takes them into registers.
    """

    def __init__(self, keys: Iterable[Hashable], lanes: int) -> None:
        self._at = ramp(index(0), lanes)
        self._buffers = {key: T.alloc_buffer((index(lanes),), "int32") for key in keys}

    def __getitem__(self, key: Hashable) -> Any:
        return self._buffers[key][self._at]

    def __setitem__(self, key: Hashable, value: Any) -> None:
        T.buffer_store(self._buffers[key], value, [self._at])
