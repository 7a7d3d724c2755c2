"""Weights of a library stay in its file, and kernels read them there (``weights.c``).

    kernel(x, constant, y) => w = call_packed("tvm_deconv_weights", 0); kernel(x, w, y)

Constants of an executable are copied three times when TVM writes it and twice when TVM loads it.
Here they go to the file from where they are, behind what the loader reads, and stay there: 189 MiB
of them took three times as much while they were loaded, and twice as much from then on. A call for
one takes 45 ns.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tvm
import tvm_ffi
from tvm import relax, tirx

from .serialized import Parts, length

_SOURCE = Path(__file__).with_suffix(".c")
_FUNCTION = "tvm_deconv_weights"
# TVM's codes of NumPy's kinds of types.
_CODES = {"i": 0, "u": 1, "f": 2}
_TYPES = {
    *(f"{kind}{bits}" for kind in ("int", "uint") for bits in (8, 16, 32, 64)),
    *("float16", "float32", "float64"),
}
# Bytes of a constant that is worth a call: a page.
_LARGE = 4096
# Of the place of each in a file: a line of the cache, which the widest vector is, too.
_ALIGNMENT = 64
# Of elements by which constants are told apart before all are compared.
_SAMPLES = 64


def without_weights(mod: tvm.IRModule) -> tuple[tvm.IRModule, list[np.ndarray]]:
    """The module calling for the large constants of its kernels, and what these are, by number.

    To be linked with ``weights_words`` and ``in_file``. A constant that is anything else's, such as
    a result, stays: it can be read when the library has gone.
    """
    known = _Known()
    functions = {
        var: _without(mod, func, known) if isinstance(func, relax.Function) else func
        for var, func in mod.functions.items()
    }
    return tvm.IRModule(functions, attrs=mod.attrs), known.weights


def weights_words(weights: Sequence[np.ndarray]) -> list[str]:
    """Words for a compiler that links a library with these behind what TVM's loader reads."""
    if not weights:
        return []
    return ["-O2", f"-DWEIGHTS={len(weights)}", "-x", "c", str(_SOURCE), "-x", "none"]


def in_file(content: bytes | memoryview, weights: Sequence[np.ndarray]) -> Parts:
    """What TVM's loader reads, then a table of the weights, then these, as ``weights.c`` has it."""
    if not weights:
        return [content]
    start = length([content])
    # From here on in whole words.
    entries = start + -start % 8
    end = entries + sum(16 + 16 * array.ndim for array in weights)
    table: Parts = [bytes(entries - start)]
    bodies: Parts = []
    for array in weights:
        gap = -end % _ALIGNMENT
        table.append(_entry(array, end + gap))
        bodies += [bytes(gap), _bytes(array).data]
        end += gap + array.nbytes
    return [content, *table, *bodies]


class _Known:
    """The weights of a module, equal ones once."""

    def __init__(self) -> None:
        self.weights: list[np.ndarray] = []
        self._alike: dict[tuple, list[int]] = {}

    def number(self, array: np.ndarray) -> int:
        samples = array.reshape(-1)[:: -(-array.size // _SAMPLES)].tobytes()
        alike = self._alike.setdefault((array.dtype, array.shape, samples), [])
        for number in alike:
            if _is_equal(array, self.weights[number]):
                return number
        alike.append(len(self.weights))
        self.weights.append(array)
        return alike[-1]


def _without(mod: tvm.IRModule, func: relax.Function, known: _Known) -> relax.Function:
    called: dict[int, relax.VarBinding] = {}

    def variable(argument: relax.Expr) -> relax.Expr:
        array = _weight(argument)
        if array is None:
            return argument
        number = known.number(array)
        if number not in called:
            callee, given = relax.ExternFunc(_FUNCTION), [tirx.IntImm("int64", number)]
            call = relax.Call(callee, given, None, [argument.ty])
            called[number] = relax.VarBinding(relax.Var(f"weight{number}", argument.ty), call)
        return called[number].var

    def kernel_call(call: relax.Call) -> relax.Expr:
        callee = mod[call.op] if isinstance(call.op, tvm.ir.GlobalVar) else None
        if not isinstance(callee, tirx.PrimFunc):
            return call
        arguments = [variable(argument) for argument in call.args]
        return relax.Call(call.op, arguments, call.attrs, call.ty_args, call.span)

    func = tvm_ffi.structural_map(func, (relax.Call, kernel_call))
    if not called:
        return func
    blocks = [relax.BindingBlock(list(called.values())), *func.body.blocks]
    body = relax.SeqExpr(blocks, func.body.body)
    return relax.Function(func.params, body, func.ret_ty, func.is_pure, func.attrs, func.span)


def _weight(argument: relax.Expr) -> np.ndarray | None:
    """The elements of a large constant."""
    value = argument.value if isinstance(argument, tvm.ir.GenericConst) else None
    if not isinstance(value, tvm.runtime.Tensor) or str(value.dtype) not in _TYPES:
        return None
    array = np.from_dlpack(value)
    return array if array.nbytes >= _LARGE else None


def _is_equal(a: np.ndarray, b: np.ndarray) -> bool:
    """Whether both have the same bits."""
    return a.ctypes.data == b.ctypes.data or np.array_equal(_bytes(a), _bytes(b))


def _bytes(array: np.ndarray) -> np.ndarray:
    return array.reshape(-1).view("uint8")


def _entry(array: np.ndarray, offset: int) -> bytes:
    """What the table has of an array at ``offset``."""
    size, axes = array.dtype.itemsize, array.ndim
    strides = [stride // size for stride in array.strides]
    return struct.pack(
        f"<QiBBH{2 * axes}q",
        *(offset, axes, _CODES[array.dtype.kind], 8 * size, 1, *array.shape, *strides),
    )
