"""CUDA kernels through TVM's host code, in a process that has no other CUDA device.

TVM keeps the first interface to a device that it meets. Ours, which says that there is a GPU, must
not stay behind in the process of the tests.
"""

from __future__ import annotations

import functools
import os
import pickle

import numpy as np
import tvm
from opencl import device, scratch
from opencl.device import Launch, host_of
from opencl.guarded import Guarded
from tvm.target import Target

from .program import Program

_DEVICE = tvm.cuda(0)


class Kernels(device.Kernels):
    """The CUDA kernels of one build. ``memory`` has the bytes at every address they may get."""

    kind, form = "cuda", "cuda"
    shared_bytes = 48 << 10

    def __init__(self, target: Target) -> None:
        super().__init__(target)
        self.memory: dict[int, int] = {}

    def program(self, source: str) -> Program:
        return Program(source, self.memory)


def run(
    built: bytes, inputs: list[np.ndarray], outputs: tuple[tuple[tuple[int, ...], str], ...]
) -> tuple[list[np.ndarray], list[Launch]]:
    """What ``Built.run`` says, for a pickled PrimFunc and its target."""
    kernels, module = _compiled(built)
    given = [Guarded(array.shape, str(array.dtype), array, _DEVICE) for array in inputs]
    results = [Guarded(shape, dtype, device=_DEVICE) for shape, dtype in outputs]
    kernels.memory.clear()
    kernels.memory.update(scratch.spoil(_DEVICE))
    kernels.memory.update(array.place for array in (*given, *results))
    with kernels.running():
        module["main"](*(array.tensor for array in (*given, *results)))
    for index, (array, was) in enumerate(zip(given, inputs, strict=True)):
        same = array.checked(f"input {index}").tobytes() == was.tobytes()
        assert same, f"a kernel wrote to input {index}"
    values = [array.checked(f"output {index}") for index, array in enumerate(results)]
    return values, kernels.launches


@functools.lru_cache(maxsize=16)
def _compiled(built: bytes) -> tuple[Kernels, tvm.runtime.Module]:
    func, target = pickle.loads(built)
    kernels = Kernels(target)
    mod = tvm.IRModule({"main": func.with_attr("global_symbol", "main")})
    # Set, it would have TVM make a module of its own.
    os.environ.pop("TVM_COMPILE_FORCE_FALLBACK", None)
    with kernels.collected():
        return kernels, tvm.tirx.build(mod, host_of(target))
