"""A builder of MetaSchedule for our candidates: from annotations to a library for the device.

The functions below run in worker processes, so they and their arguments must pickle. A library is
linked here, not on the device, which then needs no compiler.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm.ir.utils import derived_object
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.builder import BuilderInput, BuilderResult, PyBuilder
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock
from tvm.support.popen_pool import PopenPoolExecutor
from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.backends.linking import compiled, link, linker
from tvm_deconv.logs.layer import Candidate
from tvm_deconv.schedules.cpu.integer.variant import IntegerVariant

from . import byte_case
from .case import case_folder
from .definition import candidate_of, is_layer
from .interrupt import ignore_interrupts, uninterrupted

KERNEL, PACKED = "kernel.so", "packed.npz"
# How the name of a folder that the builder makes for one candidate begins.
_ARTIFACT = "artifact-"
# Kernels that a process builds before a new one takes its place: what TVM keeps adds up.
_USES = 64


@dataclass(frozen=True)
class _Built:
    """A compiled function; of a layer also ``case``, and what it takes between x and y."""

    module: Any
    target: Target
    packed: tuple[np.ndarray, ...] = ()
    case: str | None = None


@derived_object
class KernelBuilder(PyBuilder):
    """Builds candidates in processes that serve many; ``close`` ends them.

    MetaSchedule's LocalBuilder starts new ones for every batch, two to five seconds each time.
    """

    def __init__(
        self, build: Callable[[tvm.IRModule, Target], str], workers: int, timeout_s: float
    ) -> None:
        super().__init__()
        self._build, self._timeout_s = build, timeout_s
        self._pool = PopenPoolExecutor(
            max_workers=workers,
            timeout=timeout_s,
            initializer=ignore_interrupts,
            maximum_process_uses=_USES,
        )

    def build(self, build_inputs: list[BuilderInput]) -> list[BuilderResult]:
        """The path of a library for each input, or what stood in its way."""
        # Until a process has started it does not ignore Ctrl-C in the terminal.
        with uninterrupted():
            pending = [self._pool.submit(self._build, i.mod, i.target) for i in build_inputs]
            return [self._result(future) for future in pending]

    def close(self) -> None:
        """End the processes; nothing can be built any more."""
        self._pool.shutdown()

    def _result(self, pending: Future[str]) -> BuilderResult:
        try:
            return BuilderResult(pending.result(), None)
        except TimeoutError:
            return BuilderResult(None, f"building took longer than {self._timeout_s:g} s")
        except Exception as error:  # whatever a worker process raised, or its end
            return BuilderResult(None, f"building failed: {error}")


def builder(target: Target, cases: Path, *, workers: int, timeout_s: float) -> KernelBuilder:
    """A builder for ``target``.

    ``cases`` holds a folder for each layer, see ``case_folder``, and gets one for each artifact.

    Raises TargetError where nothing can link for the target, or compile CUDA for it.
    """
    build = partial(_library, folder=str(cases), command=linker(target))
    return KernelBuilder(build, workers, timeout_s)


def remove_artifact(library: str) -> None:
    """Delete what the builder wrote for one candidate, and never any other folder."""
    path = Path(library)
    if path.is_absolute() and path.name == KERNEL and path.parent.name.startswith(_ARTIFACT):
        shutil.rmtree(path.parent, ignore_errors=True)


def _library(mod: tvm.IRModule, target: Target, *, folder: str, command: str) -> str:
    return _export(_compiled(mod, target, folder), folder, command)


def _compiled(mod: tvm.IRModule, target: Target, cases: str) -> _Built:
    if not is_layer(mod):
        # As MetaSchedule's default_build, which first imports all tensor intrinsics: 25 s.
        mod = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(mod)
        return _Built(compiled(mod["main"], target), target)
    candidate = candidate_of(Schedule(mod), machine_of(target))
    layer = candidate.layer
    folder = case_folder(Path(cases), layer)
    weight = np.load(folder / "weight.npy")
    return _Built(
        compiled(candidate.kernel(), target), target, packed(candidate, weight), str(folder)
    )


def packed(candidate: Candidate, weight: np.ndarray) -> tuple[np.ndarray, ...]:
    """What a candidate's kernel takes between x and y, made of IOHW weights."""
    variant = candidate.variant
    if isinstance(variant, IntegerVariant):
        return tuple(byte_case.operands(candidate, weight))
    found = variant.pack_weights(weight, candidate.layer.conv, candidate.parameters)
    return (found.astype(candidate.weight_dtype),)


def _export(built: _Built, folder: str, command: str) -> str:
    """Write the artifact into a folder of its own below ``folder``; the path of its library."""
    artifact = Path(tempfile.mkdtemp(prefix=_ARTIFACT, dir=folder))
    path = artifact / KERNEL
    link(built.module, path, command, built.target)
    if built.case is not None:
        np.savez(artifact / PACKED, *built.packed)
        (artifact / "case.json").write_text(json.dumps({"case": built.case}))
    return str(path)
