"""Executes the CUDA source that TVM generates, on the processor: right or wrong, never fast.

``build`` and ``Built.run`` go through the host code that TVM builds for a scheduled PrimFunc; the
kernels are compiled by g++ and executed as ``machine.cpp`` says, which stops at what a GPU would
not forgive. A test module begins with ``pytestmark = cuda_on_cpu.required``.

What this cannot show: that nvcc accepts the source (it is assembled in other tests), and the
roundings of CUDA's own functions and fused multiply-adds. float16 is computed as g++ computes
``_Float16``. Scratch counts as large as the block of memory that TVM took it from.
"""

from __future__ import annotations

import functools
import pickle
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, field
from multiprocessing import get_context

import numpy as np
import pytest
import tvm
from opencl.device import Launch
from tvm.target import Target

from . import device
from .compiler import missing

__all__ = ["MISSING", "Built", "Launch", "build", "required"]

MISSING = missing()
required = pytest.mark.skipif(bool(MISSING), reason=MISSING)


@dataclass
class Built:
    """One PrimFunc for CUDA; after ``run`` the ``launches`` of its kernels."""

    function: bytes
    launches: list[Launch] = field(default_factory=list)

    def run(self, inputs: list[np.ndarray], *outputs: tuple[tuple[int, ...], str]) -> list:
        """The outputs, of the given shapes and dtypes, for these inputs.

        Reads of what was not written meet NaN. Raises AssertionError for what the machine notices,
        for a write to an input, and for a launch that the target's device would refuse.
        """
        values, self.launches = (
            _process().submit(device.run, self.function, inputs, outputs).result()
        )
        return values


def build(func: tvm.tirx.PrimFunc, target: Target) -> Built:
    """A scheduled function to run; it is compiled when it runs first."""
    return Built(pickle.dumps((func, target)))


@functools.cache
def _process() -> ProcessPoolExecutor:
    """A process for our device; it ends with this one."""
    return ProcessPoolExecutor(1, mp_context=get_context("spawn"))
