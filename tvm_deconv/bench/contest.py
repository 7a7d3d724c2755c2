"""One workload: every contestant loads it, is checked, and then takes its turns.

Each contestant is a process of its own. It is loaded before anybody is timed, and counts only if
its results are right (``subjects``). That of MNN's Winograd is not always.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

from tvm_deconv.errors import PeerError
from tvm_deconv.measure.rotation import rotate
from tvm_deconv.workloads.selection import Measurable

from .busy import busy
from .client import Worker
from .contestants import Contestant
from .figures import FAILED, HEADLINE, MEASURED, NOT_SUPPORTED, PEAK, WRONG
from .files import Files
from .profile.measure import profile
from .subjects import MODEL, Subject, drawn_for, subjects_of
from .worker import PROFILED_PEERS


class Field:
    """The contestants' processes, started when first needed and again after they died.

    A context manager: at its end all processes end. A process goes on from one workload to the
    next, since starting one costs more than most measurements.
    """

    def __init__(self, contestants: Sequence[Contestant], env: Mapping[str, str]) -> None:
        self.contestants = {contestant.name: contestant for contestant in contestants}
        self._env = dict(env)
        self._workers: dict[str, Worker] = {}

    def worker(self, name: str) -> Worker:
        """The running process of a contestant. Raises PeerError if it cannot be started."""
        worker = self._workers.get(name)
        if worker is None or not worker.alive:
            if worker is not None:
                worker.close()
            contestant = self.contestants[name]
            worker = self._workers[name] = Worker(
                contestant.command,
                name,
                env=self._env,
                load_timeout_s=contestant.load_timeout_s,
            )
        return worker

    def memory(self, name: str, files: Files, threads: int) -> dict[str, Any]:
        """The memory that a run takes: ``before`` loading, ``peak``; or a ``reason`` if unknown.

        In a process of its own, since one that has computed something else keeps what that freed.
        """
        contestant = self.contestants[name]
        command, patience = contestant.ships or contestant.command, contestant.load_timeout_s
        try:
            with Worker(command, name, env=self._env, load_timeout_s=patience) as worker:
                return dict(worker.load(files, threads, memory=True).memory or {})
        except PeerError as error:
            return {"reason": str(error)}

    def __enter__(self) -> Field:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for worker in self._workers.values():
            worker.close()


def measure(
    workload: Measurable,
    field: Field,
    threads: int,
    folder: Path,
    *,
    limit_s: float,
    dtype: str = "float32",
    beside: int = 0,
    profiles: bool = False,
    memory: bool = False,
) -> dict[str, Any]:
    """The record of one workload: what it is, and a record of every contestant.

    ``dtype`` "int8" measures its twin of 8 bits; ``beside`` many other processes compute during
    the turns. With ``profiles`` the kernels of ``auto`` and ONNX Runtime are timed afterwards, in
    turns of their own. With ``memory`` that of a run is measured before, in processes of their own.

    A contestant's record has its ``status`` with a ``reason`` if it is not "measured", and what is
    known of ``error``, ``ms`` (every counted call), ``cpu_share`` (of every turn), ``load_s``,
    ``load_cpu_share``, ``version``, ``notes`` and ``facts``, its ``profile``
    (``profile.measure``) and ``memory`` (``Field.memory``). ``folder`` holds the files that the
    processes share.
    """
    feed = drawn_for(workload)
    subjects = subjects_of(workload, feed, dtype)
    files = {
        name: Files.written(folder, name, subject.model, feed) for name, subject in subjects.items()
    }

    records = {
        name: _load(contestant, field, workload, threads, files, subjects)
        for name, contestant in field.contestants.items()
    }
    playing = [name for name, record in records.items() if record["status"] == MEASURED]

    if memory:
        for name in playing:
            contestant = field.contestants[name]
            if contestant.measures_memory:
                records[name]["memory"] = field.memory(name, files[contestant.subject], threads)

    def turn(name: str, calls: int) -> list[float]:
        record = records[name]
        try:
            times, share = field.worker(name).turn(calls)
        except PeerError as error:
            record.update(status=FAILED, reason=str(error))
            return []
        record["ms"] += times
        record["cpu_share"].append(share)
        return times

    exempt = [name for name in playing if field.contestants[name].role == PEAK]
    nodes: dict[str, str] = {}
    with busy(beside):
        rotate(playing, turn, limit_s=limit_s, exempt=exempt)
        if profiles:
            right = [name for name in playing if records[name]["status"] == MEASURED]
            nodes, found = profile(
                subjects[MODEL].model,
                feed,
                [name for name in right if name in (HEADLINE, *PROFILED_PEERS)],
                field.worker,
                threads,
                folder,
                limit_s=limit_s,
            )
            for name, kernels in found.items():
                records[name]["profile"] = kernels
    return {
        "kind": workload.kind,
        "origin": workload.origin,
        "inputs": {name: [str(x.dtype), *x.shape] for name, x in feed.items()},
        "multiply_adds": workload.multiply_adds,
        **({"nodes": nodes} if profiles else {}),
        "contestants": records,
    }


def _load(
    contestant: Contestant,
    field: Field,
    workload: Measurable,
    threads: int,
    files: Mapping[str, Files],
    subjects: Mapping[str, Subject],
) -> dict[str, Any]:
    """Load a contestant and check its results."""
    if (workload.multiply_adds or 0) > contestant.most_multiply_adds:
        return _out(NOT_SUPPORTED, f"over {contestant.most_multiply_adds:.0e} multiply-adds")
    subject = subjects.get(contestant.subject)
    if subject is None:
        return _out(NOT_SUPPORTED, "the file is of 8 bits, and there is none of floats")
    own = files[contestant.subject]
    own.forget_results()
    try:
        worker = field.worker(contestant.name)
    except PeerError as error:
        return _out(FAILED, str(error))
    try:
        loaded = worker.load(own, threads)
    except PeerError as error:
        return _out(NOT_SUPPORTED if worker.alive else FAILED, str(error))
    told = loaded._asdict()
    del told["memory"]
    record: dict[str, Any] = {"status": MEASURED, **told, "ms": [], "cpu_share": []}
    if contestant.role == PEAK:
        return record
    try:
        record["error"] = subject.error(own.results())
    except (OSError, ValueError) as error:
        return {**record, **_out(WRONG, str(error))}
    if record["error"] > subject.tolerance:
        reason = f"the {subject.words} is {record['error']:.1e}, over {subject.tolerance:.0e}"
        return {**record, **_out(WRONG, reason)}
    return record


def _out(status: str, reason: str) -> dict[str, Any]:
    return {"status": status, "reason": reason}
