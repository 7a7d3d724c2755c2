"""Finding the device that measures: trackers that are not there, and this machine's own server."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import time
from contextlib import contextmanager, suppress
from functools import partial

import pytest
from paths import python_path
from tvm.rpc import connect_tracker

from tvm_deconv.errors import DeviceError
from tvm_deconv.measure.tracker import TrackerLink
from tvm_deconv.tuning.device import RpcDevice, local_device, served

LOOPBACK = "127.0.0.1"


@contextmanager
def listener(answer):
    """The port of a server that answers every connection once, or not at all, and stays there."""
    with socket.create_server((LOOPBACK, 0)) as listening:

        def serve():
            connection, _ = listening.accept()
            # The client may hang up with something unread, which resets the connection.
            with connection, suppress(ConnectionResetError):
                connection.recv(100)
                if answer is not None:
                    connection.sendall(answer)
                if answer != b"":
                    connection.recv(100)

        server = threading.Thread(target=serve)
        server.start()
        yield listening.getsockname()[1]
        server.join()


def free_port():
    with socket.create_server((LOOPBACK, 0)) as listening:
        return listening.getsockname()[1]


def refusal(device):
    began = time.monotonic()
    with pytest.raises(DeviceError) as caught:
        device.check()
    assert time.monotonic() - began < 10
    text = str(caught.value)
    assert "\n" not in text
    return text


@pytest.fixture(scope="module")
def local():
    with local_device(1) as device:
        yield device


def test_no_tracker_listens_on_the_port():
    port = free_port()
    text = refusal(RpcDevice(LOOPBACK, port, "pi"))
    assert f"no tracker at {LOOPBACK}:{port}" in text and "refused" in text


def test_the_name_of_the_host_is_not_known():
    assert "'tracker.invalid' is not known" in refusal(RpcDevice("tracker.invalid", 9190, "pi"))


@pytest.mark.parametrize(
    "answer, reason",
    [
        (None, "said nothing"),
        (b"", "hung up"),
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "is no TVM RPC tracker"),
    ],
    ids=["silent", "closes", "http"],
)
def test_something_else_listens_on_the_port(answer, reason, monkeypatch):
    impatient = partial(TrackerLink, timeout_s=0.5)
    monkeypatch.setattr("tvm_deconv.tuning.device.TrackerLink", impatient)
    with listener(answer) as port:
        assert reason in refusal(RpcDevice(LOOPBACK, port, "pi"))


def test_the_port_of_a_devices_server_is_no_tracker(local):
    (server,) = connect_tracker(local.host, local.port).summary()["server_info"]
    assert "no TVM RPC tracker" in refusal(RpcDevice(LOOPBACK, server["addr"][1], local.key))


def test_a_wrong_key_lists_those_that_there_are(local):
    text = refusal(RpcDevice(local.host, local.port, "locl"))
    assert "no device with key 'locl': it has local; did you mean 'local'?" in text


def test_a_tracker_without_devices_says_so():
    with served("tracker") as tracker:
        # TVM's client waits until it has started.
        connect_tracker(LOOPBACK, tracker.port).close()
        assert "it has no device at all" in refusal(RpcDevice(LOOPBACK, tracker.port, "pi"))


def test_this_machine_counts_as_one_device(local):
    assert local.check() == 1


def test_the_local_server_uses_the_threads_it_is_asked_for(local):
    session = connect_tracker(local.host, local.port).request(local.key, session_timeout=20)
    assert session.get_function("runtime.NumThreads")() == 1


def is_running(pid):
    """Whether the process is there and no zombie that nobody has waited for yet."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def all_end(pids):
    end = time.monotonic() + 10
    while any(is_running(pid) for pid in pids):
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True


# A tuner with a session open: it says which processes it has, down to the session's, and waits.
TUNER = """
import multiprocessing, os, psutil, signal, time
from tvm.rpc import connect_tracker
from tvm_deconv.tuning.device import local_device
# A shell starts what runs in the background with Ctrl-C ignored.
signal.signal(signal.SIGINT, signal.default_int_handler)
with local_device(1) as device:
    session = connect_tracker(device.host, device.port).request(device.key)
    try:
        print(*(child.pid for child in psutil.Process().children(recursive=True)), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print(device.check(), flush=True)
"""


@contextmanager
def tuner():
    """A tuner in a process group of its own, and the processes that it started."""
    with subprocess.Popen(
        [sys.executable, "-c", TUNER], stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as process:
        try:
            pids = [int(pid) for pid in process.stdout.readline().split()]
            assert len(pids) == 3  # tracker, server, and the fork that serves the session
            yield process, pids
        finally:
            process.kill()


def test_nothing_is_left_of_the_local_device_when_the_tuner_is_killed():
    with tuner() as (process, pids):
        process.kill()
        assert all_end(pids)


def test_ctrl_c_in_the_terminal_leaves_the_local_device_to_the_tuner():
    with tuner() as (process, pids):
        os.killpg(process.pid, signal.SIGINT)
        assert process.stdout.readline() == "1\n"
        assert process.wait(20) == 0
        assert all_end(pids)


def test_the_local_device_ends_with_an_error_in_the_block(tmp_path, monkeypatch):
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    with pytest.raises(ZeroDivisionError), local_device(1) as device:
        assert list(tmp_path.iterdir())
        raise ZeroDivisionError
    assert "refused" in refusal(device)
    assert not list(tmp_path.iterdir())


def test_a_server_that_cannot_start_says_why(tmp_path, monkeypatch):
    (tmp_path / "tornado.py").write_text("raise ImportError('no event loop today')")
    monkeypatch.setenv("PYTHONPATH", python_path(tmp_path))
    with (
        pytest.raises(DeviceError, match=r"cannot start an RPC server .*no event loop today"),
        local_device(1),
    ):
        pass
