"""The multiply-add peak of a device: what the share in a line of progress is taken of."""

from __future__ import annotations

import textwrap
from statistics import median
from typing import Any

from tvm.s_tir.meta_schedule.arg_info import TensorInfo
from tvm.s_tir.meta_schedule.runner import RunnerInput
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.backends.linking import compiled, link, linker
from tvm_deconv.errors import DeviceError
from tvm_deconv.files import temporary_folder
from tvm_deconv.measure.cpu_probes import integer_multiply_adds
from tvm_deconv.measure.probe import Probe
from tvm_deconv.schedules.cpu.integer.variant import integer_variant
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE

from .runner import INTERRUPTED, status_of


def device_peak(target: Target, runner: Any, product: str = ACCUMULATE_DTYPE) -> float | None:
    """Operations in a second of a kernel that multiplies and adds in registers on all threads.

    ``product`` is that of a ``Layer``: float32, or bytes by int8 or int16. None if it was
    interrupted. Raises DeviceError if the device is gone, or cannot run even this: then it would
    run no candidate either, and a log of failures helps nobody.
    """
    probe = probe_of(target, product)
    seconds = run_alone(probe, target, runner)
    return None if seconds is None else probe.work / median(seconds)


def probe_of(target: Target, product: str) -> Probe:
    """The kernel that ``device_peak`` runs."""
    if product == ACCUMULATE_DTYPE:
        return backend_of(target).peak(target)
    machine = cpu_machine(target)
    return integer_multiply_adds(machine, integer_variant(machine, product).dot)


def run_alone(probe: Probe, target: Target, runner: Any) -> list[float] | None:
    """Seconds of each sample of a probe, whose arguments get values from 0 to 1.

    Nothing is compared. None if it was interrupted; raises DeviceError as ``device_peak`` does.
    """
    backend = backend_of(target)
    with temporary_folder() as folder:
        path = folder / "kernel.so"
        link(compiled(probe.func, target), path, linker(target), target)
        arguments = [TensorInfo(probe.dtype, shape) for shape in probe.shapes]
        (future,) = runner.run([RunnerInput(str(path), backend.device_kind, arguments)])
        result = future.result()
    if runner.lost is not None:
        raise runner.lost
    if not result.run_secs:
        if status_of(result.error_msg) == INTERRUPTED:
            return None
        reason = textwrap.shorten(str(result.error_msg), 200, placeholder=" ...")
        name = backend.identity(target).name
        raise DeviceError(f"the device cannot run a kernel for {name}: {reason}")
    return [float(sample) for sample in result.run_secs]
