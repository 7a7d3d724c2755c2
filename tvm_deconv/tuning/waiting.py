"""Waiting for a device: until another tuner has done with it, or until it comes back."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

from tvm_deconv.errors import DeviceError
from tvm_deconv.measure.tracker import Lease, TrackerLink

from .device import RpcDevice

# Seconds between questions: whether the lease has come, and whether there still is a device.
_POLL_S = 0.2
_LOOK_S = 2.0


class _BusyError(DeviceError):
    """A device that is there but taken."""


@dataclass
class Waiting:
    """How long to wait for a device, in seconds, and whom to tell.

    ``busy_s`` is for one that others hold, ``grace_s`` for one that is not there, or whose tracker
    is not. ``report`` gets a line where it takes a while; ``stop`` ends the wait.
    """

    device: RpcDevice
    busy_s: float
    grace_s: float
    stop: threading.Event
    report: Callable[[str], None]

    def lease(self) -> Lease | None:
        """Leave to open a session; None if stopped. Raises DeviceError if there is none in time."""
        gone_since: float | None = None
        while not self.stop.is_set():
            try:
                self.device.check()
                return self._queue()
            except _BusyError:
                raise
            except DeviceError as error:
                if gone_since is None:
                    gone_since = time.monotonic()
                    self.report(f"{error}; waiting up to {self.grace_s:g} s for it to come back")
                if time.monotonic() - gone_since > self.grace_s:
                    raise DeviceError(f"{error}; waited for {self.grace_s:g} s") from error
            self.stop.wait(min(1.0, self.grace_s / 4))
        return None

    def _queue(self) -> Lease | None:
        began = looked = time.monotonic()
        told = False
        with TrackerLink(self.device.host, self.device.port) as tracker:
            tracker.request(self.device.key)
            while not self.stop.is_set():
                lease = tracker.poll_lease(_POLL_S)
                if lease is not None:
                    return lease
                now = time.monotonic()
                if now - began > self.busy_s:
                    raise _BusyError(
                        f"device {self.device.key!r} is busy: another program has held it, or it"
                        f" hangs, for {self.busy_s:g} s"
                    )
                if now - looked > _LOOK_S:
                    # The tracker keeps a request for a device that is gone.
                    self.device.check()
                    looked = now
                    if not told:
                        self.report(f"device {self.device.key!r} is busy: waiting for it")
                        told = True
        return None
