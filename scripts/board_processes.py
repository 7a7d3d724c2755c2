"""The processes of an emulated board: started to outlive us, found again, ended.

Each carries the folder of its board in its environment, as its children do. So none is missed that
was started and not noted down, and no other process is taken for one because it got its number.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from board_root import BoardError

MARK = "TVM_DECONV_BOARD_OF"
# A server takes 8 s on an idle machine, for its imports are emulated.
PATIENCE_S = 120


def processes_of(state: Path) -> list[int]:
    """Those that carry the folder in their environment; a zombie has none."""
    entry, found = f"{MARK}={state.resolve()}".encode(), []
    for path in Path("/proc").glob("[0-9]*/environ"):
        # Processes of others cannot be read, and any may end meanwhile.
        with suppress(OSError):
            if entry in path.read_bytes().split(b"\0"):
                found.append(int(path.parent.name))
    return found


def end(state: Path) -> bool:
    """Kill every process of the folder's board and those they start meanwhile; whether any was.

    Raises BoardError if one does not end.
    """
    found = processes = processes_of(state)
    deadline = time.monotonic() + 10
    while processes:
        if time.monotonic() > deadline:
            raise BoardError(f"processes {processes} of the board do not end")
        for process in processes:
            with suppress(ProcessLookupError):
                os.kill(process, signal.SIGKILL)
        time.sleep(0.02)
        processes = processes_of(state)
    return bool(found)


def launch(
    command: list[str], log: Path, environment: dict[str, str], is_up: Callable[[], bool]
) -> int:
    """Start a program that outlives us, and wait until it is up; its process."""
    with log.open("w") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=log.parent,
            env=environment,
            start_new_session=True,
        )
    deadline = time.monotonic() + PATIENCE_S
    while not is_up():
        late = time.monotonic() > deadline
        if late or process.poll() is not None:
            how = f"is not up after {PATIENCE_S} s" if late else "ended"
            lines = log.read_text(errors="replace").split("\n")[-4:]
            said = " / ".join(line.strip() for line in lines if line.strip()) or "nothing"
            raise BoardError(f"the {log.stem} {how}; {log} ends with: {said}")
        time.sleep(0.1)
    return process.pid
