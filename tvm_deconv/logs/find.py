"""Where tuning logs are, and which of them are of a target.

They lie in ``<root>/<device>/tvm-<minor>``; ``roots`` says which roots there are.

A log is of a target if it was written by the TVM minor that runs, for the same processor (kind,
architecture, ``mcpu``, ``mattr``) with the same number of threads, or for the same kind of GPU
(kind, architecture or device, model) with the same limits. All that are not, are refused with a
reason.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

from tvm.target import Target

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.backends import Identity, identity_of
from tvm_deconv.errors import LogError
from tvm_deconv.schedules.choice import Row, TuningLog
from tvm_deconv.schedules.variant import Sizes

from .folder import LogFolder
from .header import FILE, running_minor
from .roots import log_roots

AUTO = "auto"

# What the functions of the library take as ``log=``.
LogSpec: TypeAlias = str | os.PathLike | TuningLog | None


@dataclass(frozen=True)
class FoundLogs:
    """Logs of one target; the first that has a layer decides about it."""

    folders: tuple[LogFolder, ...]

    def lookup(self, conv: ConvTranspose2d, sizes: Sizes, dtype: str) -> Sequence[Row]:
        """The rows of the first log that has any for the layer."""
        found = (folder.lookup(conv, sizes, dtype) for folder in self.folders)
        return next(filter(None, found), ())

    def __str__(self) -> str:
        return "; then ".join(_device(folder) for folder in self.folders)


def find_log(target: Target, roots: Sequence[Path]) -> tuple[FoundLogs | None, list[str]]:
    """The logs of a target, in the order of ``roots``, and why each of the others is none."""
    wanted = identity_of(target)
    fitting, notes = [], []
    for folder in (folder for root in roots for folder in folders_below(root)):
        try:
            log = LogFolder.open(folder)
            refusal = _refusal(log, wanted)
        except LogError as error:
            notes.append(str(error))
            continue
        if refusal is None:
            fitting.append(log)
        else:
            notes.append(f"{_device(log)} is {refusal}")
    return (FoundLogs(tuple(fitting)) if fitting else None), notes


def resolve_log(log: LogSpec, target: Target) -> tuple[TuningLog | None, str]:
    """The log that ``log`` means for a target, and a sentence about it.

    ``log`` is ``"auto"`` (look through ``log_roots``), the path of a device's folder or of a root,
    a log itself, or None for none. The sentence is empty where there is nothing to say.

    Raises LogError for a path that holds no log of the target, with the reasons, and for what is
    none of these.
    """
    if log is None:
        return None, ""
    if log == AUTO:
        roots = log_roots()
        found, notes = find_log(target, roots)
        if found is None and roots:
            others = f": {'; '.join(notes)}" if notes else " (tvm-deconv tune makes one)"
            return None, f"no tuning log for this target{others}"
    elif isinstance(log, str | os.PathLike):
        path = Path(log)
        if not path.is_dir():
            raise LogError(f"there is no folder {path} with tuning logs")
        found, notes = find_log(target, [path])
        if found is None:
            reasons = "; ".join(notes) or "it holds none: give a device's folder, or one of several"
            raise LogError(f"no tuning log for this target in {path}: {reasons}")
    elif not callable(getattr(log, "lookup", None)):
        raise LogError(f"log is {log!r}: give the path of a folder of logs, or None for none")
    else:
        return log, ""
    return found, f"tuning log: {found}" if found else ""


def folders_below(path: Path) -> Iterator[Path]:
    """The logs at a path: itself, a device's, or those of all devices, sorted by name."""
    for pattern in (FILE, f"tvm-*/{FILE}", f"*/tvm-*/{FILE}"):
        headers = sorted(path.glob(pattern))
        if headers:
            yield from (header.parent for header in headers)
            return


def _refusal(log: LogFolder, wanted: Identity) -> str | None:
    """Why a log is of no use for a processor: what it is of."""
    if log.header.minor != running_minor():
        return f"of TVM {log.header.minor}, this is {running_minor()}"
    difference = log.header.processor.difference(wanted)
    return difference and f"for {difference}"


def _device(log: LogFolder) -> str:
    """Its folder, relative to the working directory if it lies in there."""
    path = log.path.parent.resolve()
    here = Path.cwd()
    return os.fspath(path.relative_to(here) if path.is_relative_to(here) else path)
