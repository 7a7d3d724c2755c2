"""An emulated ARM board on this machine: TVM's own RPC server for aarch64, under qemu.

    make board              # or: python scripts/board.py start
    make board ARGS=status
    make board ARGS=stop

`start` installs what the board is made of into build/board, starts a TVM RPC tracker and the RPC
server on free ports of the loopback device, and waits until the tracker lists the server; a board
that is up already is left alone. Results of kernels that run there are right; times mean nothing.
Whoever can connect to the two ports can run code as you: they are open to this machine only.

The folder --state holds board.json, which says where the tracker is, the logs of the two programs
and what the board writes. Every process of a board carries that folder in its environment, and
`stop` ends those that do and no others.

Exit status: 0; 1 from `status` where no board is up; 2 for an error, with one line on stderr.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import shutil
import signal
import socket
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from board_processes import MARK, end, launch, processes_of
from board_root import BoardError, check_tools, install, python_of

ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "build" / "board"
HOST = "127.0.0.1"


@dataclass(frozen=True)
class Board:
    """A board that came up, as board.json describes it: ask the tracker host:port for `key`.

    `leaders` are the processes of tracker and server. Each has a child that does the work, and ends
    when that does.
    """

    host: str
    port: int
    key: str
    cpu: str
    threads: int
    leaders: list[int]

    @property
    def tracker(self) -> str:
        return f"{self.host}:{self.port}"


def start(
    state: Path = FOLDER, key: str = "board", cpu: str = "cortex-a72", threads: int = 2
) -> Board:
    """Install what is missing and start a board, or find the one of the folder `state`.

    `cpu` is qemu's name of the processor: an instruction that it lacks ends the kernel. `threads`
    is how many a kernel uses there. Raises BoardError; whatever happens, a board that is not up
    when this ends leaves no process.
    """
    state = state.resolve()
    with _locked(state):
        board = read(state)
        if board and is_alive(board, state):
            if (board.key, board.cpu, board.threads) != (key, cpu, threads):
                raise BoardError(
                    f"a board with key {board.key}, {board.cpu} and {board.threads} threads is up: "
                    "stop it first"
                )
            return board
        # What a start that was killed has left, or a board that died in part.
        end(state)
        check_tools()
        with _locked(FOLDER / "installing"):
            install(FOLDER)
        try:
            board = _bring_up(state, key, cpu, threads)
            _file(state).write_text(json.dumps(asdict(board), indent=1) + "\n")
        except BaseException:
            end(state)
            raise
        return board


def stop(state: Path = FOLDER) -> bool:
    """End the board of the folder `state`, and forget it; False where there is none."""
    state = state.resolve()
    if not state.is_dir():
        return False
    with _locked(state):
        was_there = end(state)
        _file(state).unlink(missing_ok=True)
        shutil.rmtree(state / "tmp", ignore_errors=True)
    return was_there


def read(state: Path = FOLDER) -> Board | None:
    """The board that was started last in the folder `state`, up or not, unless it was stopped."""
    try:
        return Board(**json.loads(_file(state).read_text()))
    except FileNotFoundError:
        return None
    except (TypeError, ValueError) as error:
        raise BoardError(f"{_file(state)} describes no board ({error}): stop it first") from error


def is_alive(board: Board, state: Path = FOLDER) -> bool:
    """Whether tracker and server still run."""
    return {*board.leaders} <= {*processes_of(state)}


def _bring_up(state: Path, key: str, cpu: str, threads: int) -> Board:
    """Start tracker and server, and wait until the one lists the other."""
    shutil.rmtree(state / "tmp", ignore_errors=True)
    (state / "tmp").mkdir()
    port, server_port = _free_ports(2)
    mark, address = {MARK: str(state)}, f"{HOST}:{port}"

    command = [sys.executable, "-m", "tvm.exec.rpc_tracker", *_bind(port)]
    log, environment = state / "tracker.log", {**os.environ, **mark}
    tracker = launch(command, log, environment, lambda: _is_open(port))

    command = [str(python_of(FOLDER)), "-m", "tvm.exec.rpc_server", *_bind(server_port)]
    command += ["--tracker", address, "--key", key]
    # Nothing of this machine's: neither PYTHONPATH nor LD_PRELOAD would suit.
    environment = {
        "HOME": str(state),
        "PATH": os.environ.get("PATH", os.defpath),
        "PYTHONPATH": str(FOLDER / "site"),
        "QEMU_CPU": cpu,
        "TMPDIR": str(state / "tmp"),
        "TVM_NUM_THREADS": str(threads),
        **mark,
    }
    server = launch(command, state / "server.log", environment, lambda: _is_listed(port, key))
    return Board(HOST, port, key, cpu, threads, [tracker, server])


def _bind(port: int) -> list[str]:
    return ["--host", HOST, "--port", str(port), "--port-end", str(port + 1)]


def _is_open(port: int) -> bool:
    try:
        socket.create_connection((HOST, port), timeout=1).close()
    except OSError:
        return False
    return True


def _is_listed(port: int, key: str) -> bool:
    # `stop` works without TVM.
    try:
        from tvm import rpc
    except ImportError as error:
        raise BoardError(f"{sys.prefix} cannot import TVM ({error}): use make board") from error

    queues = rpc.connect_tracker(HOST, port).summary()["queue_info"]
    return queues.get(key, {}).get("free", 0) > 0


def _free_ports(count: int) -> list[int]:
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind((HOST, 0))
        return [one.getsockname()[1] for one in sockets]


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """Only one start or stop at a time; the next waits."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _file(state: Path) -> Path:
    return state / "board.json"


def _start(options: argparse.Namespace) -> int:
    board = start(options.state, options.key, options.cpu, options.threads)
    print(
        f"board: tracker {board.tracker}, key {board.key} ({board.cpu}, {board.threads} threads): "
        f"give a tuner --tracker {board.tracker} --key {board.key}; make board ARGS=stop ends it"
    )
    return 0


def _stop(options: argparse.Namespace) -> int:
    print("board: stopped" if stop(options.state) else "board: none is up")
    return 0


def _status(options: argparse.Namespace) -> int:
    board = read(options.state)
    if board is None or not is_alive(board, options.state):
        print("board: none is up")
        return 1
    use = "free" if _is_listed(board.port, board.key) else "in use"
    print(f"board: {use}, tracker {board.tracker}, key {board.key}, processes", end=" ")
    print(*processes_of(options.state))
    return 0


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "command",
        choices=(commands := {"start": _start, "stop": _stop, "status": _status}),
        help="start is idempotent",
    )
    parser.add_argument("--state", type=Path, default=FOLDER, help="default: build/board")
    parser.add_argument("--key", default="board", help="the tracker's name for it (%(default)s)")
    parser.add_argument("--cpu", default="cortex-a72", help="qemu's name of it (%(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of a kernel (%(default)s)")
    options = parser.parse_args(arguments)
    # As Ctrl-C does: end what was started.
    signal.signal(signal.SIGTERM, lambda number, _frame: sys.exit(128 + number))
    try:
        return commands[options.command](options)
    except BoardError as error:
        print(f"board: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main())
