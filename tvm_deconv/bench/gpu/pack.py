"""Compile the GPU benchmark's kernels into a folder that `gpu_bench.py` measures elsewhere.

    make gpu-pack ARGS="--arch sm_90"       # or: python scripts/gpu_pack.py --arch sm_90

No GPU is needed, but nvcc is. Every layer is compiled by every variant that can compute it, with
the parameters that it chooses itself, and with `--candidates N` more from the tuner's space; in 8
bits (`int8`) by the kernel of integers (`integer`) alone. The folder holds a library for each
kernel and `manifest.json`, which says what there is and how weights are packed. A second run takes
over what is there and was made by the same code. `--arch host` makes kernels for this processor, to
rehearse with `gpu_bench.py --device cpu`.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import tvm

from tvm_deconv.backends import backend_of, machine_of
from tvm_deconv.bench.figures import FAILED, NOT_SUPPORTED
from tvm_deconv.errors import TargetError, TvmDeconvError
from tvm_deconv.measure.facts import facts
from tvm_deconv.patterns.graph import Refused
from tvm_deconv.schedules.choice import Preferences, choose
from tvm_deconv.schedules.machines import variants_for
from tvm_deconv.schedules.space import point_of
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE, Sizes
from tvm_deconv.workloads import Workload, find

from .eight_bits import EIGHT_BITS
from .integer import INTEGER, kernel_of
from .integer import candidates as integer_candidates
from .job import Job, build, code_digest
from .kernel import HOST, export, target_of
from .manifest import FORMAT, MANIFEST
from .points import points

DTYPES = ("float32", "float16", EIGHT_BITS)
OUT = Path("build/gpu")


def refusal(workload: Workload) -> str | None:
    """Why a workload is left out, in words."""
    if workload.kind != "layer":
        return "it is a network: name its layers"
    if workload.spec.stride > 1:
        return "a convolution with a stride is no transposed convolution"
    if workload.spec.halo:
        return "its reflection padding is an operator of its own"
    return None


def jobs_of(
    workload: Workload, dtype: str, arch: str, names: Sequence[str] | None, candidates: int
) -> tuple[list[Job], dict[str, Any]]:
    """What to compile for a layer, and what `auto` and `direct` are among it."""
    if dtype == EIGHT_BITS:
        wanted = names is None or INTEGER in names
        return _integer_jobs(workload, arch, candidates) if wanted else ([], {})
    machine = machine_of(target_of(arch))
    conv, (batch, _, height, width) = workload.spec.geometry(), workload.spec.geometry_shape
    sizes = Sizes(batch, height, width)
    jobs: dict[str, Job] = {}

    def add(name: str, point: dict[str, int], default: bool) -> str:
        job = Job(workload.name, dtype, name, tuple(point.items()), arch, default)
        jobs.setdefault(job.key, job)
        return job.key

    chosen = {}
    for contestant, preferences in (
        ("auto", Preferences()),
        ("direct", Preferences(winograd=False)),
    ):
        choice = choose(conv, sizes, dtype, machine, preferences)
        if names is None or choice.variant.name in names:
            key = add(choice.variant.name, point_of(choice.parameters), True)
            chosen[contestant] = {"key": key, "reason": choice.reason}
    for variant in variants_for(machine).values():
        if names is not None and variant.name not in names:
            continue
        refusal = variant.refusal(conv, ACCUMULATE_DTYPE)
        if refusal is not None:
            jobs[f"{workload.name} {dtype} {variant.name}"] = Job(
                workload.name, dtype, variant.name, (), arch, True, refusal
            )
            continue
        add(variant.name, point_of(variant.choose(conv, sizes, machine)), True)
        for point in points(variant, conv, sizes, machine, candidates):
            add(variant.name, point, False)
    return list(jobs.values()), chosen


def _integer_jobs(
    workload: Workload, arch: str, candidates: int
) -> tuple[list[Job], dict[str, Any]]:
    """``jobs_of`` for bytes: the kernel that a user gets, and others of its form."""
    target, spec = target_of(arch), workload.spec
    kernel = kernel_of(spec, target)
    name = workload.name, EIGHT_BITS, INTEGER
    if isinstance(kernel, Refused):
        return [Job(*name, (), arch, True, kernel.reason)], {}
    jobs = [Job(*name, tuple(asdict(kernel.tile).items()), arch, True)]
    chosen = {"key": jobs[0].key, "reason": f"machine model: {_words(kernel)}"}
    for point in integer_candidates(kernel, spec, target, candidates):
        job = Job(*name, tuple(point.items()), arch, False)
        if job.key != jobs[0].key:
            jobs.append(job)
    return jobs, {"auto": chosen}


def _words(kernel: Any) -> str:
    """The form of a GPU's kernel, and what multiplies."""
    return " ".join(filter(None, (getattr(kernel, "form", ""), kernel.dot.name)))


def build_all(jobs: Sequence[Job], folder: Path, processes: int, limit_s: int) -> list[dict]:
    """The record of every job, in their order; a line of progress for each that is built."""
    digest = code_digest()
    records = {job: _record(job.path(folder), digest) for job in jobs}
    missing = [job for job, record in records.items() if record is None]
    print(f"{len(jobs)} kernels, {len(jobs) - len(missing)} of them there already", flush=True)
    began = time.perf_counter()
    for number, (job, record) in enumerate(_built(missing, folder, processes, limit_s), 1):
        records[job] = record
        job.path(folder).write_text(json.dumps({**record, "code": digest}, indent=1))
        left = (time.perf_counter() - began) / number * (len(missing) - number)
        said = record.get("reason") or f"{record['seconds']:.1f} s"
        done = f"[{number}/{len(missing)}] {job.name}: {record['status']}: {said}"
        print(f"{done} ({left:.0f} s to go)", flush=True)
    return [record for record in records.values() if record is not None]


