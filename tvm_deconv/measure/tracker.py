"""A client of TVM's RPC tracker that never waits longer than it was told.

TVM's own (``tvm.rpc.connect_tracker``) retries for a minute and waits for an answer for ever.
The protocol is TVM's: ``tvm/rpc/tracker.py``.
"""

from __future__ import annotations

import select
import socket
import struct
from types import TracebackType
from typing import Any, NamedTuple

from tvm.rpc import base

from tvm_deconv.errors import DeviceError


class Lease(NamedTuple):
    """Leave to open one session: where the device's server is, and the key for it."""

    host: str
    port: int
    match_key: str


class TrackerLink:
    """One connection to the tracker; use it as a context manager.

    Every method raises DeviceError where nothing answers within ``timeout_s`` seconds, or what
    answers is no tracker.
    """

    def __init__(self, host: str, port: int, timeout_s: float = 3.0) -> None:
        self._name = f"{host}:{port}"
        self._timeout_s = timeout_s
        self._socket = self._connect(host, port)
        try:
            self._shake_hands()
        except BaseException:
            self._socket.close()
            raise

    def __enter__(self) -> TrackerLink:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._socket.close()

    def _connect(self, host: str, port: int) -> socket.socket:
        try:
            return socket.create_connection((host, port), timeout=self._timeout_s)
        except TimeoutError as error:
            reason = f"no answer within {self._timeout_s:g} s"
            raise DeviceError(f"no tracker at {self._name}: {reason}") from error
        except socket.gaierror as error:
            reason = f"the name {host!r} is not known"
            raise DeviceError(f"no tracker at {self._name}: {reason}") from error
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or str(error)
            raise DeviceError(
                f"no tracker at {self._name}: {reason}; start one with"
                " 'python -m tvm.exec.rpc_tracker'"
            ) from error

    def _shake_hands(self) -> None:
        try:
            self._socket.sendall(struct.pack("<i", base.RPC_TRACKER_MAGIC))
            (magic,) = struct.unpack("<i", base.recvall(self._socket, 4))
        except TimeoutError as error:
            raise DeviceError(
                f"what listens at {self._name} said nothing for {self._timeout_s:g} s:"
                " it is no TVM RPC tracker, or it hangs"
            ) from error
        except OSError as error:
            raise DeviceError(
                f"what listens at {self._name} hung up: it is no TVM RPC tracker"
                " (give the tracker's port, not that of a device's server)"
            ) from error
        if magic != base.RPC_TRACKER_MAGIC:
            raise DeviceError(f"what listens at {self._name} is no TVM RPC tracker")

    def keys(self) -> list[str]:
        """The key of each device that is connected to the tracker, busy or not."""
        answer = self._ask([base.TrackerCode.SUMMARY])
        return [device["key"].removeprefix("server:") for device in answer["server_info"]]

    def request(self, key: str) -> None:
        """Queue for the next free device with this key; ``poll_lease`` says when there is one."""
        self._send([base.TrackerCode.REQUEST, key, "", 1])

    def poll_lease(self, wait_s: float) -> Lease | None:
        """What was asked for with ``request``, or None if it has not come within ``wait_s``."""
        ready, _, _ = select.select([self._socket], [], [], wait_s)
        return Lease(*self._receive()) if ready else None

    def _ask(self, message: list[Any]) -> Any:
        self._send(message)
        return self._receive()

    def _send(self, message: list[Any]) -> None:
        try:
            base.sendjson(self._socket, message)
        except OSError as error:
            raise self._gone(error) from error

    def _receive(self) -> Any:
        try:
            code, answer = base.recvjson(self._socket)
        except (OSError, ValueError, TypeError) as error:
            raise self._gone(error) from error
        if code != base.TrackerCode.SUCCESS:
            raise DeviceError(f"the tracker at {self._name} refused the request: {answer}")
        return answer

    def _gone(self, error: Exception) -> DeviceError:
        return DeviceError(f"the tracker at {self._name} does not answer any more: {error}")
