"""The pass that gives functions without a template the schedules that ``ops`` found for them."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.s_tir.meta_schedule.database import JSONDatabase
from tvm.target import Target

from .find import FoundLogs
from .log import LogFolder


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
    workloads, records, _ = log.files
    database = JSONDatabase(str(workloads), str(records), allow_missing=False)

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ApplyTunedOps")
    def run(mod: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        with database, target:
            return relax.transform.MetaScheduleApplyDatabase()(mod)

    return run
