"""Executes the CUDA source that TVM generates, on the processor: right or wrong, never fast.

``build`` and ``Built.run`` go through the host code that TVM builds for a scheduled PrimFunc; the
kernels are compiled by g++ and executed as ``machine.cpp`` says, which stops at what a GPU would
not forgive. A test module begins with ``pytestmark = cuda_on_cpu.required``.

What this cannot show: that nvcc accepts the source (it is assembled in other tests), and the
roundings of CUDA's own functions and fused multiply-adds. float16 is computed as g++ computes
``_Float16``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import tvm
from opencl.device import Launch
from tvm.target import Target

from .compiler import missing
from .device import Kernels

__all__ = ["MISSING", "Built", "Launch", "build", "required"]

MISSING = missing()
required = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass
class Built:
    """One PrimFunc for CUDA: ``source``, and after ``run`` the ``launches`` it consisted of."""

    kernels: Kernels
    main: Any

    @property
    def source(self) -> str:
        return self.kernels.source

    @property
    def launches(self) -> list[Launch]:
        return self.kernels.launches

    def run(self, inputs: list[np.ndarray], *outputs: tuple[tuple[int, ...], str]) -> list:
        """The outputs, of the given shapes and dtypes, for these inputs.

        Reads of what was not written meet NaN. Raises AssertionError for what the machine notices,
        for a write to an input, and for a launch that the target's device would refuse.
        """
        with self.kernels.running():
            given = [self.kernels.given(array.shape, str(array.dtype), array) for array in inputs]
            results = [self.kernels.given(shape, dtype) for shape, dtype in outputs]
            self.main(*(array.tensor for array in (*given, *results)))
        for index, (array, was) in enumerate(zip(given, inputs, strict=True)):
            same = array.checked(f"input {index}").tobytes() == was.tobytes()
            assert same, f"a kernel wrote to input {index}"
        return [array.checked(f"output {index}") for index, array in enumerate(results)]


def build(func: tvm.tirx.PrimFunc, target: Target) -> Built:
    """A scheduled function, compiled: its host part by TVM, its kernels by g++."""
    kernels = Kernels(target)
    return Built(kernels, kernels.main(func))
