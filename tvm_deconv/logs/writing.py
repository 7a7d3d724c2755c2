"""Appending to a log: all of a trial or nothing, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from pathlib import Path

import tvm
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import JSONDatabase, TuningRecord
from tvm.s_tir.schedule import Trace
from tvm.target import Target

from tvm_deconv.errors import LogError, LogWriteError

from .lines import Growth, append, probe, read_lines


class Writer:
    """Appends to workloads, records and trials, which must be whole files.

    MetaSchedule's search has its own hands on the database (it adds the workload), and TVM does not
    tell of a full disk. So after each trial everything since the last one is checked.
    """

    def __init__(self, workloads: Path, records: Path, trials: Path) -> None:
        self._files = workloads, records, trials
        self._database: JSONDatabase | None = None
        self._growth = Growth.of(self._files)
        self._workloads = len(read_lines(workloads).texts)

    @property
    def database(self) -> JSONDatabase:
        """The two tables as MetaSchedule has them. Raises LogError where TVM cannot read them."""
        if self._database is None:
            workloads, records, _ = self._files
            try:
                self._database = JSONDatabase(str(workloads), str(records))
            except (ValueError, RuntimeError) as error:
                reason = str(error).splitlines()[0]
                raise LogError(f"TVM cannot read or create {records}: {reason}") from error
        return self._database

    def commit(
        self,
        workload_mod: tvm.IRModule,
        trace: Trace,
        run_secs: Sequence[float] | None,
        args_info: Sequence[ArgInfo],
        target: Target,
        line: str,
    ) -> None:
        """Append the line of a trial, and a record if there are samples.

        Raises LogWriteError where that fails; the files are as after the trial before, then.
        """
        database = self.database
        try:
            if run_secs is not None:
                workload = database.commit_workload(workload_mod)
                record = TuningRecord(trace, workload, list(run_secs), target, list(args_info))
                database.commit_tuning_record(record)
            append(self._files[2], line)
            self._check(records=0 if run_secs is None else 1)
            self._growth = Growth.of(self._files)
        except (OSError, ValueError) as error:
            # The database in memory has what its files lack.
            self._database = None
            self._growth.undo()
            raise self._not_written(error) from error

    def _check(self, records: int) -> None:
        """Raise OSError unless all was written, and the record's workload is there, too."""
        added = self._growth.rows()
        known = self._workloads + len(added[0])
        if [len(rows) for rows in added[1:]] != [records, 1] or any(
            row[0] >= known for row in added[1]
        ):
            for path in self._files:
                probe(path)
            raise OSError(0, "a line was lost", str(self._files[1]))
        self._workloads = known

    def _not_written(self, error: Exception) -> LogWriteError:
        try:
            kept = len(read_lines(self._files[2]).texts)
        except LogError:
            kept = 0
        file = getattr(error, "filename", None) or self._files[1]
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        return LogWriteError(
            f"cannot write {file}: {reason}; {kept} trials are kept: free some space and run the "
            "same command again to go on"
        )


def lock(folder: Path) -> int:
    """A descriptor of a folder that keeps other tuners out until it is closed.

    Raises LogError if another has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogError(
            f"another process writes the tuning log {folder}: wait for it, or give another "
            "--device NAME or --logs DIR"
        ) from error
    return descriptor
