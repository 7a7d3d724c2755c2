"""The multiply-add peak of a device: what the share in a line of progress is taken of."""

from __future__ import annotations

import tempfile
import textwrap
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import tvm
from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.runner import RunnerInput
from tvm.target import Target

from tvm_deconv.errors import DeviceError
from tvm_deconv.library import link, linker
from tvm_deconv.logs.processor import processor_for
from tvm_deconv.measure import cpu_peak, gpu_peak
from tvm_deconv.schedules.gpu.machine import GpuMachine
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.targets import processor_of, resolve_target

from .build import compiled
from .runner import INTERRUPTED, device_type, status_of


def device_peak(target: Target, machine: Machine, runner: Any) -> float | None:
    """FLOP/s of a float32 kernel that multiplies and adds in registers on all threads.

    None if it was interrupted. Raises DeviceError if the device is gone, or cannot run even this:
    then it would run no candidate either, and a log of failures helps nobody.
    """
    if isinstance(machine, GpuMachine):
        blocks = gpu_peak.blocks(machine)
        arguments = gpu_peak.shapes(machine, blocks)
        seconds = run_alone(gpu_peak.kernel(machine), arguments, target, runner)
        return None if seconds is None else gpu_peak.flop(machine, blocks) / median(seconds)
    size = machine.threads, machine.lanes
    seconds = run_alone(cpu_peak.kernel(*size), cpu_peak.shapes(*size), target, runner)
    return None if seconds is None else cpu_peak.flop(*size) / median(seconds)


def run_alone(
    func: tvm.tirx.PrimFunc, shapes: Sequence[Sequence[int]], target: Target, runner: Any
) -> list[float] | None:
    """Seconds of each sample of a kernel with float32 arguments of ``shapes``, values 0 to 1.

    Nothing is compared. None if it was interrupted; raises DeviceError as ``device_peak`` does.
    """
    with tempfile.TemporaryDirectory(prefix="tvm-deconv-") as folder:
        path = Path(folder) / "kernel.so"
        built = compiled(func, target)
        link(built, path, linker(processor_of(target), resolve_target("host")), target)
        arguments = [TensorInfo("float32", shape) for shape in shapes]
        (future,) = runner.run([RunnerInput(str(path), device_type(target), arguments)])
        result = future.result()
    if runner.lost is not None:
        raise runner.lost
    if not result.run_secs:
        if status_of(result.error_msg) == INTERRUPTED:
            return None
        reason = textwrap.shorten(str(result.error_msg), 200, placeholder=" ...")
        name = processor_for(target).name
        raise DeviceError(f"the device cannot run a kernel for {name}: {reason}")
    return [float(sample) for sample in result.run_secs]
