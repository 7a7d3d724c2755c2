"""The pass that gives functions without a template the schedules that ``ops`` found for them."""

from __future__ import annotations

import tvm
from tvm import relax, tirx
from tvm.s_tir.meta_schedule.database import JSONDatabase
from tvm.target import Target

from tvm_deconv.errors import LogError, first_line
from tvm_deconv.files import temporary_folder
from tvm_deconv.schedules.cpu.machine import cpu_machine, is_cpu
from tvm_deconv.schedules.rest.default import is_scheduled
from tvm_deconv.schedules.tir.nan_maxima import with_nan_kept
from tvm_deconv.schedules.tir.periods import with_whole_periods

from .find import FoundLogs
from .folder import LogFolder
from .functions import RECORDS, WORKLOADS
from .lines import read_lines


def apply_ops(log: object, target: Target) -> list[tvm.transform.Pass]:
    """Passes for ``resolve_log``'s log: where several have a function, the first decides.

    A log of somebody else's, who implements the lookup alone, has none.
    """
    folders: tuple[LogFolder, ...] = ()
    if isinstance(log, FoundLogs):
        folders = log.folders
    elif isinstance(log, LogFolder):
        folders = (log,)
    return [_apply(folder, target) for folder in folders if folder.has_functions]


def _apply(log: LogFolder, target: Target) -> tvm.transform.Pass:
    database = _whole(log)

    @tvm.transform.module_pass(opt_level=0, name="tvm_deconv.ApplyTunedOps")
    def run(mod: tvm.IRModule, _context: tvm.transform.PassContext) -> tvm.IRModule:
        with database, target:
            found = relax.transform.MetaScheduleApplyDatabase()(mod)
        return _for_llvm(mod, found, target) if is_cpu(target) else found

    return run


def _for_llvm(before: tvm.IRModule, mod: tvm.IRModule, target: Target) -> tvm.IRModule:
    """What has got a schedule, without what LLVM misreads, and with the NaN of its maxima."""
    unscheduled = {
        name.name_hint
        for name, func in before.functions_items()
        if isinstance(func, tirx.PrimFunc) and not is_scheduled(func)
    }
    keeps_nan = cpu_machine(target).keeps_nan
    for name, func in mod.functions_items():
        if name.name_hint in unscheduled and is_scheduled(func):
            mod[name] = with_nan_kept(with_whole_periods(func), keeps_nan)
    return mod


def _whole(log: LogFolder) -> JSONDatabase:
    """The database without a last line that a tuner is just writing.

    Raises LogError for one that TVM cannot read.
    """
    with temporary_folder() as folder:
        # Records first: whatever is appended meanwhile, the workloads are all there.
        for name in (RECORDS, WORKLOADS):
            lines = read_lines(log.path / name).texts
            (folder / name).write_bytes(b"".join(line + b"\n" for line in lines))
        workloads, records = (str(folder / name) for name in (WORKLOADS, RECORDS))
        try:
            return JSONDatabase(workloads, records, allow_missing=False)
        except (ValueError, RuntimeError) as error:
            raise LogError(
                f"TVM cannot read the tuning log {log.path}: {first_line(error)}"
            ) from error
