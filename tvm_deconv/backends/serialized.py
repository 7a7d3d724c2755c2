"""What a library holds besides machine code, as TVM 0.27 writes it (``src/target/codegen.cc``):

    size, import tree (two lists of integers), then for each module: its kind, its bytes

A string is its size and its bytes, a size is 8 bytes, little-endian; a module without bytes of its
own (machine code of the host, which is linked in) has the kind ``_lib`` and nothing else.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeAlias

import numpy as np
import tvm
import tvm_ffi

_SIZE = 8
_LINKED = b"_lib"

# Bytes in parts, wherever they are.
Parts: TypeAlias = list["bytes | memoryview"]


def packed(module: tvm.runtime.Module) -> memoryview:
    """All of it, where TVM has it."""
    bundle = tvm_ffi.get_global_func("runtime.ModulePackImportsToTensor")
    return np.from_dlpack(bundle(module)).data


def with_modules(content: bytes, change: Callable[[bytes, bytes], Parts]) -> Parts:
    """What TVM packed, with what ``change`` makes of the kind and the bytes of each module."""
    reader = _Reader(content)
    assert reader.size() == len(content) - _SIZE
    for _ in range(2):
        reader.take(reader.size() * _SIZE)
    parts: Parts = [content[_SIZE : reader.position]]
    while reader.position < len(content):
        kind = reader.string()
        parts.append(string(kind))
        if kind != _LINKED:
            changed = change(kind, reader.string())
            parts += [size_of(changed), *changed]
    return [size_of(parts), *parts]


def length(parts: Iterable[bytes | memoryview]) -> int:
    """How many bytes there are."""
    return sum(memoryview(part).nbytes for part in parts)


def size_of(parts: Iterable[bytes | memoryview]) -> bytes:
    """What stands before a string of these parts."""
    return length(parts).to_bytes(_SIZE, "little")


def string(content: bytes) -> bytes:
    """The content as TVM writes a string."""
    return size_of([content]) + content


class _Reader:
    def __init__(self, content: bytes) -> None:
        self.content, self.position = content, 0

    def take(self, count: int) -> bytes:
        """The next ``count`` bytes, all of which must be there."""
        taken = self.content[self.position : self.position + count]
        assert len(taken) == count
        self.position += count
        return taken

    def size(self) -> int:
        return int.from_bytes(self.take(_SIZE), "little")

    def string(self) -> bytes:
        return self.take(self.size())
