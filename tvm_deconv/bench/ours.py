"""The contestants that are this package: ``python -m tvm_deconv.bench.ours NAME``.

``auto`` is what a user gets; the others change one option of ``tvm_deconv.compile`` each.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import tvm
from tvm import relax

import tvm_deconv
from tvm_deconv.backends.linking import linker
from tvm_deconv.built import Built
from tvm_deconv.compiler import build, for_threads, pipeline_of
from tvm_deconv.options import Options
from tvm_deconv.report import KernelReport
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.threads import use_threads

from .figures import DIRECT
from .kernels import KernelLayers, KernelTimes
from .memory import PlannedMemory
from .worker import Inputs, Loaded, Loader, Outputs, Profiled, ProfilingLoader, serve

AUTO, UNREWRITTEN = "auto", "no-rewrite"

OPTIONS: dict[str, dict[str, Any]] = {
    AUTO: {},
    DIRECT: {"winograd": False},
    UNREWRITTEN: {"rewrite": False},
    **{name: {"variant": name} for name in VARIANTS},
}
"""Options of ``tvm_deconv.compile`` by contestant."""


class NotSupportedError(Exception):
    """A variant that computes none of the model's layers."""


class Ours:
    """Compiles a model with given options; ``facts`` describes what was compiled last."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options
        self._facts: dict[str, float] = {}

    def facts(self) -> dict[str, float]:
        """Seconds of compiling, bytes of the memory plan and of the largest kernel's scratch.

        And ``form_multiply_adds``, those of all kernels' forms, where these are of floats.
        """
        return self._facts

    def load(self, model: str, inputs: Inputs, _outputs: Outputs, threads: int) -> Loaded:
        """Raises NotSupportedError, and what ``tvm_deconv.compile`` raises."""
        self._facts = {}
        pool = use_threads(threads)
        kernels = self._kernels(model, threads)
        notes = [*_variants(kernels), *pool_notes(pool, threads)]
        memory = PlannedMemory(threads)
        began = time.perf_counter()
        with tvm.transform.PassContext(instruments=[memory]):
            built = self._built(model, threads)
        self._facts = {
            "compile_s": time.perf_counter() - began,
            "planned_bytes": memory.intermediates,
            "scratch_bytes": memory.workspace,
        }
        forms = [kernel.multiply_adds for kernel in kernels]
        if forms and None not in forms:
            self._facts["form_multiply_adds"] = sum(filter(None, forms))
        call = bound_call(as_library(built), inputs)
        return call, arrays, tvm.__version__, notes

    def profiled(
        self, model: str, inputs: Inputs, _outputs: Outputs, threads: int, _folder: str
    ) -> Profiled:
        """The same with a profiler; what compiles it is not timed, nor what it plans counted."""
        use_threads(threads)
        layers = KernelLayers()
        with tvm.transform.PassContext(instruments=[layers]):
            built = self._built(model, threads)
        times, calls = KernelTimes(layers.kernels), 0
        call = bound_call(as_library(built), inputs, times)

        def counting() -> Any:
            nonlocal calls
            calls += 1
            return call()

        loaded: Loaded = (counting, arrays, tvm.__version__, [])
        return loaded, lambda: times.kernels(calls)

    def _built(self, model: str, threads: int) -> Built:
        """What ``tvm_deconv.compile`` compiles, as ``compile_library`` writes it."""
        target = for_threads("host", threads)
        return build(model, None, target, pipeline_of(target, Options(**self._options)))

    def _kernels(self, model: str, threads: int) -> Sequence[KernelReport]:
        """What computes the model's convolutions; nothing is known where it is not rewritten."""
        if not self._options.get("rewrite", True):
            return []
        kernels = tvm_deconv.explain(model, threads=threads, **self._options).kernels
        wanted = self._options.get("variant")
        if wanted and all(kernel.variant != wanted for kernel in kernels):
            reasons = dict.fromkeys(kernel.reason for kernel in kernels)
            raise NotSupportedError("; ".join(reasons) or "there is no convolution")
        return kernels


def _variants(kernels: Sequence[KernelReport]) -> list[str]:
    """A remark on which variants compute a model."""
    counts = Counter(kernel.variant or "TVM" for kernel in kernels)
    return [", ".join(f"{name} x {count}" for name, count in counts.items())] if counts else []


def as_library(built: Built) -> tvm.runtime.Module:
    """What a user runs: the library, with threads of its own, and weights that stay in the file."""
    with TemporaryDirectory() as folder:
        path = str(Path(folder, "network.so"))
        built.write(path, linker(built.target))
        return tvm.runtime.load_module(path)


def bound_call(
    executable: relax.VMExecutable | tvm.runtime.Module,
    inputs: Inputs,
    instrument: KernelTimes | None = None,
) -> Any:
    """A call of ``main`` on ``inputs``, from tensors of TVM to what ``arrays`` takes."""
    machine = relax.VirtualMachine(executable, tvm.cpu())
    if instrument is not None:
        machine.set_instrument(instrument)
    given, main = [tvm.runtime.tensor(x) for x in inputs.values()], machine["main"]
    return lambda: main(*given)


def arrays(result: Any) -> list[np.ndarray]:
    """The outputs of a network, of which a call returns one alone or all as an array of TVM."""
    tensors = [result] if isinstance(result, tvm.runtime.Tensor) else result
    return [tensor.numpy() for tensor in tensors]


def pool_notes(pool: int, threads: int) -> list[str]:
    """A remark where TVM's pool has another number of threads than asked for."""
    return [] if pool == threads else [f"TVM uses {pool} threads, {threads} were asked for"]


def main() -> None:
    (name,) = sys.argv[1:]
    ours = Ours(OPTIONS[name])
    loaders: dict[str, Loader] = {name: ours.load}
    profilers: dict[str, ProfilingLoader] = {name: ours.profiled}
    serve(loaders, name, ours.facts, profilers)


if __name__ == "__main__":
    main()
