"""MetaSchedule's database of the functions of other operators that ``--all-ops`` tuned.

    workloads.json  one function per line, as TVM serializes it
    records.json    one line per schedule worth applying: [line of its workload from 0, record]

Whatever else there is to know of these functions stands in ``trials.jsonl``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tvm.s_tir.meta_schedule.database import TuningRecord, Workload

from tvm_deconv.errors import LogError, first_line

from .lines import read_lines

WORKLOADS, RECORDS = "workloads.json", "records.json"


def read_rows(folder: Path) -> tuple[list[Any], list[list[Any]]]:
    """The rows of both files; those that are not there have none.

    Raises LogError, with file and line, for a damaged line and a record without a workload. What a
    row holds is for TVM to say.
    """
    # Records first: whatever a tuner appends meanwhile, their workloads are all there.
    records, workloads = read_lines(folder / RECORDS), read_lines(folder / WORKLOADS)
    count = len(workloads.texts)
    return workloads.read_all(_named), records.read_all(lambda row: _record(row, count))


def lines_for(record: TuningRecord, folder: Path) -> list[tuple[Path, str]]:
    """What to append to which file for a new record, in this order."""
    index = len(read_lines(folder / WORKLOADS).texts)
    return [
        (folder / WORKLOADS, as_line(record.workload.as_json())),
        (folder / RECORDS, as_line([index, record.as_json()])),
    ]


def as_line(row: Any) -> str:
    """A row of either file as TVM would write it."""
    return json.dumps(row, separators=(",", ":"))


def problems_of(folder: Path) -> Iterator[str]:
    """What is wrong with the rows, each with file and line; nothing where TVM reads them all."""
    workloads, records = read_lines(folder / WORKLOADS), read_lines(folder / RECORDS)
    known: dict[int, Workload] = {}

    def check(row: Any) -> None:
        index, record = _record(row, len(workloads.texts))
        if index in known:
            try:
                TuningRecord.from_json(record, known[index])
            except (ValueError, RuntimeError, TypeError) as error:
                raise LogError(f"TVM cannot read it: {first_line(error)}") from error

    for line in range(1, len(workloads.texts) + 1):
        try:
            known[line - 1] = workloads.read(line, _workload)
        except LogError as error:
            yield str(error)
    for line in range(1, len(records.texts) + 1):
        try:
            records.read(line, check)
        except LogError as error:
            yield str(error)


def _record(row: Any, workloads: int) -> list[Any]:
    if not isinstance(row, list) or len(row) != 2 or not isinstance(row[0], int):
        raise LogError("cannot be read as a record: it must be [workload, record]")
    if not 0 <= row[0] < workloads:
        raise LogError(f"is of workload {row[0]} from 0, and there are {workloads}")
    return row


def _named(row: Any) -> list[Any]:
    if not isinstance(row, list) or len(row) != 2:
        raise LogError("cannot be read as a workload: it must be [hash, function]")
    return row


def _workload(row: Any) -> Workload:
    named = _named(row)
    try:
        return Workload.from_json(named)
    except (ValueError, RuntimeError, TypeError) as error:
        raise LogError(f"TVM cannot read it: {first_line(error)}") from error
