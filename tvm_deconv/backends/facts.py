"""What a device says of itself over RPC.

It is asked before anything is built: a driver would refuse each kernel, one after the other.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from tvm import rpc


class DeviceFacts(NamedTuple):
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


def facts_of(session: rpc.RPCSession, kind: str) -> DeviceFacts:
    """What the first device of a kind (``cuda``, ``opencl``) says."""
    try:
        session.get_function(f"device_api.{kind}")
    except AttributeError:
        return DeviceFacts(has_runtime=False)
    device: Any = session.device(kind, 0)
    if not device.exist:
        return DeviceFacts(has_runtime=True)
    return DeviceFacts(
        has_runtime=True,
        exists=True,
        name=str(device.device_name).strip("\0 "),
        threads=int(device.max_threads_per_block),
        shared_bytes=int(device.max_shared_memory_per_block),
        capability=str(device.compute_version),
    )
