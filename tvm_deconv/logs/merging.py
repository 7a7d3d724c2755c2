"""``tvm-deconv logs merge``: one log of what several hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from tvm_deconv.errors import LogError, LogWriteError, OutputError
from tvm_deconv.files import replacing

from .find import folders_below
from .folder import RECORDS, TRIALS, WORKLOADS, LogFolder
from .header import FILE, Header
from .lines import read_lines
from .records import layer_of_workload, workload_index
from .writing import lock


class _Merged:
    """The lines of a log to be; those that are there already stay as they are, in their order."""

    def __init__(self) -> None:
        self.workloads: list[bytes] = []
        self.records: list[bytes] = []
        self.trials: list[bytes] = []
        self._indices: dict[Any, int] = {}
        self._seen: set[tuple[str, bytes]] = set()

    def add(self, log: LogFolder) -> None:
        """Append what is new. Raises LogError for a damaged line."""
        # All of it is read, not only what is looked up.
        log.contents.check()
        log.trials()
        workloads, records, trials = (read_lines(path) for path in log.files)
        indices = []
        for line, row in workloads.numbered():
            # A layer is itself; another task is what TVM's structural hash says.
            key = layer_of_workload(row) or row[0]
            if key not in self._indices:
                self._indices[key] = len(self.workloads)
                self.workloads.append(workloads.texts[line - 1])
            indices.append(self._indices[key])
        for text in records.texts:
            _, comma, rest = text.partition(b",")
            index = indices[workload_index(text)]
            self._append(self.records, "record", b"[%d" % index + comma + rest)
        for text in trials.texts:
            self._append(self.trials, "trial", text)

    def _append(self, lines: list[bytes], kind: str, text: bytes) -> None:
        if (kind, text) not in self._seen:
            self._seen.add((kind, text))
            lines.append(text)


def merge(sources: Sequence[Path], into: Path) -> tuple[LogFolder, int, int]:
    """Append to the log ``into`` what others hold and it does not; it may be new.

    Paths are those of logs, or of devices that have one each. The result is the log, and how many
    records and trials were added. Each file of ``into`` is replaced as a whole, in an order that
    leaves a valid log wherever it ends; the same call again does the rest.

    Raises LogError for a path with no log or with several, for logs of different devices, targets
    or TVM minors, and for a damaged line, before anything is written; LogWriteError where ``into``
    cannot be written.
    """
    logs = [LogFolder.open(_only(source)) for source in sources]
    if not logs:
        raise LogError("there is nothing to merge: give at least one log")
    header = logs[0].header
    is_new = not list(folders_below(into))
    target = _new(into, header) if is_new else _only(into)
    with _locked(target):
        known = [] if is_new else [LogFolder.open(target)]
        for log in [*logs, *known]:
            _check_same(header, log)
        merged = _Merged()
        for log in known:
            merged.add(log)
        before = len(merged.records), len(merged.trials)
        for log in logs:
            merged.add(log)
        _write(target, merged, header if is_new else None)
    added = len(merged.records) - before[0], len(merged.trials) - before[1]
    return LogFolder.open(target), *added


@contextmanager
def _locked(path: Path) -> Iterator[None]:
    """Keeps tuners out of a log, whose folder is made if need be."""
    is_new = not path.exists()
    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = lock(path)
    except OSError as error:
        raise LogWriteError(f"cannot write {path}: {error.strerror}") from error
    try:
        yield
    except BaseException:
        # Nothing is left of a log that was not to be; the folders above may be somebody's.
        if is_new:
            with suppress(OSError):
                path.rmdir()
        raise
    finally:
        os.close(descriptor)


def _only(path: Path) -> Path:
    """The one log at a path."""
    folders = list(folders_below(path))
    if not folders:
        raise LogError(f"{path} holds no tuning log: give the folder of a device, with its {FILE}")
    if len(folders) > 1:
        names = ", ".join(os.fspath(folder.relative_to(path)) for folder in folders)
        raise LogError(f"{path} holds several tuning logs ({names}): give one of them")
    return folders[0]


def _new(into: Path, header: Header) -> Path:
    """Where a new log goes, whether ``into`` is meant as the device's folder or as the log's."""
    name = f"tvm-{header.minor}"
    path = into if into.name == name else into / name
    if path.resolve().parent.name != header.device:
        raise LogError(
            f"{into} does not exist, and the logs are of device {header.device}: give a folder "
            "of that name"
        )
    return path


def _check_same(header: Header, log: LogFolder) -> None:
    other = log.header
    if other.minor != header.minor:
        raise LogError(f"{log.path} is of TVM {other.minor}, and the first of {header.minor}")
    difference = other.processor.difference(header.processor)
    if difference is not None:
        raise LogError(f"{log.path} is for {difference}, as the first is")
    for mine, first in (
        (other.device, header.device),
        (other.description, header.description),
    ):
        if mine != first:
            raise LogError(f"{log.path} was measured on {mine!r}, and the first on {first!r}")


def _write(path: Path, merged: _Merged, header: Header | None) -> None:
    """Put the workloads in place first, then the records that count them, as a tuner does."""
    try:
        if header is not None:
            header.write(path)
        # What is entered last is left, and so put in place, first.
        with ExitStack() as stack:
            for file, lines in (
                (path / TRIALS, merged.trials),
                (path / RECORDS, merged.records),
                (path / WORKLOADS, merged.workloads),
            ):
                unfinished = stack.enter_context(replacing(file))
                unfinished.write_bytes(b"".join(line + b"\n" for line in lines))
    except OutputError as error:
        raise LogWriteError(str(error)) from error
    except OSError as error:
        raise LogWriteError(f"cannot write {path}: {error.strerror}") from error
