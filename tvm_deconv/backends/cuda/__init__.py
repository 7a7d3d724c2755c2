"""CUDA: NVIDIA's GPUs, whose libraries hold machine code for one architecture."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar

import tvm
from tvm.relax.backend.cuda import pipeline as stock
from tvm.target import Target, register_tag

from tvm_deconv.backends.backend import LibraryDevice, Packer
from tvm_deconv.backends.cpu.target import aarch64
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.backends.gpu import Gpu
from tvm_deconv.errors import ModelError, TargetError
from tvm_deconv.schedules.gpu.machine import GpuMachine

from . import architectures, packing, source

# TVM's tags of these have no host. All have four Cortex-A57 (NVIDIA's data sheets of the modules;
# the TX2 has two Denver cores besides).
_JETSON_WITHOUT_HOST = ("nvidia/jetson-nano", "nvidia/jetson-tx1", "nvidia/jetson-tx2")
for _name in _JETSON_WITHOUT_HOST:
    _tagged = Target(_name)
    if _tagged.host is None:
        _config = {**_tagged.export(), "host": aarch64("cortex-a57", 4)}
        register_tag(_name, _config, override=True)


class Cuda(Gpu):
    """NVIDIA's GPUs since Maxwell."""

    kind = device_kind = rules = "cuda"
    name = "CUDA"
    # TVM's own tags say so, but a target without a tag does not, and DLight and MetaSchedule ask.
    limits: ClassVar = {
        "max_threads_per_block": architectures.MOST_THREADS,
        "max_shared_memory_per_block": architectures.MOST_SHARED_BYTES,
    }
    stock = stock
    cure = "install TVM's package with CUDA there, and NVIDIA's driver (libcuda.so)"

    def check_config(self, config: Mapping[str, Any]) -> None:
        if "arch" in config:
            architectures.check_architecture(str(config["arch"]))
        elif not tvm.cuda(0).exist:
            raise TargetError(
                "CUDA for which GPU? Give its architecture, such as "
                '{"kind": "cuda", "arch": "sm_87"}'
            )

    def check_target(self, target: Target) -> None:
        architectures.check_architecture(_arch(target))

    def machine(self, target: Target) -> GpuMachine:
        found = architectures.machine_for(_arch(target)).limited(target)
        return replace(found, shared_bytes=min(found.shared_bytes, architectures.MOST_SHARED_BYTES))

    def register_compiler(self) -> None:
        source.register()

    def check_compiler(self, target: Target) -> None:
        source.compiler_for(_arch(target))

    def packer(self) -> Packer:
        return packing.pack

    def device(self, wanted: LibraryDevice, library: str) -> tvm.runtime.Device:
        device = super().device(wanted, library)
        here = _architecture(str(device.compute_version))
        if not architectures.executes(here, wanted.name):
            raise ModelError(
                f"{library} is for {wanted.name}, but the GPU of this machine is {here}: "
                f'compile with --target \'{{"kind": "cuda", "arch": "{here}"}}\''
            )
        return device

    def check_facts(self, target: Target, facts: DeviceFacts) -> None:
        arch, here = _arch(target), _architecture(facts.capability)
        if architectures.base(arch) != here:
            raise TargetError(
                f"{facts.name} is {here}, and the target is for {arch}: give the target that arch"
            )
        super().check_facts(target, facts)


def _arch(target: Target) -> str:
    return str(target.attrs.get("arch", ""))


def _architecture(capability: str) -> str:
    """``sm_87`` of ``8.7``."""
    return f"sm_{capability.replace('.', '')}"
