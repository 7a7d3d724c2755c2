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
from tvm.support import cc
from tvm.target import Target

from tvm_deconv.library import linker
from tvm_deconv.targets import resolve_target

from .case import case_folder
from .interrupt import ignore_interrupts
from .layer import candidate_of, is_layer

KERNEL, PACKED = "kernel.so", "packed.npy"


@dataclass(frozen=True)
class _Built:
    """A compiled function; ``packed`` and ``case`` are of a layer, and None for other functions."""

    module: Any
    packed: np.ndarray | None = None
    case: str | None = None


def builder(target: Target, cases: Path, *, workers: int, timeout_s: float) -> LocalBuilder:
    """A builder for ``target``.

    ``cases`` holds a folder for each layer, see ``case_folder``, and gets one for each artifact.

    Raises TargetError where nothing can link for the target.
    """
    return LocalBuilder(
        max_workers=workers,
        timeout_sec=timeout_s,
        f_build=partial(_build, cases=str(cases)),
        f_export=partial(
            _export, folder=str(cases), command=linker(target, resolve_target("host"))
        ),
        initializer=ignore_interrupts,
    )


def remove_artifact(library: str) -> None:
    """Delete what the builder wrote for one candidate."""
    shutil.rmtree(Path(library).parent, ignore_errors=True)


def _build(mod: tvm.IRModule, target: Target, _params: Any, *, cases: str) -> _Built:
    if not is_layer(mod):
        # As MetaSchedule's default_build, which first imports all tensor intrinsics: 25 s.
        mod = RemoveWeightLayoutRewriteBlock(skip_tensor_rewrite=True)(mod)
        return _Built(tvm.compile(mod, target=target))
    candidate = candidate_of(Schedule(mod))
    layer = candidate.layer
    folder = case_folder(Path(cases), layer)
    weight = np.load(folder / "weight.npy")
    packed = candidate.variant.pack_weights(weight, layer.conv, candidate.parameters)
    module = tvm.compile(tvm.IRModule({"main": candidate.kernel()}), target=target)
    return _Built(module, packed, str(folder))


def _export(built: _Built, *, folder: str, command: str) -> str:
    """Write the artifact into a folder of its own below ``folder``; the path of its library."""
    artifact = Path(tempfile.mkdtemp(prefix="artifact-", dir=folder))
    path = artifact / KERNEL
    built.module.export_library(str(path), fcompile=cc.create_shared, cc=command)
    if built.packed is not None:
        np.save(artifact / PACKED, built.packed)
        (artifact / "case.json").write_text(json.dumps({"case": built.case}))
    return str(path)
