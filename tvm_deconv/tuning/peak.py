"""The multiply-add peak of a device: what the share in a line of progress is taken of."""

from __future__ import annotations

import tempfile
from pathlib import Path
from statistics import median
from typing import Any

import tvm
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.runner import RunnerInput
from tvm.support import cc
from tvm.target import Target

from tvm_deconv.bench.peak import flop, kernel
from tvm_deconv.library import linker
from tvm_deconv.schedules.machine import CpuMachine
from tvm_deconv.targets import resolve_target


def device_peak(target: Target, machine: CpuMachine, runner: Any) -> float | None:
    """FLOP/s of a kernel that multiplies and adds in registers on all threads.

    None if the device could not run it. Raises DeviceError if the device is gone.
    """
    with tempfile.TemporaryDirectory(prefix="tvm-deconv-") as folder:
        path = Path(folder) / "peak.so"
        mod = tvm.IRModule({"main": kernel(machine.threads, machine.lanes)})
        built = tvm.compile(mod, target=target)
        command = linker(target, resolve_target("host"))
        built.export_library(str(path), fcompile=cc.create_shared, cc=command)
        shapes = ((2, machine.lanes), (machine.threads, machine.lanes))
        arguments = [TensorInfo("float32", shape) for shape in shapes]
        (future,) = runner.run([RunnerInput(str(path), "cpu", arguments)])
        result = future.result()
    if runner.lost is not None:
        raise runner.lost
    if not result.run_secs:
        return None
    return flop(machine.threads, machine.lanes) / median(float(s) for s in result.run_secs)
