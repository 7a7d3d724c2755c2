"""The pass that gives functions without a template the schedules that ``ops`` found for them."""

from __future__ import annotations

import tempfile
from pathlib import Path

import tvm
from tvm import relax
from tvm.s_tir.meta_schedule.database import JSONDatabase
from tvm.target import Target

from tvm_deconv.errors import LogError

from .find import FoundLogs
from .folder import LogFolder


def apply_ops(log: object, target: Target) -> list[tvm.transform.Pass]:
    """Passes for ``resolve_log``'s log: where several have a function, the first decides.

    A log of somebody else's, who implements the lookup alone, has none.
    """
    folders: tuple[LogFolder, ...] = ()
    if isinstance(log, FoundLogs):
        folders = log.folders
    elif isinstance(log, LogFolder):
        folders = (log,)
    return [_apply(folder, target) for folder in folders if folder.contents.other_records]


def _apply(log: LogFolder, target: Target) -> tvm.transform.Pass:
    database = _whole(log)

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ApplyTunedOps")
    def run(mod: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        with database, target:
            return relax.transform.MetaScheduleApplyDatabase()(mod)

    return run


def _whole(log: LogFolder) -> JSONDatabase:
    """The database without a last line that a tuner is just writing.

    Raises LogError for one that TVM cannot read.
    """
    with tempfile.TemporaryDirectory(prefix="tvm-deconv-") as folder:
        copies = []
        # Records first: whatever is appended meanwhile, the workloads are all there.
        for path in reversed(log.files[:2]):
            copies.append(Path(folder) / path.name)
            whole, end, _ = path.read_bytes().rpartition(b"\n")
            copies[-1].write_bytes(whole + end)
        records, workloads = map(str, copies)
        try:
            return JSONDatabase(workloads, records, allow_missing=False)
        except (ValueError, RuntimeError) as error:
            reason = str(error).splitlines()[0]
            raise LogError(f"TVM cannot read the tuning log {log.path}: {reason}") from error
