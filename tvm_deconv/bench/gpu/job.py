"""One kernel to compile, and the process that does it."""

from __future__ import annotations

import hashlib
import json
import signal
import time
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import FrameType
from typing import Any

import tvm
from tvm.target import Target

from tvm_deconv import algebra, backends, schedules, transform, workloads
from tvm_deconv.algebra.packing import as_json
from tvm_deconv.backends import machine_of
from tvm_deconv.bench.figures import FAILED, NOT_SUPPORTED
from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.space import parameters_of
from tvm_deconv.workloads import LayerSpec

from . import integer
from .eight_bits import EIGHT_BITS, SEED, EightBits
from .kernel import export, scheduled, target_of
from .manifest import PACKED


@dataclass(frozen=True)
class Job:
    """A layer by a variant with the parameters of ``point``; ``refusal`` says why it is none."""

    layer: str
    dtype: str
    variant: str
    point: tuple[tuple[str, int], ...]
    arch: str
    default: bool
    refusal: str | None = None

    @property
    def key(self) -> str:
        """A file name: the same for the same kernel."""
        point = hashlib.sha256(json.dumps([self.point, self.arch]).encode()).hexdigest()[:10]
        return f"{self.layer.replace('/', '-')}-{self.dtype}-{self.variant}-{point}"

    @property
    def name(self) -> str:
        """For people."""
        values = " ".join(str(value) for _, value in self.point)
        return f"{self.layer} {self.dtype} {self.variant} {values}".rstrip()

    def path(self, folder: Path) -> Path:
        """Where the job's record is kept."""
        return folder / "done" / f"{self.key}.json"


@cache
def code_digest() -> str:
    """Of everything that a kernel is made by."""
    digest = hashlib.sha256(tvm.__version__.encode())
    rooms = (algebra, backends, schedules, transform, workloads)
    folders = [Path(__file__).parent, *(Path(room.__path__[0]) for room in rooms)]
    for path in sorted(path for folder in folders for path in folder.rglob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:16]


def build(job: Job, folder: Path, limit_s: int) -> dict[str, Any]:
    """Compile a kernel; whatever goes wrong is in the record."""
    record: dict[str, Any] = {
        "key": job.key,
        "layer": job.layer,
        "dtype": job.dtype,
        "variant": job.variant,
        "parameters": dict(job.point),
        "default": job.default,
        "library": f"lib/{job.key}.so",
    }
    if job.refusal is not None:
        return {**record, "status": NOT_SUPPORTED, "reason": job.refusal}
    began = time.perf_counter()
    signal.signal(signal.SIGALRM, _late)
    signal.alarm(limit_s)
    try:
        record |= _built(job, folder)
    except Exception as error:  # of TVM, nvcc, the linker or the schedule: all mean no kernel
        lines = [line for line in str(error).splitlines() if line.strip()]
        reason = f"{type(error).__name__}: {lines[-1] if lines else ''}"[:300]
        return {**record, "status": FAILED, "reason": reason}
    finally:
        signal.alarm(0)
    return {**record, "status": PACKED, "seconds": time.perf_counter() - began}


def _late(_signal: int, _frame: FrameType | None) -> None:
    raise TimeoutError("compiling took too long")


def _built(job: Job, folder: Path) -> dict[str, Any]:
    (workload,) = workloads.find([job.layer])
    target = target_of(job.arch)
    if job.dtype == EIGHT_BITS:
        return _built_integer(job, workload.spec, target, folder)
    variant = variants_for(machine_of(target))[job.variant]
    parameters, conv = parameters_of(variant, dict(job.point)), workload.spec.geometry()
    func, weight_dtype = scheduled(workload.spec, job.dtype, variant, parameters)
    taken = export(func, target, folder / "lib" / f"{job.key}.so")
    packing = as_json(variant.packing(conv, parameters))
    return {"packing": packing, "weight_dtype": weight_dtype, "resources": taken}


def _built_integer(job: Job, spec: LayerSpec, target: Target, folder: Path) -> dict[str, Any]:
    kernel = integer.kernel_of(spec, target, None if job.default else dict(job.point))
    if isinstance(kernel, Refused):
        raise TvmDeconvError(kernel.reason)
    func = integer.scheduled(kernel, spec)
    taken = export(func, target, folder / "lib" / f"{job.key}.so")
    arrays = Path("lib") / f"{job.key}.npz"
    integer.keep(integer.arrays_of(kernel, EightBits.draw(spec, SEED)), folder / arrays)
    return {"arrays": str(arrays), "resources": taken}
