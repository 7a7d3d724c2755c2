"""The device that measures: found through a TVM RPC tracker, or started on this machine."""

from __future__ import annotations

import contextlib
import difflib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import BinaryIO, NamedTuple

from tvm_deconv.errors import DeviceError
from tvm_deconv.measure.tracker import TrackerLink

from . import serve

_LOOPBACK = "127.0.0.1"
_LOCAL_KEY = "local"
# Importing TVM takes seconds, on a busy machine more.
_START_S = 60.0
_END_S = 5.0


@dataclass(frozen=True)
class RpcDevice:
    """Devices registered with a tracker under one key; any of them may measure."""

    host: str
    port: int
    key: str

    def check(self) -> int:
        """How many such devices the tracker has, busy ones included: at least 1.

        Raises DeviceError, within seconds, if there is no tracker, or none with this key.
        """
        with TrackerLink(self.host, self.port) as tracker:
            keys = tracker.keys()
        if self.key not in keys:
            raise DeviceError(
                f"the tracker at {self.host}:{self.port} has no device with key {self.key!r}: "
                + _there_are(keys, self.key)
            )
        return keys.count(self.key)


def _there_are(keys: list[str], wanted: str) -> str:
    if not keys:
        return "it has no device at all; start the device's RPC server"
    close = difflib.get_close_matches(wanted, keys, 1)
    hint = f"; did you mean {close[0]!r}?" if close else ""
    return f"it has {', '.join(sorted(set(keys)))}{hint}"


@contextlib.contextmanager
def local_device(threads: int) -> Iterator[RpcDevice]:
    """This machine as a device: an RPC server, whose kernels use ``threads``, and its tracker.

    Both are processes of their own on loopback, which no Ctrl-C in the terminal reaches; they end
    with the block, or when this process dies. Raises DeviceError if they cannot be started.
    """
    with served("tracker") as tracker:
        device = RpcDevice(_LOOPBACK, tracker.port, _LOCAL_KEY)
        with served("server", device.key, str(device.port), TVM_NUM_THREADS=str(threads)) as server:
            wait_for(device, tracker, server)
            yield device


class Served(NamedTuple):
    """A process of ``serve``."""

    process: subprocess.Popen
    port: int
    chatter: BinaryIO  # what it printed: tells why it ended


@contextlib.contextmanager
def served(*arguments: str, **environment: str) -> Iterator[Served]:
    """A process of ``serve`` on loopback, ended with the block.

    ``arguments`` are ``serve``'s after the socket; ``environment`` is added to this process's.
    """
    with tempfile.TemporaryFile() as chatter:
        # Listening before it starts: the port is known, and is nobody else's. Only the process
        # keeps it, so that connections are refused when it is gone.
        with socket.create_server((_LOOPBACK, 0)) as listening:
            process = subprocess.Popen(
                [sys.executable, "-m", serve.__name__, str(listening.fileno()), *arguments],
                # It ends when this pipe does, and the pipe with this process however that ends.
                stdin=subprocess.PIPE,
                stdout=chatter,
                stderr=chatter,
                pass_fds=[listening.fileno()],
                # They compile nothing; without TVM's compiler they start in half the time.
                env={**os.environ, "TVM_USE_RUNTIME_LIB": "1", **environment},
                # A group of its own, which Ctrl-C does not reach; it ends its children with it.
                start_new_session=True,
            )
            port = listening.getsockname()[1]
        try:
            yield Served(process, port, chatter)
        finally:
            assert process.stdin is not None
            process.stdin.close()
            try:
                process.wait(_END_S)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def wait_for(device: RpcDevice, *needed: Served) -> None:
    """Until the device's tracker has it. Raises DeviceError if a needed process ended instead."""
    end = time.monotonic() + _START_S
    while True:
        for one in needed:
            if one.process.poll() is not None:
                one.chatter.seek(0)
                said = one.chatter.read().decode(errors="replace").strip().splitlines()
                why = said[-1] if said else f"exit status {one.process.returncode}"
                raise DeviceError(f"cannot start an RPC server on this machine: {why}")
        try:
            device.check()
            return
        except DeviceError as error:
            if time.monotonic() > end:
                raise DeviceError(f"cannot start an RPC server on this machine: {error}") from error
        time.sleep(0.1)
