"""Weights of a library go to its file from where they are.

TVM writes an executable to memory that is fresh from the system, three copies of it: 256 MB of
weights take it more than a second. So it writes one with stand-ins for them, which are replaced. A
constant is, as TVM 0.27 writes it (``SaveDLTensor``),

    magic number, 0, device, number of axes, type, size of each axis, number of bytes, bytes
"""

from __future__ import annotations

import re
import struct
import uuid
from collections.abc import Sequence

import numpy as np
import tvm
import tvm_ffi
from tvm import relax

from .serialized import Parts

_MAGIC = 0xDD5E40F096B4A13F
_CPU = 1
# TVM's codes of NumPy's kinds of types.
_CODES = {"i": 0, "u": 1, "f": 2}
_TYPES = {
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
}
# Bytes of a constant that is worth it.
_LARGE = 4096
# Of elements by which constants are told apart before all are compared.
_SAMPLES = 64
# What a stand-in holds, and then its number.
_MARK = uuid.uuid4().bytes
_NUMBER = struct.Struct("<Q")


def with_stand_ins(mod: tvm.IRModule) -> tuple[tvm.IRModule, list[np.ndarray]]:
    """The module with stand-ins for its large constants, and what these are.

    Only to write it: it computes nothing that way.
    """
    weights: list[np.ndarray] = []
    known: dict[tuple, list[tuple[np.ndarray, relax.Expr]]] = {}

    def stand_in(constant: tvm.ir.GenericConst) -> relax.Expr:
        is_tensor = isinstance(constant.value, tvm.runtime.Tensor)
        if not is_tensor or str(constant.value.dtype) not in _TYPES:
            return constant
        array = np.from_dlpack(constant.value)
        if array.nbytes < _LARGE:
            return constant
        samples = array.reshape(-1)[:: -(-array.size // _SAMPLES)].tobytes()
        # TVM writes equal constants once.
        alike = known.setdefault((array.dtype, array.shape, samples), [])
        for other, made in alike:
            if _is_equal(array, other):
                return made
        made = relax.const(np.frombuffer(_MARK + _NUMBER.pack(len(weights)), "uint8"))
        weights.append(array)
        alike.append((array, made))
        return made

    functions = {
        var: tvm_ffi.structural_map(func, (tvm.ir.GenericConst, stand_in))
        if isinstance(func, relax.Function)
        else func
        for var, func in mod.functions.items()
    }
    return tvm.IRModule(functions, attrs=mod.attrs), weights


def _is_equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether both have the same bits."""
    return a.ctypes.data == b.ctypes.data or np.array_equal(_bytes(a), _bytes(b))


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view("uint8")


def put_in(content: bytes, weights: Sequence[np.ndarray]) -> Parts:
    """The bytes of an executable with ``weights`` in place of their stand-ins."""
    mark = _head(np.empty(len(_MARK) + _NUMBER.size, "uint8")) + _MARK
    parts: Parts = []
    end = 0
    for found in re.finditer(re.escape(mark) + b"(.{8})", content, re.DOTALL):
        array = weights[_NUMBER.unpack(found[1])[0]]
        parts += [content[end : found.start()], _head(array), _bytes(array).data]
        end = found.end()
    assert len(parts) == 3 * len(weights)
    return [*parts, content[end:]]


def _head(array: np.ndarray) -> bytes:
    """What TVM writes before the elements of an array."""
    axes, bits = array.ndim, 8 * array.dtype.itemsize
    return struct.pack(
        f"<QQiiiBBH{axes}qQ",
        *(_MAGIC, 0, _CPU, 0, axes, _CODES[array.dtype.kind], bits, 1, *array.shape, array.nbytes),
    )
