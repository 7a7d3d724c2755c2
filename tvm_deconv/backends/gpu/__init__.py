"""What all GPUs have in common: a host, limits of a block, DLight, one peak kernel."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import tvm
from tvm import tirx
from tvm.relax.backend.gpu_generic import pipeline as generic
from tvm.target import Target

from tvm_deconv.backends.backend import Backend, LibraryDevice
from tvm_deconv.backends.cpu.target import completed, this_machine
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.backends.identity import GpuIdentity, runs_here
from tvm_deconv.errors import DeviceError, ModelError, TargetError
from tvm_deconv.measure import gpu_probes
from tvm_deconv.measure.probe import Probe
from tvm_deconv.schedules.gpu.machine import GpuMachine

from .dlight import schedule_function
from .limits import refusal


class Gpu(Backend):
    """A device of its own beside a processor, which launches its kernels.

    ``limits`` are those of a block that every target of the kind has to name; ``cure`` says what to
    do on a device whose TVM has no runtime of the kind.
    """

    limits: ClassVar[Mapping[str, int]] = {}
    stock = generic
    cure: ClassVar[str]

    @abstractmethod
    def check_target(self, target: Target) -> None:
        """Raise TargetError for a GPU that there is not."""

    @abstractmethod
    def machine(self, target: Target) -> GpuMachine: ...

    def complete(self, target: Target) -> Target:
        """The target with ``limits``, and with this machine as its host where it has none.

        A limit that it has stays as it is.
        """
        self.check_target(target)
        host = target.host or this_machine()
        if host.kind.name != "llvm":
            raise TargetError(f"the host of a GPU is a CPU (llvm), got {host.kind.name}")
        host = completed(host)
        missing = {name: value for name, value in self.limits.items() if name not in target.attrs}
        if target.host is not None and host.same_as(target.host) and not missing:
            return target
        config: dict[str, Any] = {**target.export(), **missing, "host": host.export()}
        return Target(config)

    def processor(self, target: Target) -> Target:
        return target.host

    def with_threads(self, target: Target, threads: int) -> Target:
        raise TargetError(f"threads are those of a CPU: {self.kind} takes none")

    def default_schedule(self, func: tirx.PrimFunc, target: Target, name: str) -> tirx.PrimFunc:
        return schedule_function(func, target, self.machine(target), name)

    def refusal(self, func: tirx.PrimFunc, target: Target) -> str | None:
        return refusal(func, target, self.machine(target))

    def device(self, wanted: LibraryDevice, library: str) -> tvm.runtime.Device:
        device = tvm.device(self.device_kind, 0)
        if not device.exist:
            raise ModelError(
                f"{library} is for {self.name}, but no {self.name} GPU is found on this machine"
            )
        return device

    def identity(self, target: Target) -> GpuIdentity:
        return GpuIdentity.of(target, self.machine(target))

    def refusal_here(self, target: Target, named: object) -> str | None:
        host = self.processor(target)
        if runs_here(host):
            return None
        return (
            f"the processor beside that GPU is an {host.attrs['mtriple']}, and this machine is "
            "none: give the tracker (HOST:PORT) and the key of one"
        )

    def check_device(self, target: Target, ask: Callable[[str], DeviceFacts], place: str) -> str:
        facts = ask(self.device_kind)
        if not facts.has_runtime:
            raise DeviceError(f"TVM's runtime {place} has no {self.name}: {self.cure}")
        if not facts.exists:
            raise DeviceError(f"{self.name} finds no device {place}: install the driver of its GPU")
        self.check_facts(target, facts)
        return facts.name

    def check_facts(self, target: Target, facts: DeviceFacts) -> None:
        """Raise TargetError for a device that has less than the target promises."""
        machine, threads = self.machine(target), "max_threads_per_block, max_num_threads"
        shared, name = "bytes of shared memory", "max_shared_memory_per_block"
        for what, promised, found, names in (
            ("threads", machine.max_threads, facts.threads, threads),
            (shared, machine.shared_bytes, facts.shared_bytes, name),
        ):
            if promised > found:
                raise TargetError(
                    f"the target promises {promised} {what} in a block, and {facts.name} has "
                    f"{found}: give the target {names} of {found}"
                )

    def peak(self, target: Target, blocks: int | None = None) -> Probe:
        return gpu_probes.multiply_adds(self.machine(target), blocks)
