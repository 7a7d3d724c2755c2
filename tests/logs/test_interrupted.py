"""A full disk or a killed tuner loses nothing of a log."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from forks import Forks
from log_helper import LAYER, candidate, commit, header, small_log
from paths import TESTS, python_path

from tvm_deconv.logs.folder import FILES, LogFolder

# Commits until it cannot; prints the error. What is there before stays.
FILLING = """
import resource, signal, sys
from pathlib import Path
from log_helper import candidate, commit, commit_function, multiplied, header
from tvm_deconv.errors import LogWriteError
from tvm_deconv.logs.folder import LogFolder
root, limit = Path(sys.argv[1]), sys.argv[2]
log = LogFolder.for_tuning(root, header())
if limit.isdigit():
    limit = int(limit)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))
count = 0
try:
    while count < 1000:
        if "function" in sys.argv:
            commit_function(log, multiplied())
        else:
            commit(log, candidate(), 1e-3)
        count += 1
        if limit == "talk":
            print("committed", flush=True)
except LogWriteError as error:
    print(count)
    sys.exit(str(error))
"""


ENVIRONMENT = {**os.environ, "PYTHONPATH": python_path(TESTS)}


@pytest.fixture(scope="module")
def forks():
    with Forks("log_helper") as made:
        yield made


def check_kept(root: Path, count: int, files=("trials.jsonl",)):
    """All that was committed is there, whole, and tuning goes on."""
    with LogFolder.for_tuning(root, header()) as log:
        assert log.repairs == []
        for name in files:
            path = log.path / name
            assert len(path.read_bytes().splitlines() if path.exists() else ()) == count
        commit(log, candidate("tdc"), 1e-3)


@pytest.mark.parametrize("limit", [200, 2_000, 10_000])
def test_a_file_that_may_not_grow_loses_nothing_and_says_so(forks, tmp_path, limit):
    small_log(tmp_path, device="other")
    done = forks.run(FILLING, tmp_path, limit)
    count = int(done.stdout)
    assert done.returncode == 1
    assert "tvm-0.27/trials.jsonl" in done.stderr
    assert f": File too large; {count} trials are kept: free some space and run " in done.stderr
    assert (count > 0) == (limit > 200)
    check_kept(tmp_path, count)


# The lines of a workload, a record and a trial: 11, 0.3 and 0.2 KB.
@pytest.mark.parametrize("limit", [4_000, 80_000])
def test_of_a_function_the_three_files_have_all_or_nothing(forks, tmp_path, limit):
    LogFolder.for_tuning(tmp_path, header()).close()
    done = forks.run(FILLING, tmp_path, limit, "function")
    count = int(done.stdout)
    assert f"tvm-0.27/workloads.json: File too large; {count} trials are kept" in done.stderr
    assert (count > 0) == (limit > 4_000)
    check_kept(tmp_path, count, FILES)


def test_a_full_disk_loses_nothing_and_says_so(tmp_path):
    """A disk of 128 KiB, in a name space of its own."""
    disk, kept = tmp_path / "disk", tmp_path / "kept"
    disk.mkdir()
    if subprocess.run(["unshare", "-rm", "true"], capture_output=True).returncode:
        pytest.skip("no right to mount a small disk here")
    script = (
        'mount -t tmpfs -o size=128k none "$0" || exit 9; kept="$1"; shift; "$@"; code=$?; '
        'cp -r "$0" "$kept"; exit $code'
    )
    inside = ("unshare", "-rm", "sh", "-c", script, str(disk), str(kept))
    command = [*inside, sys.executable, "-c", FILLING, str(disk), "quiet"]
    done = subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT)
    assert done.returncode == 1, done.stderr
    count = int(done.stdout)
    assert count > 3
    assert f": No space left on device; {count} trials are kept: free some " in done.stderr
    check_kept(kept, count)


def test_a_killed_tuner_loses_nothing_that_it_reported(tmp_path):
    command = [sys.executable, "-c", FILLING, str(tmp_path), "talk"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=ENVIRONMENT) as tuner:
        for _ in range(5):
            tuner.stdout.readline()
        time.sleep(0.01)
        tuner.send_signal(signal.SIGKILL)
        said = 5 + sum(line.startswith("committed") for line in tuner.stdout)
    with LogFolder.for_tuning(tmp_path, header()) as log:
        assert len(log.trials_of(LAYER)) in (said, said + 1)
        commit(log, candidate("tdc"), 1e-3)
