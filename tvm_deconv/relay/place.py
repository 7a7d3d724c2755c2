"""Where kernels of Relay are measured: a device at a tracker of TVM, or this machine as one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import tvm
from tvm.target import Target

from tvm_deconv.errors import DeviceError, TuningError
from tvm_deconv.measure.facts import commit, cpu_model
from tvm_deconv.schedules import llvm

from .checked import require_device
from .record_log import identity_of

# Host and port of a tracker, and the key of a device there.
Device = tuple[str, int, str]


def place_of(tracker: str | None, key: str | None, target: Target) -> Device | None:
    """The device that is meant, None for this machine."""
    if (tracker is None) != (key is None):
        raise TuningError("tracker and key go together: give both, or none for this machine")
    if tracker is not None and key is not None:
        host, _, port = tracker.rpartition(":")
        if not host or not port.isdecimal():
            raise TuningError(f"tracker must be HOST:PORT, got {tracker!r}")
        return host, int(port), key
    here = llvm.process_triple().split("-")[0]
    wanted = identity_of(target).architecture
    if here != wanted:
        raise DeviceError(
            f"the target is {wanted} and this machine {here}: give the tracker (HOST:PORT) and the "
            "key of a device"
        )
    return None


@contextmanager
def device_at(place: Device | None) -> Iterator[Device]:
    """A device that is there: at a tracker, or this machine as one."""
    if place is not None:
        require_device(*place)
        yield place
        return
    # As AutoTVM's LocalRunner does, but once for all layers.
    from tvm.rpc.server import Server
    from tvm.rpc.tracker import Tracker

    own = Tracker("127.0.0.1", port=9000, port_end=10000, silent=True)
    address, name = ("127.0.0.1", own.port), f"local-{own.port}"
    server = Server(
        "127.0.0.1", port=9000, port_end=10000, key=name, silent=True, tracker_addr=address
    )
    try:
        yield *address, name
    finally:
        own.terminate()
        server.terminate()


def remark(target: Target, place: Device | None) -> str:
    """Who measures: for people who read the log."""
    where = f"device {place[2]} at a tracker" if place else f"{cpu_model()}, local"
    return f"{identity_of(target)}; {where}; TVM {tvm.__version__}; tvm-deconv {commit() or ''}"
