"""The multiply-add peak of this machine, measured beside the others by a kernel in registers.

``python -m tvm_deconv.bench.peak`` takes part like any contestant; model and input are ignored.
"""

from __future__ import annotations

import numpy as np
import tvm
from tvm.script import tirx as T

from tvm_deconv.bench.worker import Loaded, Loader, serve
from tvm_deconv.schedules.machine import cpu_machine
from tvm_deconv.targets import resolve_target
from tvm_deconv.threads import use_threads

NAME = "peak"

# A latency of 4 cycles at 2 multiply-adds in a cycle needs 8 chains; 12 fit any register file.
_CHAINS = 12
_STEPS = 200_000


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
        factors = tvm.runtime.tensor(np.full((2, lanes), 0.5, "float32"))
        out = tvm.runtime.empty((threads, lanes), "float32")
        main = built["main"]
        self._facts = {"flop": flop(threads, lanes)}
        return lambda: main(factors, out), lambda _: out.numpy(), tvm.__version__, []


def flop(threads: int, lanes: int) -> int:
    """Floating-point operations of a call of ``kernel``."""
    return 2 * threads * _STEPS * _CHAINS * lanes


def kernel(threads: int, lanes: int) -> tvm.tirx.PrimFunc:
    """``threads`` times ``_CHAINS`` independent chains of vector multiply-adds."""

    @T.prim_func(s_tir=True)
    def main(a: T.handle, b: T.handle):
        factors = T.match_buffer(a, (2, lanes), "float32")
        out = T.match_buffer(b, (threads, lanes), "float32")
        T.func_attr({"global_symbol": "main", "tirx.noalias": True})
        for thread in T.parallel(threads):
            with T.sblock("chains"):
                acc = T.sblock_alloc_buffer((_CHAINS, lanes), "float32", scope="local")
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        acc[i, j] = T.Cast("float32", i + 1)
                for _ in range(_STEPS):
                    for i in T.unroll(_CHAINS):
                        for j in T.vectorized(lanes):
                            acc[i, j] = acc[i, j] * factors[0, j] + factors[1, j]
                for j in T.vectorized(lanes):
                    out[thread, j] = T.float32(0)
                for i in T.unroll(_CHAINS):
                    for j in T.vectorized(lanes):
                        out[thread, j] = out[thread, j] + acc[i, j]

    return main


def main() -> None:
    peak = Peak()
    loaders: dict[str, Loader] = {NAME: peak.load}
    serve(loaders, NAME, peak.facts)


if __name__ == "__main__":
    main()
