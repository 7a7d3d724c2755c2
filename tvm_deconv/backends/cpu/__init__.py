"""Processors: whatever LLVM compiles for."""

from __future__ import annotations

from collections.abc import Callable, Collection

import tvm
from tvm import tirx
from tvm.relax.backend.cpu_generic import pipeline as stock
from tvm.target import Target

from tvm_deconv.backends.backend import Backend, LibraryDevice
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.backends.identity import CpuIdentity
from tvm_deconv.measure import cpu_probes
from tvm_deconv.measure.probe import Probe
from tvm_deconv.schedules.cpu.machine import CpuMachine, cpu_machine, is_this_processor
from tvm_deconv.schedules.rest.default import default_schedule, schedule_with_constants
from tvm_deconv.schedules.rest.product.pack import Packings

from .target import completed


class Cpu(Backend):
    """One processor and its threads; the same for all that LLVM knows."""

    kind, device_kind, name = "llvm", "cpu", "CPU"
    stock = stock
    rules = "llvm"

    def complete(self, target: Target) -> Target:
        return completed(target)

    def processor(self, target: Target) -> Target:
        return target

    def with_threads(self, target: Target, threads: int) -> Target:
        return Target({**target.export(), "num-cores": threads})

    def machine(self, target: Target) -> CpuMachine:
        return cpu_machine(target)

    def default_schedule(self, func: tirx.PrimFunc, target: Target, name: str) -> tirx.PrimFunc:
        return default_schedule(func, self.machine(target))

    def schedule_with_constants(
        self, func: tirx.PrimFunc, target: Target, name: str, constants: Collection[int]
    ) -> tuple[tirx.PrimFunc, Packings]:
        return schedule_with_constants(func, self.machine(target), constants)

    def device(self, wanted: LibraryDevice, library: str) -> tvm.runtime.Device:
        return tvm.cpu()

    def identity(self, target: Target) -> CpuIdentity:
        return CpuIdentity.of(target, self.machine(target))

    def refusal_here(self, target: Target, named: object) -> str | None:
        if is_this_processor(target):
            return None
        return (
            f"this machine is not a {target.attrs.get('mcpu', named)}: give the tracker "
            "(HOST:PORT) and the key of one, or target host"
        )

    def check_device(self, target: Target, ask: Callable[[str], DeviceFacts], place: str) -> None:
        return None

    def peak(self, target: Target, blocks: int | None = None) -> Probe:
        return cpu_probes.multiply_adds(self.machine(target))
