"""Worker processes: one that dies, hangs or has taken many cases is replaced."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from . import outcome as kinds
from .outcome import Outcome

# Seconds of processor time that a case may take; on the clock it may take longer, because others
# may want the processors, but not for ever.
HANG_SECONDS, CLOCK_SECONDS = 60.0, 300.0
_START_SECONDS = 180.0
_CASES_PER_WORKER = 300
# Steps in which ONNX Runtime or PyTorch run and nothing of ours.
_NOT_OURS = ("make", "reference")
_TESTS = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class Result:
    """What became of a case; ``seconds`` of processor time, ``noise`` is what stderr got.

    ``facts`` are what else its family has to say.
    """

    outcome: Outcome
    seconds: float = 0.0
    choices: list[int] = field(default_factory=list)
    spans: list[tuple[int, int]] = field(default_factory=list)
    text: str = ""
    noise: str = ""
    facts: dict[str, Any] = field(default_factory=dict)


class Worker:
    """A process that takes one case after the other, and a new one where it has ended.

    ``module`` is imported there: its ``take`` runs a case.
    """

    def __init__(self, module: str = "fuzz.take") -> None:
        self._module = module
        self._process: subprocess.Popen[bytes] | None = None
        self._log = Path(tempfile.mkstemp(prefix="fuzz-", suffix=".log")[1])
        self._taken = 0
        self._read = b""

    def run(self, request: Mapping[str, Any], hang_seconds: float = HANG_SECONDS) -> Result:
        """The result of one case; ``request`` is what ``take`` gets."""
        if self._process is None or self._taken >= _CASES_PER_WORKER:
            self._start()
        assert self._process is not None
        assert self._process.stdin is not None
        self._taken += 1
        begun, clock, step = self._processor_seconds(), time.monotonic(), "start"
        self._process.stdin.write(json.dumps(request).encode() + b"\n")
        self._process.stdin.flush()
        while True:
            line = self._line(1.0)
            seconds = self._processor_seconds() - begun
            late = seconds > hang_seconds or time.monotonic() - clock > CLOCK_SECONDS
            if line is None and not late:
                continue
            if not line:
                ended = self._hangs(step, seconds) if line is None else self._died(step, seconds)
                if step == "reference" and not request.get("no_reference"):
                    # ONNX Runtime ends of some damaged models; now without it.
                    return self.run({**request, "no_reference": True}, hang_seconds)
                return ended
            said = json.loads(line)
            if "step" in said:
                step = said["step"]
                continue
            outcome = Outcome(**said.pop("outcome"))
            return Result(outcome, seconds, **said)

    def close(self) -> None:
        """End the process."""
        self._end()
        self._log.unlink(missing_ok=True)

    def _start(self) -> None:
        self._end()
        # The workers need PyTorch, which other processes of the tests do without.
        others = os.environ.get("PYTHONPATH", "").split(os.pathsep)
        wanted = [path for path in others if path and Path(path) != _TESTS / "without_torch"]
        path = os.pathsep.join([str(_TESTS), *wanted])
        environment = {
            **os.environ,
            "PYTHONPATH": path,
            "TVM_DECONV_LOGS": "none",
            "TVM_NUM_THREADS": "2",
            # malloc fills what it gives out with 0x7F: 3e38 in float32, NaN in float16. Larger
            # blocks come from the kernel, all zero, unless malloc is told to keep them, too.
            "MALLOC_PERTURB_": "128",
            "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
        }
        self._process = subprocess.Popen(
            [sys.executable, "-m", "fuzz.worker", str(self._log), self._module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
            start_new_session=True,
        )
        self._taken, self._read = 0, b""
        begun = time.monotonic()
        while (line := self._line(1.0)) is None:
            if time.monotonic() - begun > _START_SECONDS:
                break
        if not line:
            said = self._log.read_text(encoding="utf-8", errors="replace")
            self._end()
            raise RuntimeError(f"a worker does not start: {said[-2000:]}")

    def _line(self, timeout: float) -> bytes | None:
        """The next line, empty at the end of the process, None where there is none yet."""
        assert self._process is not None
        assert self._process.stdout is not None
        descriptor = self._process.stdout.fileno()
        while b"\n" not in self._read:
            if not select.select([descriptor], [], [], timeout)[0]:
                return None
            part = os.read(descriptor, 1 << 16)
            if not part:
                return b""
            self._read += part
        line, _, self._read = self._read.partition(b"\n")
        return line

    def _hangs(self, step: str, seconds: float) -> Result:
        self._end()
        kind = kinds.INVALID if step in _NOT_OURS else kinds.HANG
        return Result(Outcome(kind, f"hangs in step {step}"), seconds)

    def _died(self, step: str, seconds: float) -> Result:
        assert self._process is not None
        status = self._process.wait()
        how = signal.Signals(-status).name if status < 0 else f"exit status {status}"
        said = self._log.read_text(encoding="utf-8", errors="replace")
        self._end()
        message = f"{how} in step {step}: {_last_words(said)}"
        kind = kinds.INVALID if step in _NOT_OURS else kinds.ABORT
        return Result(Outcome(kind, message, said[-3000:]), seconds)

    def _end(self) -> None:
        if self._process is None:
            return
        self._process.kill()
        self._process.wait()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                stream.close()
        self._process = None

    def _processor_seconds(self) -> float:
        """Processor time of the process so far."""
        assert self._process is not None
        try:
            text = Path(f"/proc/{self._process.pid}/stat").read_text(encoding="ascii")
        except OSError:
            return 0.0
        fields = text.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _last_words(said: str) -> str:
    """The line that says why, of what a dying process wrote."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    signs = (
        "terminate",
        "what()",
        "LLVM ERROR",
        "Assertion",
        "Check failed",
        "corrupt",
        "free()",
        "Fatal",
    )
    telling = [line for line in lines[-60:] if any(sign in line for sign in signs)]
    return (telling or lines or [""])[-1][:200]
