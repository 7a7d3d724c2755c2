"""MetaSchedule's builder, for candidates: from annotations to a library for the device.

These functions run in the builder's worker processes, so they and their arguments must pickle. A
library is linked here, not on the device, which then needs no compiler.
"""

from __future__ import annotations

import json
import shutil
import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import tvm
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.builder import LocalBuilder
from tvm.s_tir.transform import RemoveWeightLayoutRewriteBlock
from tvm.target import Target

from tvm_deconv import cuda
from tvm_deconv.errors import TargetError
from tvm_deconv.gpu_limits import misfit
from tvm_deconv.gpu_targets import CUDA, is_gpu
from tvm_deconv.library import link, linker
from tvm_deconv.schedules.machines import machine_of
from tvm_deconv.targets import processor_of, resolve_target

from .case import case_folder
from .interrupt import ignore_interrupts
from .layer import candidate_of, is_layer

KERNEL, PACKED = "kernel.so", "packed.npy"
# How the name of a folder that the builder makes for one candidate begins.
_ARTIFACT = "artifact-"


@dataclass(frozen=True)
class _Built:
    """A compiled function; ``packed`` and ``case`` are of a layer, and None for other functions."""

    module: Any
    target: Target
    packed: np.ndarray | None = None
    case: str | None = None


def builder(target: Target, cases: Path, *, workers: int, timeout_s: float) -> LocalBuilder:
    """A builder for ``target``.

    ``cases`` holds a folder for each layer, see ``case_folder``, and gets one for each artifact.

    Raises TargetError where nothing can link for the target, or compile CUDA for it.
    """
    if target.kind.name == CUDA:
        cuda.compiler_for(str(target.attrs["arch"]))
    command = linker(processor_of(target), resolve_target("host"))
    return LocalBuilder(
        max_workers=workers,
        timeout_sec=timeout_s,
        f_build=partial(_build, cases=str(cases)),
        f_export=partial(_export, folder=str(cases), command=command),
        initializer=ignore_interrupts,
    )


def remove_artifact(library: str) -> None:
    """Delete what the builder wrote for one candidate, and never any other folder."""
    path = Path(library)
    if path.is_absolute() and path.name == KERNEL and path.parent.name.startswith(_ARTIFACT):
        shutil.rmtree(path.parent, ignore_errors=True)


def _build(mod: tvm.IRModule, target: Target, _params: Any, *, cases: str) -> _Built:
    if not is_layer(mod):
        # As MetaSchedule's default_build, which first imports all tensor intrinsics: 25 s.
        mod = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(mod)
        return _Built(compiled(mod["main"], target), target)
    candidate = candidate_of(Schedule(mod), machine_of(target))
    layer = candidate.layer
    folder = case_folder(Path(cases), layer)
    weight = np.load(folder / "weight.npy")
    packed = candidate.variant.pack_weights(weight, layer.conv, candidate.parameters)
    module = compiled(candidate.kernel(), target)
    return _Built(module, target, packed.astype(candidate.weight_dtype), str(folder))


def compiled(func: tvm.tirx.PrimFunc, target: Target) -> Any:
    """A library's worth of one scheduled function, its entry ``main``.

    Raises TargetError for kernels that a GPU would not start, before they are compiled.
    """
    if is_gpu(target):
        reason = misfit(func, target)
        if reason is not None:
            raise TargetError(f"the kernel does not fit the device: it takes {reason}")
    if target.kind.name == CUDA:
        cuda.register()
    return tvm.compile(tvm.IRModule({"main": func}), target=target)


def _export(built: _Built, *, folder: str, command: str) -> str:
    """Write the artifact into a folder of its own below ``folder``; the path of its library."""
    artifact = Path(tempfile.mkdtemp(prefix=_ARTIFACT, dir=folder))
    path = artifact / KERNEL
    link(built.module, path, command, built.target)
    if built.packed is not None:
        np.save(artifact / PACKED, built.packed)
        (artifact / "case.json").write_text(json.dumps({"case": built.case}))
    return str(path)
