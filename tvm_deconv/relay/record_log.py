"""Logs of AutoTVM's records: where they are, which are of a target, and appending to one.

A log is ``<root>/<device>/relay-<TVM's minor>/records.jsonl``, in lines of AutoTVM's own JSON, so
that ``autotvm.apply_history_best`` takes the file, too. ``logs.roots`` says which roots there are.
Lines that begin with # are remarks. Every line says what it was measured for: one counts for a
target of the same processor (architecture, ``mcpu``, ``mattr``) with the same number of threads.
A device's folder only has a name for people.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import tvm
from tvm import autotvm
from tvm.autotvm.record import decode, encode
from tvm.target import Target

from tvm_deconv.backends.identity import CpuIdentity
from tvm_deconv.errors import LogError, LogWriteError
from tvm_deconv.logs.lines import Lines, read_lines
from tvm_deconv.logs.roots import log_roots, user_root
from tvm_deconv.logs.writing import append, lock
from tvm_deconv.schedules.cpu.machine import cpu_machine

FILE = "records.jsonl"
FOLDER = "relay-" + ".".join(str(tvm.__version__).split(".")[:2])


class Record(NamedTuple):
    """One line. ``workload`` is the task's name and arguments, ``error`` AutoTVM's number."""

    device: CpuIdentity
    workload: tuple[Any, ...]
    config: autotvm.ConfigEntity
    seconds: tuple[float, ...]
    error: int

    @property
    def mean(self) -> float:
        """Seconds: the number that AutoTVM compares."""
        return float(np.mean(self.seconds))


def identity_of(target: Target) -> CpuIdentity:
    """As much of a target as decides whether a record is for another."""
    return CpuIdentity.of(target, cpu_machine(target))


def default_path(target: Target) -> Path:
    """The user's own log of a target. Raises LogError where the environment says there is none."""
    return user_root() / identity_of(target).device_name / FOLDER / FILE


def best_of_target(target: Target) -> list[dict[tuple[Any, ...], Record]]:
    """The fastest record of each workload for a target, a dictionary for every root, in order.

    Raises LogError for a damaged line, with the file and its number.
    """
    wanted = identity_of(target)
    return [_best(wanted, root) for root in log_roots()]


def read(path: Path) -> list[Record]:
    """All records of a log in order, failures included; none where there is no file.

    Raises LogError for a damaged line, with the file and its number. A half-written last line, as a
    crash leaves it, does not count.
    """
    return list(_read(path, *_stamp(path)))


def _best(wanted: CpuIdentity, root: Path) -> dict[tuple[Any, ...], Record]:
    best: dict[tuple[Any, ...], Record] = {}
    for path in sorted(root.glob(f"*/{FOLDER}/{FILE}")):
        for record in _read(path, *_stamp(path)):
            if record.error or record.device != wanted:
                continue
            known = best.get(record.workload)
            if known is None or record.mean < known.mean:
                best[record.workload] = record
    return best


def _stamp(path: Path) -> tuple[int, int]:
    """What changes when a file does."""
    try:
        status = path.stat()
    except OSError:
        return 0, 0
    return status.st_mtime_ns, status.st_size


@lru_cache(maxsize=32)
def _read(path: Path, modified: int, size: int) -> tuple[Record, ...]:
    return tuple(_records(read_lines(path)))


def _records(lines: Lines) -> Iterator[Record]:
    for number, text in enumerate(lines.texts, 1):
        if text.startswith(b"#") or not text.strip():
            continue
        try:
            measured, result = decode(text.decode())
            device = identity_of(measured.target)
        except (ValueError, KeyError, TypeError, IndexError, tvm.TVMError) as error:
            raise LogError(
                f"{lines.path}, line {number} is no record of AutoTVM: restore the file, or remove "
                "that line"
            ) from error
        yield Record(
            device, measured.task.workload, measured.config, result.costs, int(result.error_no)
        )


class Writer:
    """A log that is open for appending, to this process alone; use it as a context manager.

    A half-written last line is removed. Raises LogWriteError where the file cannot be written, and
    LogError where another process writes it or it holds a damaged line.
    """

    def __init__(self, path: Path, remark: str) -> None:
        self.path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._lock = lock(path.parent)
        except OSError as error:
            raise LogWriteError(f"cannot write the log {path}: {error.strerror}") from error
        try:
            read_lines(path).repair()
            self.known = read(path)
            self._append(f"# {remark}")
        except BaseException:
            os.close(self._lock)
            raise

    def __enter__(self) -> Writer:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def add(self, measured: autotvm.MeasureInput, result: autotvm.MeasureResult) -> None:
        """Append a record, a failure too. Raises LogWriteError; then nothing of it is written."""
        self._append(encode(measured, result))

    def _append(self, line: str) -> None:
        try:
            append([(self.path, line)])
        except OSError as error:
            raise LogWriteError(
                f"cannot write {self.path}: {error.strerror}; what was measured before is kept"
            ) from error
