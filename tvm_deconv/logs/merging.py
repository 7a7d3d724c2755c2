"""``tvm-deconv logs merge``: one log of what several hold."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from tvm_deconv.errors import LogError, LogWriteError, OutputError
from tvm_deconv.files import replacing

from .find import folders_below
from .folder import TRIALS, LogFolder
from .functions import RECORDS, WORKLOADS, as_line, read_rows
from .header import FILE, Header
from .lines import read_lines
from .trial import Trial
from .writing import lock


class _Merged:
    """The lines of a log to be."""

    def __init__(self) -> None:
        self.workloads: list[str] = []
        self.records: list[str] = []
        self.trials: list[str] = []

    def begin_with(self, log: LogFolder) -> None:
        """Those that are there already, in their order. Raises LogError for a damaged line."""
        self.trials = _trials(log)
        # All of them: records count workloads, and a file is replaced after the other.
        workloads, records = read_rows(log.path)
        self.workloads = [as_line(row) for row in workloads]
        self.records = [as_line(row) for row in records]

    def add(self, log: LogFolder) -> None:
        """Append what is new. Raises LogError for a damaged line."""
        _extend(self.trials, _trials(log))
        workloads, records = read_rows(log.path)
        lines = [as_line(row) for row in workloads]
        _extend(self.workloads, lines)
        indices = [self.workloads.index(line) for line in lines]
        _extend(self.records, [as_line([indices[i], row]) for i, row in records])


def _trials(log: LogFolder) -> list[str]:
    return [trial.as_json() for trial in read_lines(log.path / TRIALS).read_all(Trial.from_json)]


def _extend(lines: list[str], others: list[str]) -> None:
    """By what is not there; a log itself may hold a line twice."""
    known = set(lines)
    lines += [line for line in others if line not in known]


def merge(sources: Sequence[Path], into: Path) -> tuple[LogFolder, int]:
    """Append to the log ``into`` what others hold and it does not; it may be new.

    Paths are those of logs, or of devices that have one each. The result is the log, and how many
    trials were added. Each file of ``into`` is replaced as a whole, in an order that leaves a valid
    log wherever it ends; the same call again does the rest.

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
            header = log.header
            merged.begin_with(log)
        before = len(merged.trials)
        for log in logs:
            merged.add(log)
        _write(target, merged, header)
    return LogFolder.open(target), len(merged.trials) - before


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


def _write(path: Path, merged: _Merged, header: Header) -> None:
    """Put the workloads in place first, then the records that count them, as a tuner does."""
    try:
        header.write(path)
        if not merged.records:
            for name in (RECORDS, WORKLOADS):
                (path / name).unlink(missing_ok=True)
        # What is entered last is left, and so put in place, first.
        with ExitStack() as stack:
            for name, lines in (
                (TRIALS, merged.trials),
                (RECORDS, merged.records),
                (WORKLOADS, merged.workloads),
            ):
                if merged.records or name == TRIALS:
                    unfinished = stack.enter_context(replacing(path / name))
                    unfinished.write_text("".join(line + "\n" for line in lines))
    except OutputError as error:
        raise LogWriteError(str(error)) from error
    except OSError as error:
        raise LogWriteError(f"cannot write {path}: {error.strerror}") from error
