"""A tuning log: the folder ``<root>/<device>/tvm-<minor>`` with what was measured on one device.

    device.json     who measured: ``header``
    workloads.json  MetaSchedule's database: one layer per line, as its plain definition,
    records.json    and one measurement per line; only those that succeeded
    trials.jsonl    one line per trial, failures included, for people: ``trial``

Lines are only ever appended, in this order, so that what is there is always consistent.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path

import tvm
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase
from tvm.s_tir.schedule import Trace
from tvm.target import Target

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import LogError, LogWriteError, OutputError
from tvm_deconv.schedules.choice import Row
from tvm_deconv.schedules.variant import Machine, Sizes

from .header import FILE, Header, running_minor
from .layer import Layer
from .lines import read_lines
from .reading import Contents, Measured
from .trial import Trial, is_known
from .writing import Writer, lock

WORKLOADS, RECORDS, TRIALS = "workloads.json", "records.json", "trials.jsonl"


class LogFolder:
    """One log, for ``schedules.choice`` to look up; opened by ``for_tuning`` also to write.

    ``path`` is the folder, ``repairs`` says what was mended when it was opened. Whatever reads the
    files raises LogError, with file and line, for one that is damaged.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header
        self.repairs: list[str] = []
        self._contents: Contents | None = None
        self._trials: dict[Layer | str, list[Trial]] | None = None
        # Only while it is open for tuning: the versions that run, and who writes.
        self._running: Header | None = None
        self._writer: Writer | None = None
        self._lock: int | None = None

    @staticmethod
    def open(path: str | os.PathLike) -> LogFolder:
        """A log to look up. Nothing is written, and only the header is read yet.

        Raises LogError for a header that is missing or damaged.
        """
        folder = Path(path)
        return LogFolder(folder, Header.read(folder))

    @staticmethod
    def for_tuning(root: Path, header: Header) -> LogFolder:
        """The log of the header's device below ``root``: a new one, or the one there to go on with.

        A half-written last line is mended. The log is locked until ``close``, or until the process
        ends. Raises LogWriteError where the folder cannot be written, and LogError where it is in
        use, is of another device, or holds a damaged line.
        """
        path = root / header.device / f"tvm-{header.minor}"
        try:
            path.mkdir(parents=True, exist_ok=True)
            descriptor = lock(path)
        except OSError as error:
            raise LogWriteError(f"cannot write the tuning log {path}: {error.strerror}") from error
        try:
            log = LogFolder(path, _settled_header(path, header))
            log._mend()
            log._writer = Writer(*log.files)
        except BaseException:
            os.close(descriptor)
            raise
        log._running, log._lock = header, descriptor
        return log

    def close(self) -> None:
        """Let others write."""
        self._running = self._writer = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> LogFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @property
    def files(self) -> tuple[Path, Path, Path]:
        """Workloads, records, trials."""
        return self.path / WORKLOADS, self.path / RECORDS, self.path / TRIALS

    @property
    def database(self) -> JSONDatabase:
        """For MetaSchedule's search. Only of a log that is open for tuning."""
        return self._writing()[0].database

    def commit(
        self,
        workload_mod: tvm.IRModule,
        trace: Trace,
        run_secs: Sequence[float] | None,
        args_info: Sequence[ArgInfo],
        target: Target,
        trial: Trial,
    ) -> None:
        """Append a trial, and a record if there are samples.

        Raises LogWriteError where the disk is full, or the folder gone: then nothing of it is
        written, and all that was there before stays.
        """
        writer, running = self._writing()
        known = self.header.versions
        versions = {name: v for name, v in running.versions.items() if v != known[name]}
        trial = replace(trial, versions=versions)
        writer.commit(workload_mod, trace, run_secs, args_info, target, trial.as_json())
        if self._trials is not None:
            self._trials.setdefault(trial.subject, []).append(trial)
        if self._contents is not None and run_secs is not None and trial.layer is not None:
            self._contents.add(trial.layer, trial.variant, trial.parameters, run_secs)

    def measured(self, layer: Layer) -> list[Measured]:
        """Everything that was measured for a layer, best first: ``Contents.measured``."""
        return self.contents.measured(layer)

    def lookup(self, conv: ConvTranspose2d, sizes: Sizes, dtype: str) -> list[Row]:
        """The rows for a layer, best first; none for one that was not tuned, or of free size."""
        layer = Layer(conv, sizes, dtype)
        found = self.contents.measured(layer)
        trials = f"{self.contents.count(layer)} trials"
        name = f"tuning log {self.header.device}"
        return [
            Row(m.variant.name, m.parameters, f"{name}: {m.seconds * 1e3:.3g} ms, {trials}")
            for m in found
        ]

    @cached_property
    def machine(self) -> Machine:
        """That of the log's target, whose variants its names are of."""
        return machine_of(Target(self.header.target))

    @property
    def layers(self) -> list[Layer]:
        """All layers with records, in the order in which they were tuned."""
        return self.contents.layers

    @property
    def notes(self) -> list[str]:
        """What was left out of the layers that were looked up, and why."""
        return self.contents.notes

    def trials_of(self, subject: Layer | str) -> list[Trial]:
        """The trials of a layer in order, failures included, whose variant this version has.

        Also those of another operator's function, by its digest.
        """
        return [
            trial for trial in self._all_trials().get(subject, ()) if is_known(trial, self.machine)
        ]

    def trials(self) -> list[Trial]:
        """All trials, by what was tuned."""
        return [trial for trials in self._all_trials().values() for trial in trials]

    def _all_trials(self) -> dict[Layer | str, list[Trial]]:
        if self._trials is None:
            found: dict[Layer | str, list[Trial]] = {}
            for number, value in read_lines(self.path / TRIALS).numbered():
                try:
                    trial = Trial.from_json(value)
                except LogError as error:
                    raise LogError(f"{self.path / TRIALS}, line {number}: {error}") from error
                found.setdefault(trial.subject, []).append(trial)
            self._trials = found
        return self._trials

    @property
    def contents(self) -> Contents:
        """The database as plain data."""
        if self._contents is None:
            workloads, records, _ = self.files
            # Records first: whatever a tuner appends meanwhile, their workloads are all there.
            rows = read_lines(records)
            self._contents = Contents(read_lines(workloads), rows, self.machine)
        return self._contents

    def _writing(self) -> tuple[Writer, Header]:
        if self._writer is None or self._running is None:
            raise LogError(f"the tuning log {self.path} is not open for tuning")
        return self._writer, self._running

    def _mend(self) -> None:
        for path in self.files:
            repair = read_lines(path).repair()
            if repair is not None:
                self.repairs.append(repair)
        # Damage elsewhere must not show after an hour of measuring.
        self.contents.check()
        self._all_trials()


def _settled_header(path: Path, header: Header) -> Header:
    """The header that the folder has, or else gets now."""
    if not (path / FILE).exists():
        found = [name for name in (WORKLOADS, RECORDS, TRIALS) if (path / name).exists()]
        if found:
            raise LogError(f"{path} holds {', '.join(found)} but no {FILE}: restore it")
        try:
            header.write(path)
        except OutputError as error:
            raise LogWriteError(f"cannot write the tuning log: {error}") from error
        return header
    known = Header.read(path)
    if known.minor != running_minor():
        raise LogError(f"{path} is of TVM {known.minor}, this is {running_minor()}")
    difference = known.processor.difference(header.processor)
    if difference is not None:
        raise LogError(f"{path} is for {difference}: give another --device NAME")
    if known.description != header.description:
        raise LogError(
            f"{path} was measured on {known.description!r}, this is {header.description!r}: "
            "give another --device NAME"
        )
    return known