def _built(
    jobs: Sequence[Job], folder: Path, processes: int, limit_s: int
) -> Iterator[tuple[Job, dict[str, Any]]]:
    """The jobs as they are done, each with its record."""
    if processes == 1:
        yield from ((job, build(job, folder, limit_s)) for job in jobs)
        return
    with ProcessPoolExecutor(processes, mp_context=get_context("spawn")) as pool:
        running = {pool.submit(build, job, folder, limit_s): job for job in jobs}
        yield from ((running[future], future.result()) for future in as_completed(running))


def _record(path: Path, digest: str) -> dict[str, Any] | None:
    """What an earlier run left, if the same code made it; failures are tried again."""
    try:
        record = json.loads(path.read_text())
    except (OSError, ValueError):
        return None
    done = record.pop("code", None) == digest and record["status"] != FAILED
    there = (path.parent.parent / record["library"]).exists()
    return record if done and there else None


def pack(options: argparse.Namespace) -> dict[str, Any]:
    """Build everything and write the manifest; returns it. Raises TvmDeconvError."""
    target = target_of(options.arch)
    machine = machine_of(target)
    known = [*variants_for(machine), INTEGER]
    unknown = [name for name in options.variants or () if name not in known]
    if unknown:
        raise TvmDeconvError(f"no variant is called {unknown[0]!r}: use {', '.join(known)}")
    folder = Path(options.out)
    for name in ("lib", "done"):
        (folder / name).mkdir(parents=True, exist_ok=True)
    manifest: dict[str, Any] = {
        "format": FORMAT,
        "arch": options.arch,
        "target": str(target),
        **{key: facts(1)[key] for key in ("versions", "date", "commit")},
        "layers": {},
        "left_out": {},
        "chosen": {},
        "peak": _pack_peak(folder, target),
    }
    jobs: list[Job] = []
    for workload in find(options.workloads):
        reason = refusal(workload)
        if reason is not None:
            manifest["left_out"][workload.name] = reason
            continue
        manifest["layers"][workload.name] = {
            "origin": workload.origin,
            "spec": asdict(workload.spec),
        }
        for dtype in options.dtypes:
            found, chosen = jobs_of(
                workload, dtype, options.arch, options.variants, options.candidates
            )
            jobs += found
            if found:
                manifest["chosen"].setdefault(workload.name, {})[dtype] = chosen
    manifest["kernels"] = build_all(jobs, folder, options.jobs, options.limit)
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    return manifest


def _pack_peak(folder: Path, target: tvm.target.Target) -> dict[str, Any]:
    """The kernel that measures the multiply-add peak: shapes and work of one block on a GPU."""
    path = Path("lib") / "peak.so"
    probe = backend_of(target).peak(target, blocks=1)
    export(probe.func, target, folder / path)
    factors, out = probe.shapes
    return {"library": str(path), "factors": factors, "out": out, "flop": probe.work}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    made.add_argument(
        "--arch", help=f"such as sm_90 (H100, H200), or {HOST}; default: this machine's GPU"
    )
    made.add_argument("--workloads", nargs="+", default=["design"], metavar="NAME")
    made.add_argument("--dtypes", nargs="+", default=DTYPES, choices=DTYPES)
    made.add_argument("--variants", nargs="+", metavar="NAME", help="default: all")
    made.add_argument("--candidates", type=int, default=0, metavar="N", help="more points a layer")
    made.add_argument("--jobs", type=int, default=1, metavar="N", help="processes")
    made.add_argument("--limit", type=int, default=120, metavar="S", help="seconds for a kernel")
    made.add_argument("--out", default=OUT, metavar="DIR", help="default: %(default)s")
    return made


def arch_here() -> str:
    """The architecture of the first GPU. Raises TargetError where nvidia-smi names none."""
    command = ["nvidia-smi", "--id=0", "--query-gpu=compute_cap", "--format=csv,noheader"]
    try:
        told = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    except (OSError, subprocess.SubprocessError) as error:
        raise TargetError("no NVIDIA GPU here to ask: give --arch, such as sm_90") from error
    return f"sm_{told.stdout.strip().replace('.', '')}"


def main() -> int:
    options = parser().parse_args()
    try:
        options.arch = options.arch or arch_here()
        manifest = pack(options)
    except TvmDeconvError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_status
    kernels = manifest["kernels"]
    failed = [record for record in kernels if record["status"] == FAILED]
    refused = [record for record in kernels if record["status"] == NOT_SUPPORTED]
    size = sum(path.stat().st_size for path in Path(options.out).rglob("*") if path.is_file())
    print(
        f"{len(kernels) - len(failed) - len(refused)} kernels of {len(manifest['layers'])} layers "
        f"in {options.out}, {size / 2**20:.1f} MiB; {len(refused)} refused, {len(failed)} failed"
    )
    for name, reason in manifest["left_out"].items():
        print(f"left out: {name}: {reason}")
    for record in failed:
        print(f"failed: {record['key']}: {record['reason']}")
    return 1 if failed else 0
