"""The multiply-add peak of this machine, measured beside the others by a kernel in registers.

``python -m tvm_deconv.bench.peak [int8]`` takes part like any contestant; model and inputs are
ignored.
"""

from __future__ import annotations

import sys

import numpy as np
import tvm

from tvm_deconv.backends import backend_of
from tvm_deconv.backends.linking import compiled
from tvm_deconv.compiler import for_threads
from tvm_deconv.measure.cpu_probes import integer_multiply_adds
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.threads import use_threads

from .worker import Inputs, Loaded, Loader, Outputs, serve

NAME = "peak"


class Peak:
    """A loader, and the operations of one call in ``facts``, of float32 or int8."""

    def __init__(self, dtype: str = "float32") -> None:
        self._dtype = dtype
        self._facts: dict[str, float] = {}

    def facts(self) -> dict[str, float]:
        return self._facts

    def load(self, _model: str, _inputs: Inputs, outputs: Outputs, threads: int) -> Loaded:
        use_threads(threads)
        target = for_threads("host", threads)
        if self._dtype == "int8":
            machine = cpu_machine(target)
            probe = integer_multiply_adds(machine, machine.narrow)
        else:
            probe = backend_of(target).peak(target)
        values = (np.full(shape, 0.5, "float32").astype(probe.dtype) for shape in probe.shapes)
        factors, out = map(tvm.runtime.tensor, values)
        main = compiled(probe.func, target)["main"]
        self._facts = {"flop": probe.work}
        results = [out.numpy()] * len(outputs)
        return lambda: main(factors, out), lambda _: results, tvm.__version__, []


def main() -> None:
    peak = Peak(*sys.argv[1:])
    loaders: dict[str, Loader] = {NAME: peak.load}
    serve(loaders, NAME, peak.facts)


if __name__ == "__main__":
    main()
