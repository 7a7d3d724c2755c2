"""The multiply-add peak of a device: what the share in a line of progress is taken of."""

from __future__ import annotations

import tempfile
import textwrap
from pathlib import Path
from statistics import median
from typing import Any

import tvm
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.runner import RunnerInput
from tvm.support import cc
from tvm.target import Target

from tvm_deconv.bench.peak import flop, kernel
from tvm_deconv.errors import DeviceError
from tvm_deconv.library import linker
from tvm_deconv.schedules.machine import CpuMachine
from tvm_deconv.targets import resolve_target

from .runner import INTERRUPTED, status_of


def device_peak(target: Target, machine: CpuMachine, runner: Any) -> float | None:
    """FLOP/s of a kernel that multiplies and adds in registers on all threads.

    None if it was interrupted. Raises DeviceError if the device is gone, or cannot run even this:
    then it would run no candidate either, and a log of failures helps nobody.
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
        if status_of(result.error_msg) == INTERRUPTED:
            return None
        reason = textwrap.shorten(str(result.error_msg), 200, placeholder=" ...")
        name = target.attrs.get("mcpu", target.kind.name)
        raise DeviceError(f"the device cannot run a kernel for {name}: {reason}")
    return flop(machine.threads, machine.lanes) / median(float(s) for s in result.run_secs)
