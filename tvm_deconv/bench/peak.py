"""The multiply-add peak of this machine, measured beside the others by a kernel in registers.

``python -m tvm_deconv.bench.peak`` takes part like any contestant; model and input are ignored.
"""

from __future__ import annotations

import numpy as np
import tvm

from tvm_deconv.backends import backend_of
from tvm_deconv.backends.linking import compiled
from tvm_deconv.compiler import for_threads
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
        target = for_threads("host", threads)
        probe = backend_of(target).peak(target)
        values = (np.full(shape, 0.5, "float32") for shape in probe.shapes)
        factors, out = map(tvm.runtime.tensor, values)
        main = compiled(probe.func, target)["main"]
        self._facts = {"flop": probe.work}
        return lambda: main(factors, out), lambda _: out.numpy(), tvm.__version__, []


def main() -> None:
    peak = Peak()
    loaders: dict[str, Loader] = {NAME: peak.load}
    serve(loaders, NAME, peak.facts)


if __name__ == "__main__":
    main()
