"""Scripts in processes of their own, each a fork of one that has imported TVM: that takes a second.

Nothing has run there before: TVM's pool has no threads yet.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from paths import TESTS, python_path

# A fork leaves the loop, runs the script and ends as any process does.
_FORKING = """
import importlib, json, os, sys
for name in sys.argv[1:]:
    importlib.import_module(name)
print(flush=True)
for line in sys.stdin:
    request = json.loads(line)
    ends = os.pipe(), os.pipe()
    child = os.fork()
    if child == 0:
        break
    for _, end in ends:
        os.close(end)
    with open(ends[0][0], "rb") as out, open(ends[1][0], "rb") as errors:
        said = [stream.read().decode() for stream in (out, errors)]
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(json.dumps([status, *said]), flush=True)
else:
    sys.exit()
for number, (_, end) in enumerate(ends):
    os.dup2(end, number + 1)
sys.argv[:] = ["-c", *request["arguments"]]
os.environ.update(request["variables"])
exec(compile(request["script"], "script", "exec"), {"__name__": "__main__"})
"""


class Forks:
    """A process that has imported ``modules``; a context manager, it ends with the block."""

    def __init__(self, *modules: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-c", _FORKING, *modules],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": python_path(TESTS)},
            text=True,
        )

    def run(
        self, script: str, *arguments: object, variables: Mapping[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        """What became of a script, as of ``python -c``, with these environment variables besides.

        What it writes to stderr is read when it has ended, so that it may be no more than a pipe
        holds.
        """
        request: dict[str, Any] = {
            "script": script,
            "arguments": list(map(str, arguments)),
            "variables": dict(variables or {}),
        }
        self._process.stdin.write(f"{json.dumps(request)}\n")
        self._process.stdin.flush()
        status, out, errors = json.loads(self._process.stdout.readline())
        return subprocess.CompletedProcess(arguments, status, out, errors)

    def __enter__(self) -> Forks:
        assert self._process.stdout.readline() == "\n", "it did not start"
        return self

    def __exit__(self, *_: object) -> None:
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait()
