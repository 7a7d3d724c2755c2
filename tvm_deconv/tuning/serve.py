"""The processes of ``device.local_device``: TVM's RPC tracker, and its RPC server.

Run as ``python -m tvm_deconv.tuning.serve SOCKET tracker``, or ``... SOCKET server KEY PORT`` with
the tracker's port; SOCKET is the file descriptor of a listening socket on loopback. It ends, with
its children, when its standard input does.

TVM's own commands are not used: ``tvm.exec.rpc_server`` keeps running but serves nobody any more
once a kernel has crashed, and both start a further process that outlives them.
"""

from __future__ import annotations

import logging
import multiprocessing
import os
import secrets
import shutil
import signal
import socket
import sys
import tempfile
import threading
from typing import Any

from tvm_deconv.startup import without_torch

# A session calls this function of the server, where there is one, before it runs a kernel.
USE_THREADS = "tvm_deconv.use_threads"


def main(descriptor: str, role: str, *arguments: str) -> None:
    """Serve until standard input ends."""
    without_torch()
    # Sessions get their folders here: a session that is killed leaves its own behind.
    tempfile.tempdir = folder = tempfile.mkdtemp(prefix="tvm-deconv-")
    threading.Thread(target=_end_with_input, args=(folder,), daemon=True).start()
    listening = socket.socket(fileno=int(descriptor))
    try:
        if role == "tracker":
            _track(listening)
        else:
            _serve(listening, *arguments)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _end_with_input(folder: str) -> None:
    # Not sys.stdin: sessions are forks, and would wait for its lock when they close it.
    while os.read(0, 4096):
        pass
    shutil.rmtree(folder, ignore_errors=True)
    # The group of this process: itself and the sessions that it forked.
    os.killpg(os.getpid(), signal.SIGKILL)


def _track(listening: socket.socket) -> None:
    from tvm.rpc import tracker

    tracker.logger.setLevel(logging.ERROR)
    tracker._tracker_server(listening, stop_key=secrets.token_hex())


def _serve(listening: socket.socket, key: str, tracker_port: str) -> None:
    import tvm_ffi
    from tvm.rpc import server

    from tvm_deconv.threads import use_threads

    # RPC cannot send the list of processors that TVM's own function wants.
    tvm_ffi.register_global_func(USE_THREADS, use_threads)
    # A session is a fork: it costs nothing, and has the function above.
    multiprocessing.set_start_method("fork")
    server.logger.setLevel(logging.ERROR)
    server._serving = _surviving(server._serving)
    host, port = listening.getsockname()
    server._listen_loop(listening, port, key, (host, int(tracker_port)), None, host)


def _surviving(serve_one: Any) -> Any:
    """TVM's server loop ends with an error when the process of a session does: go on instead."""
    home = os.getcwd()

    def serve_and_survive(connection: socket.socket, *others: Any) -> None:
        try:
            serve_one(connection, *others)
        except RuntimeError as error:
            print(error, file=sys.stderr, flush=True)
        finally:
            os.chdir(home)
            connection.close()

    return serve_and_survive


if __name__ == "__main__":
    main(*sys.argv[1:])
