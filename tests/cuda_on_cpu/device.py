"""A PrimFunc for CUDA, through TVM's own host code, without a CUDA device for TVM.

TVM keeps the first interface to a device that it meets as long as the process lives: one of ours
would tell every later test that there is a GPU. So what host code asks of a device is replaced
where it asks: scratch, and to make the device the current one.
"""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import tvm
import tvm_ffi
from opencl import device
from opencl.guarded import Guarded
from tvm.target import Target

from tvm_deconv.backends.lowering import lean_lowering

from .program import Program

_DEVICE = tvm.cuda(0)
_SET_DEVICE = "__tvm_set_device"
_runtime = ctypes.CDLL(None)
# (device type, device, bytes, code and bits of the dtype) to an address, and what takes it back.
_Allocate = ctypes.CFUNCTYPE(
    ctypes.c_void_p, ctypes.c_int, ctypes.c_int, ctypes.c_uint64, ctypes.c_int, ctypes.c_int
)
_Free = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int, ctypes.c_int, ctypes.c_void_p)


class Kernels(device.Kernels):
    """The kernels of one build for CUDA. All memory that they may get is ``given`` by us."""

    kind, form = "cuda", "cuda"
    shared_bytes = 48 << 10

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self._memory: dict[int, int] = {}
        self._arrays: list[Guarded] = []
        self._workspace = _Allocate(self._scratch), _Free(lambda *_: 0)

    def program(self, source: str) -> Program:
        return Program(source, self._memory)

    def given(
        self, shape: tuple[int, ...], dtype: str, values: np.ndarray | None = None
    ) -> Guarded:
        """An array that kernels know until ``running`` ends, of NaN without ``values``."""
        array = Guarded(shape, dtype, values, _DEVICE)
        address, size = array.place
        self._memory[address] = size
        self._arrays.append(array)
        return array

    def _scratch(self, _type: int, _device: int, size: int, _code: int, _bits: int) -> int:
        return self.given((size,), "uint8").place[0]

    def main(self, func: tvm.tirx.PrimFunc) -> Any:
        """A scheduled function, lowered as users' builds do, to be called while ``running``."""
        mod = tvm.IRModule({"main": func.with_attr("global_symbol", "main")})
        with self.creating(), self._in_host_code(), lean_lowering(self._target):
            return tvm.tirx.build(mod, device.host_of(self._target))["main"]

    @contextmanager
    def _in_host_code(self) -> Iterator[None]:
        """Host code that is loaded inside has its scratch from us."""
        names = "TVMBackendAllocWorkspace", "TVMBackendFreeWorkspace"
        for name, ours in zip(names, self._workspace, strict=True):
            _resolve(name, ours)
        try:
            yield
        finally:
            for name in names:
                _resolve(name, getattr(_runtime, name))

    @contextmanager
    def running(self) -> Iterator[None]:
        before = tvm_ffi.get_global_func(_SET_DEVICE)
        tvm_ffi.register_global_func(_SET_DEVICE, lambda *_: None, override=True)
        try:
            with super().running():
                yield
        finally:
            tvm_ffi.register_global_func(_SET_DEVICE, before, override=True)
            self._memory.clear()
            self._arrays.clear()


def _resolve(name: str, function: Any) -> None:
    """What host code finds under a name of the runtime, if it is loaded after this."""
    address = ctypes.cast(function, ctypes.c_void_p)
    failed = _runtime.TVMFFIEnvModRegisterContextSymbol(f"__{name}".encode(), address)
    assert not failed, name
