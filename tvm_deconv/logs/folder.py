"""A tuning log: the folder ``<root>/<device>/tvm-<minor>`` with what was measured on one device.

    device.json     who measured: ``header``
    trials.jsonl    one line per trial, failures included: ``trial``; what is fastest is read there
    workloads.json, records.json: only with ``--all-ops``, see ``functions``

Lines are only ever appended.
"""

from __future__ import annotations

import os
from dataclasses import replace
from functools import cached_property
from pathlib import Path

from tvm.s_tir.meta_schedule.database import TuningRecord
from tvm.target import Target

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.backends import machine_of
from tvm_deconv.errors import LogError, LogWriteError, OutputError
from tvm_deconv.schedules.choice import Row
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.variant import Sizes

from .functions import RECORDS, WORKLOADS, lines_for, read_rows
from .header import FILE, Header, running_minor
from .layer import Layer
from .lines import read_lines
from .reading import Contents, MeasuredKernel, Subject
from .trial import Trial, is_known
from .writing import append, lock

TRIALS = "trials.jsonl"
FILES = TRIALS, WORKLOADS, RECORDS


class LogFolder:
    """One log, for ``schedules.choice`` to look up; opened by ``for_tuning`` also to write.

    ``path`` is the folder, ``repairs`` says what was mended when it was opened. Whatever reads the
    files raises LogError, with file and line, for one that is damaged.
    """

    def __init__(self, path: Path, header: Header) -> None:
        self.path, self.header = path, header
        self.repairs: list[str] = []
        # Only while it is open for tuning: the versions that run.
        self._running: Header | None = None
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
        except BaseException:
            os.close(descriptor)
            raise
        log._running, log._lock = header, descriptor
        return log

    def close(self) -> None:
        """Let others write."""
        self._running = None
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def __enter__(self) -> LogFolder:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def commit(self, trial: Trial, record: TuningRecord | None = None) -> None:
        """Append a trial, and what MetaSchedule needs to apply it again if that is worth it.

        Raises LogWriteError where the disk is full, or the folder gone: then nothing of it is
        written, and all that was there before stays.
        """
        if self._running is None:
            raise LogError(f"the tuning log {self.path} is not open for tuning")
        known = self.header.versions
        versions = {name: v for name, v in self._running.versions.items() if v != known[name]}
        trial = replace(trial, versions=versions)
        rows = lines_for(record, self.path) if record is not None else []
        try:
            append([*rows, (self.path / TRIALS, trial.as_json())])
        except OSError as error:
            kept = len(read_lines(self.path / TRIALS).texts)
            raise LogWriteError(
                f"cannot write {error.filename}: {error.strerror}; {kept} trials are kept: free "
                "some space and run the same command again to go on"
            ) from error
        self.contents.add(trial)

    def measured(self, layer: Layer) -> list[MeasuredKernel]:
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
        """All layers with trials, in the order in which they were tuned."""
        return self.contents.layers

    @property
    def notes(self) -> list[str]:
        """What was left out of the layers that were looked up, and why."""
        return self.contents.notes

    @property
    def has_functions(self) -> bool:
        """Whether other operators' functions were tuned, and one got faster."""
        return self.contents.has_functions and bool(read_lines(self.path / RECORDS).texts)

    def trials_of(self, subject: Subject) -> list[Trial]:
        """The trials of a layer in order, failures included, whose variant this version has.

        Also those of another operator's function, by its digest.
        """
        return [
            trial for trial in self.contents.trials_of(subject) if is_known(trial, self.machine)
        ]

    def trials(self) -> list[Trial]:
        """All trials, by what was tuned."""
        return self.contents.trials()

    @cached_property
    def contents(self) -> Contents:
        """``trials.jsonl``, of which a layer is read when it is looked up."""
        path = self.path / TRIALS
        if not path.exists() and (self.path / RECORDS).exists():
            raise LogError(
                f"{self.path} holds {RECORDS} but no {TRIALS}, where the trials are read: "
                "restore it, or delete the folder and tune again"
            )
        return Contents(read_lines(path), self.machine)

    def _mend(self) -> None:
        for name in FILES:
            repair = read_lines(self.path / name).repair()
            if repair is not None:
                self.repairs.append(repair)
        # Damage elsewhere must not show after an hour of measuring.
        self.trials()
        read_rows(self.path)


def _settled_header(path: Path, header: Header) -> Header:
    """The header that the folder has, or else gets now."""
    if not (path / FILE).exists():
        found = [name for name in FILES if (path / name).exists()]
        if found:
            raise LogError(f"{path} holds {', '.join(found)} but no {FILE}: restore it")
        return _written(path, header)
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


def _written(path: Path, header: Header) -> Header:
    try:
        header.write(path)
    except OutputError as error:
        raise LogWriteError(f"cannot write the tuning log: {error}") from error
    return header
