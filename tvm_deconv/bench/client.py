"""The benchmark's side of ``worker.py``: one contestant in a process of its own."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import tempfile
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from tvm_deconv.errors import PeerError
from tvm_deconv.measure.rotation import WARM_S

from . import worker
from .files import Files


class Loaded(NamedTuple):
    """What a contestant says when it has loaded a model and run it once."""

    version: str
    load_s: float  # seconds, conversion and first run included
    notes: list[str]
    facts: dict[str, float]  # figures that contestants of ours add, such as planned memory
    load_cpu_share: float  # as in a turn, of repeated calls after the first
    memory: dict[str, int] | None  # if asked for: resident bytes before the load, peak of a run


class Turn(NamedTuple):
    """The times of one turn."""

    ms: list[float]  # milliseconds of each counted call
    cpu_share: float  # CPU seconds of all threads / wall seconds: the threads that were busy


def peer_command(python: Path, peer: str) -> list[str]:
    """The command that runs one of ``worker.PEERS`` with the interpreter of its environment."""
    # -I: nothing of the caller's PYTHONPATH, user packages or this folder gets in.
    return [str(python), "-I", worker.__file__, peer]


class Worker:
    """A running contestant. Use it as a context manager, so that the process ends.

    ``command`` starts a process that calls ``worker.serve``; ``name`` is for messages; ``env`` is
    added to the environment of this process. Every request raises PeerError when the contestant
    refuses it, dies, or says nothing for its time limit (then it is killed, with the processes
    that it started). ``alive`` tells whether it can be asked again.
    """

    def __init__(
        self,
        command: Sequence[str],
        name: str,
        *,
        env: Mapping[str, str] | None = None,
        load_timeout_s: float = 300,
        turn_timeout_s: float = 120,
        close_timeout_s: float = 5,
    ) -> None:
        self.name = name
        self.load_timeout_s = load_timeout_s
        self.turn_timeout_s = turn_timeout_s
        self.close_timeout_s = close_timeout_s
        # The end of what it printed tells why it died; nothing else is done with it.
        self._chatter = tempfile.TemporaryFile()  # noqa: SIM115 - closed by close()
        try:
            self._process = subprocess.Popen(
                list(command),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._chatter,
                env={**os.environ, **(env or {})},
                text=True,
                encoding="utf-8",
                # A group of its own, so that it can be killed with its children and nobody else.
                start_new_session=True,
            )
        except OSError as error:
            self._chatter.close()
            raise PeerError(f"{name} cannot be started: {command[0]}: {error.strerror}") from error

    def load(
        self, files: Files, threads: int, *, profile: Path | None = None, memory: bool = False
    ) -> Loaded:
        """Load the model of ``files``, run it once on the inputs and write the outputs.

        With the contestant's profiler, where ``profile`` is a folder for the files that it makes.
        With ``memory`` it says how much memory a run takes, which is for a process that has loaded
        nothing before.
        """
        reply = self._ask(
            {
                "op": "load",
                "model": str(files.model),
                "inputs": {name: str(file) for name, file in files.inputs.items()},
                "outputs": {name: str(file) for name, file in files.outputs.items()},
                "threads": threads,
                "profile": None if profile is None else str(profile),
                "memory": memory,
            },
            self.load_timeout_s,
        )
        return Loaded(
            reply["version"],
            reply["load_s"],
            reply["notes"],
            reply["facts"],
            reply["cpu_share"],
            reply["memory"],
        )

    def turn(self, calls: int, warm_s: float = WARM_S) -> Turn:
        """Uncounted calls for ``warm_s`` seconds, at least one, then ``calls`` counted ones."""
        request = {"op": "turn", "calls": calls, "warm_s": warm_s}
        reply = self._ask(request, self.turn_timeout_s)
        return Turn(reply["ms"], reply["cpu_share"])

    def kernels(self) -> tuple[list[dict[str, Any]], list[str]]:
        """(Name, layer and milliseconds of each kernel in each counted call, remarks).

        Ends the profile of what was loaded with one.
        """
        reply = self._ask({"op": "kernels"}, self.turn_timeout_s)
        return reply["kernels"], reply["notes"]

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def close(self) -> None:
        """End the process; it may be closed, dead or hanging already."""
        if self.alive:
            try:
                self._send({"op": "close"})
                self._process.wait(timeout=self.close_timeout_s)
            except (OSError, subprocess.TimeoutExpired):
                self._kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            assert stream is not None
            # A broken pipe: a request that the dead process never read.
            with contextlib.suppress(BrokenPipeError):
                stream.close()
        self._chatter.close()

    def __enter__(self) -> Worker:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    def _ask(self, request: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        line, late = "", threading.Event()

        def give_up() -> None:
            late.set()
            self._kill()

        timer = threading.Timer(timeout_s, give_up)
        timer.start()
        try:
            self._send(request)
            assert self._process.stdout is not None
            line = self._process.stdout.readline()
        except OSError:
            pass  # it died before it read the request: no line, as below
        finally:
            timer.cancel()
        what = f"{self.name} ({request['op']})"
        if late.is_set():
            self._process.wait()
            raise PeerError(f"{what} gave no answer in {timeout_s:g} s and was stopped")
        if not line:
            status = self._process.wait()
            raise PeerError(f"{what} died with exit status {status}: {self._last_words()}")
        try:
            reply = json.loads(line)
        except json.JSONDecodeError as error:
            self._kill()
            raise PeerError(f"{what} answered {line.strip()[:80]!r}, which is not JSON") from error
        if not reply["ok"]:
            raise PeerError(f"{what}: {reply['error']}")
        return reply

    def _send(self, request: dict[str, Any]) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()

    def _kill(self) -> None:
        # It may have ended by itself meanwhile.
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)

    def _last_words(self) -> str:
        self._chatter.seek(0)
        lines = self._chatter.read().decode("utf-8", "replace").split("\n")
        return next((line.strip() for line in reversed(lines) if line.strip()), "it said nothing")
