"""Where compiled cases run: here, or under qemu as an ARM board of the scripts would.

``make fuzz ARGS="--board cortex-a53"`` sets ``FUZZ_BOARD`` for the workers: cases are then compiled
into libraries for that core, and run by TVM's runtime for aarch64. The processor is qemu's: an
instruction that the core lacks ends it, which is a fault like any other.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import weakref
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from paths import ROOT, TESTS

from .outcome import Outcome

VARIABLE = "FUZZ_BOARD"
FOLDER = ROOT / "build" / "board"
CORES = ("generic", "cortex-a53", "cortex-a55", "cortex-a72", "cortex-a76", "neoverse-n1")
# qemu 7.2 has no A55; an A76 has the same instructions. What is for any core runs on the oldest.
_CPUS = {"generic": "cortex-a53", "cortex-a55": "cortex-a76"}
_THREADS = 2


def install() -> None:
    """Make what a board consists of, once. Raises ``board_root.BoardError``."""
    sys.path.insert(0, str(ROOT / "scripts"))
    import board_root

    board_root.check_tools()
    board_root.install(FOLDER)


def core() -> str | None:
    """The core that cases are compiled for, if it is not this processor."""
    return os.environ.get(VARIABLE)


def runs(wanted: Any) -> bool:
    """Whether a case of this target is run on the board: all but those that name a machine."""
    return core() is not None and (not isinstance(wanted, str) or wanted == "host")


def target() -> dict[str, Any]:
    """The target of ``core``."""
    cpu = {} if core() == "generic" else {"mcpu": core()}
    return {"kind": "llvm", "mtriple": "aarch64-linux-gnu", "num-cores": _THREADS, **cpu}


class BoardDied(Exception):
    """The emulated process has ended, of a signal for example."""


class OnBoard:
    """A library for the board, of a network or of a ``kernel``: its file goes with this object."""

    def __init__(self, kernel: bool = False) -> None:
        self._kernel = kernel
        self._folder = Path(tempfile.mkdtemp(prefix="fuzz-"))
        weakref.finalize(self, shutil.rmtree, self._folder, ignore_errors=True)

    @property
    def path(self) -> Path:
        """Where the library is, or has to be written."""
        return self._folder / "network.so"

    def run(self, arrays: Sequence[np.ndarray]) -> Any:
        """As ``execution.run_guarded`` or ``run_kernel``; BoardDied where it ended the board."""
        inputs, outputs = self._folder / "in.npz", self._folder / "out.npz"
        np.savez(inputs, *arrays)
        paths = {"library": self.path, "inputs": inputs, "outputs": outputs}
        request = {**{name: str(path) for name, path in paths.items()}, "kernel": self._kernel}
        try:
            answer = _process().ask(request)
        except BoardDied as died:
            return died
        if "outcome" in answer:
            return Outcome(**answer["outcome"])
        if "error" in answer:
            return RuntimeError(answer["error"])
        with np.load(outputs) as file:
            return [file[f"arr_{i}"] for i in range(answer["count"])]


def close() -> None:
    """End the board's process, if there is one."""
    if _process.cache_info().currsize:
        _process().end()


class _Process:
    """The board's Python, which serves one library after the other."""

    def __init__(self) -> None:
        name = core()
        assert name is not None
        environment = {
            "HOME": tempfile.gettempdir(),
            "PATH": os.environ.get("PATH", os.defpath),
            "PYTHONPATH": os.pathsep.join(map(str, (FOLDER / "site", TESTS, ROOT))),
            "PYTHONDONTWRITEBYTECODE": "1",
            "QEMU_CPU": _CPUS.get(name, name),
            "TVM_NUM_THREADS": str(_THREADS),
            "MALLOC_PERTURB_": "128",
        }
        command = [FOLDER / "root/usr/bin/python3", "-m", "fuzz.board_main"]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment,
        )
        self._answer()

    def ask(self, request: dict[str, Any]) -> dict[str, Any]:
        """Raises BoardDied."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(request) + "\n")
        self._process.stdin.flush()
        return self._answer()

    def _answer(self) -> dict[str, Any]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise BoardDied(f"the board ended with status {self.end()}")
        return json.loads(line)

    def end(self) -> int:
        """The exit status of the process, which ends with its input."""
        _process.cache_clear()
        self._process.communicate()
        return self._process.returncode


_process = cache(_Process)
