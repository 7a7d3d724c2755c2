"""What a GPU says of itself over RPC, and whether kernels for a target can run on it.

It is asked before anything is built: a driver would refuse each kernel, one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tvm import rpc
from tvm.target import Target

from tvm_deconv.backends.gpu_targets import CUDA
from tvm_deconv.errors import DeviceError, TargetError
from tvm_deconv.schedules.gpu.machine import gpu_machine

_API = {"cuda": "CUDA", "opencl": "OpenCL"}


class Facts(NamedTuple):
    """``has_runtime``: TVM's runtime there knows such devices; ``exists``: it finds one.

    ``threads`` and ``shared_bytes`` are the most that a block may have. ``capability`` is that of
    CUDA, ``8.7``; OpenCL's version otherwise.
    """

    has_runtime: bool
    exists: bool = False
    name: str = ""
    threads: int = 0
    shared_bytes: int = 0
    capability: str = ""


def facts_of(session: rpc.RPCSession, kind: str) -> Facts:
    """What the first device of a kind (``cuda``, ``opencl``) says."""
    try:
        session.get_function(f"device_api.{kind}")
    except AttributeError:
        return Facts(has_runtime=False)
    device: Any = session.device(kind, 0)
    if not device.exist:
        return Facts(has_runtime=True)
    return Facts(
        has_runtime=True,
        exists=True,
        name=str(device.device_name).strip("\0 "),
        threads=int(device.max_threads_per_block),
        shared_bytes=int(device.max_shared_memory_per_block),
        capability=str(device.compute_version),
    )


def check(facts: Facts, target: Target, place: str) -> None:
    """Raise DeviceError without a device for the target, TargetError for one that is not like it.

    ``place`` says in words where the device is.
    """
    kind = target.kind.name
    api = _API[kind]
    if not facts.has_runtime:
        raise DeviceError(f"TVM's runtime {place} has no {api}: {_CURE[kind]}")
    if not facts.exists:
        raise DeviceError(f"{api} finds no device {place}: install the driver of its GPU")
    machine = gpu_machine(target)
    if kind == CUDA and machine.name.rstrip("af") != _architecture(facts.capability):
        raise TargetError(
            f"{facts.name} is {_architecture(facts.capability)}, and the target is for "
            f"{machine.name}: give the target that arch"
        )
    for what, promised, found, names in (
        ("threads", machine.max_threads, facts.threads, "max_threads_per_block, max_num_threads"),
        (
            "bytes of shared memory",
            machine.shared_bytes,
            facts.shared_bytes,
            "max_shared_memory_per_block",
        ),
    ):
        if promised > found:
            raise TargetError(
                f"the target promises {promised} {what} in a block, and {facts.name} has {found}: "
                f"give the target {names} of {found}"
            )


_CURE = {
    "cuda": "install TVM's package with CUDA there, and NVIDIA's driver (libcuda.so)",
    "opencl": "build TVM's runtime there with USE_OPENCL=ON; TVM's package on PyPI has none",
}


def _architecture(capability: str) -> str:
    """``sm_87`` of ``8.7``."""
    return f"sm_{capability.replace('.', '')}"
