"""Executes what TVM compiles for an OpenCL device, on the processor: right or wrong, never fast.

``run`` executes one scheduled PrimFunc, ``run_network`` a whole Relax module, both through the host
code that TVM builds for them. A test module begins with ``pytestmark = opencl.required``, which
skips it where OpenCL cannot run (``MISSING`` says why), and marks what has float16 in it with
``opencl.half_required``.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

import numpy as np
import pytest
import tvm
from tvm import relax
from tvm.target import Target

from tvm_deconv.backends.lowering import lean_lowering

from . import scratch
from .device import DEVICE, Kernels, Launch, host_of
from .guarded import Guarded
from .half import missing as missing_half
from .pocl import missing

__all__ = [
    "MISSING",
    "MISSING_HALF",
    "Built",
    "Launch",
    "Network",
    "build",
    "half_required",
    "required",
    "run",
    "run_network",
]

MISSING = missing()
if MISSING and os.environ.get("TVM_DECONV_REQUIRE_BOARD") == "1":
    # Continuous integration has to run these tests, as it has to run those on the emulated board.
    raise RuntimeError(f"TVM_DECONV_REQUIRE_BOARD=1, but {MISSING}")
MISSING_HALF = MISSING or missing_half()
required = pytest.mark.skipif(bool(MISSING), reason=MISSING)
half_required = pytest.mark.skipif(bool(MISSING_HALF), reason=MISSING_HALF)


@dataclass
class Built:
    """One PrimFunc for OpenCL: ``source``, and after ``run`` the ``launches`` it consisted of."""

    kernels: Kernels
    module: tvm.runtime.Module

    @property
    def source(self) -> str:
        return self.kernels.source

    @property
    def launches(self) -> list[Launch]:
        return self.kernels.launches

    def run(self, inputs: list[np.ndarray], *outputs: tuple[tuple[int, ...], str]) -> list:
        """The outputs, of the given shapes and dtypes, for these inputs.

        Reads beyond an array meet NaN (-1 in integers), and so do reads of what was not written, in
        outputs and in scratch. Raises AssertionError for a write beyond an array or to an input,
        and for a launch that the target's device would refuse.
        """
        given = [Guarded(array.shape, str(array.dtype), array) for array in inputs]
        results = [Guarded(shape, dtype) for shape, dtype in outputs]
        scratch.spoil()
        with self.kernels.running():
            self.module["main"](*(array.tensor for array in (*given, *results)))
        for index, (array, was) in enumerate(zip(given, inputs, strict=True)):
            got = array.checked(f"input {index}")
            assert got.tobytes() == was.tobytes(), f"a kernel wrote to input {index}"
        return [array.checked(f"output {index}") for index, array in enumerate(results)]


def build(func: tvm.tirx.PrimFunc, target: Target) -> Built:
    """Lower a scheduled function as users' builds do and compile both of its parts."""
    kernels = Kernels(target)
    mod = tvm.IRModule({"main": func.with_attr("global_symbol", "main")})
    with kernels.collected(), lean_lowering(target):
        return Built(kernels, tvm.tirx.build(mod, host_of(target)))


def run(
    func: tvm.tirx.PrimFunc,
    target: Target,
    inputs: list[np.ndarray],
    *outputs: tuple[tuple[int, ...], str],
) -> list[np.ndarray]:
    """``build`` and ``Built.run``: the outputs of a function whose last parameters they are."""
    return build(func, target).run(inputs, *outputs)


class Network:
    """A Relax module compiled for an OpenCL target by ``passes``; see ``relax.build``."""

    def __init__(self, mod: tvm.IRModule, target: Target, passes="default") -> None:
        self._kernels = Kernels(target)
        with self._kernels.collected(), lean_lowering(target):
            executable = relax.build(mod, host_of(target), relax_pipeline=passes)
        self._machine = relax.VirtualMachine(executable, DEVICE)

    @property
    def source(self) -> str:
        return self._kernels.source

    @property
    def launches(self) -> list[Launch]:
        return self._kernels.launches

    def run(self, *inputs: np.ndarray) -> list[np.ndarray]:
        """All outputs of ``main``, in order."""
        scratch.spoil()
        with self._kernels.running():
            result = self._machine["main"](*(tvm.runtime.tensor(x, DEVICE) for x in inputs))
        return [result.numpy()] if hasattr(result, "numpy") else [part.numpy() for part in result]


def run_network(
    mod: tvm.IRModule, target: Target, inputs: list[np.ndarray], passes="default"
) -> list[np.ndarray]:
    """The outputs of a whole network; ``passes`` is the Relax pipeline, by default TVM's own."""
    return Network(mod, target, passes).run(*inputs)
