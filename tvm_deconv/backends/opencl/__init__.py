"""OpenCL: Mali, Adreno, and GPUs of which nothing is known; source, compiled on the device."""

from __future__ import annotations

from dataclasses import replace

from tvm.target import Target

from tvm_deconv.backends.gpu import Gpu
from tvm_deconv.errors import TargetError
from tvm_deconv.schedules.gpu.machine import GpuMachine

from . import mali, products

_KIB = 1024

# Local memory is ordinary cached memory, so copying to it gains nothing (Arm Mali GPU OpenCL
# Developer Guide, "Memory"). A thread has 64 registers of 32 bits, and half as many threads fit
# with more than 32 (Arm Mali Offline Compiler User Guide, "Work registers"). G76: 24 float32
# multiply-adds a cycle in a core (Arm's data sheet). Warps have 4 threads or more from Bifrost on;
# the tags say how many.
_MALI = GpuMachine(
    name="mali",
    warp=4,
    max_threads=256,
    shared_bytes=32 * _KIB,
    shared_is_real=False,
    registers=64,
    lanes=4,
    units=4,
    unit_registers=16 * _KIB,
    unit_shared_bytes=32 * _KIB,
    fma_lanes=24,
    accumulators=32,
    byte_products="opencl",
    doubles_half=True,
)
# Local memory is on the chip, 32 KiB for a work group of a shader processor, and a wave has 64 or
# 128 work items (Snapdragon Mobile Platform OpenCL General Programming and Optimization). Registers
# are not documented: counted as on Mali.
_ADRENO = replace(
    _MALI,
    name="adreno",
    warp=64,
    shared_is_real=True,
    units=2,
    unit_registers=32 * _KIB,
    fma_lanes=128,
)
# Nothing is known: what OpenCL 1.2 guarantees (full profile), and a middling GPU otherwise.
_ANY = replace(
    _ADRENO,
    name="opencl",
    warp=32,
    registers=128,
    units=8,
    unit_registers=64 * _KIB,
    unit_shared_bytes=64 * _KIB,
    fma_lanes=64,
    doubles_half=False,
)
mali.register_tags()

# What TVM's target can say of an OpenCL device; nothing at all is an unknown GPU.
_DEVICES = {machine.name: machine for machine in (_MALI, _ADRENO)}


class OpenCl(Gpu):
    """GPUs with a driver for OpenCL 1.2."""

    kind = device_kind = "opencl"
    name = "OpenCL"
    cure = "build TVM's runtime there with USE_OPENCL=ON; TVM's package on PyPI has none"

    def register_compiler(self) -> None:
        products.register()

    def check_target(self, target: Target) -> None:
        device = target.attrs.get("device")
        if device is not None and device not in _DEVICES:
            raise TargetError(
                f"unknown OpenCL device {str(device)!r}: give {' or '.join(_DEVICES)}, or leave "
                "it out for a GPU of which nothing is known"
            )

    def machine(self, target: Target) -> GpuMachine:
        device = str(target.attrs.get("device", "")) or _ANY.name
        found = _DEVICES.get(device, replace(_ANY, name=device))
        warp = int(target.attrs.get("thread_warp_size", 1))
        return replace(found, warp=max(warp, found.warp)).limited(target)
