"""The multiply-add peak of this machine, measured beside the others by a kernel in registers.

``python -m tvm_deconv.bench.peak`` takes part like any contestant; model and input are ignored.
"""

from __future__ import annotations

import numpy as np
import tvm

from tvm_deconv.measure.cpu_peak import flop, kernel, shapes
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.targets import resolve_target
from tvm_deconv.threads import use_threads

from .worker import Loaded, Loader, serve

NAME = "peak"


class Peak:
    """A loader, and the floating-point operations of one call in ``facts``."""

    def __init__(self) -> None:
        self._facts: dict[str, float] = {}

    def facts(self) -> dict[str, float]:
        return self._facts

    def load(self, _model: str, _x: np.ndarray, threads: int) -> Loaded:
        use_threads(threads)
        target = resolve_target("host")
        lanes = cpu_machine(target).lanes
        built = tvm.compile(tvm.IRModule({"main": kernel(threads, lanes)}), target=target)
        inputs, outputs = shapes(threads, lanes)
        factors = tvm.runtime.tensor(np.full(inputs, 0.5, "float32"))
        out = tvm.runtime.empty(outputs, "float32")
        main = built["main"]
        self._facts = {"flop": flop(threads, lanes)}
        return lambda: main(factors, out), lambda _: out.numpy(), tvm.__version__, []


def main() -> None:
    peak = Peak()
    loaders: dict[str, Loader] = {NAME: peak.load}
    serve(loaders, NAME, peak.facts)


if __name__ == "__main__":
    main()
