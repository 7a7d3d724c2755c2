"""scripts/board.py: it starts one board, ends all of it, and says what is missing."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

import board as emulated
import board_root
import pytest
from board_processes import MARK, processes_of
from conftest import run_board

on_board = pytest.mark.board
linux = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def state(tmp_path):
    """A board's folder; whatever runs in the end is ended."""
    yield tmp_path / "board"
    emulated.stop(tmp_path / "board")


def waits(seconds, done):
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end
        time.sleep(0.05)


@on_board
def test_two_starts_start_one_board_and_stop_ends_all_of_it(board, state):
    first = run_board("start", state)
    assert first.returncode == 0, first.stderr
    (line,) = first.stdout.splitlines()
    started = emulated.read(state)
    assert f"tracker {started.host}:{started.port}, key board" in line
    processes = processes_of(state)

    assert run_board("start", state).stdout == first.stdout
    assert processes_of(state) == processes
    assert started.tracker != board.tracker

    other = run_board("start", state, "--key", "other")
    assert other.returncode == 2
    assert other.stderr.count("\n") == 1
    assert "a board with key board" in other.stderr

    status = run_board("status", state)
    assert (status.returncode, "free" in status.stdout) == (0, True)
    assert run_board("stop", state).stdout == "board: stopped\n"
    assert processes_of(state) == []
    assert run_board("stop", state).stdout == "board: none is up\n"
    assert run_board("status", state).returncode == 1


@on_board
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_start_leaves_no_process(board, state, number, status):
    # A child of a process that ignores Ctrl-C, such as a job in the background, ignores it too.
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    arguments = [sys.executable, emulated.__file__, "start", "--state", str(state)]
    with subprocess.Popen(arguments, stderr=subprocess.PIPE) as process:
        signal.signal(signal.SIGINT, previous)
        waits(60, lambda: (state / "server.log").exists() or process.poll() is not None)
        assert processes_of(state)
        process.send_signal(number)
        _, said = process.communicate(timeout=60)
    assert (process.returncode, said) == (status, b"")
    assert processes_of(state) == []
    assert emulated.read(state) is None


@on_board
def test_a_server_that_does_not_come_up_is_reported_with_its_last_words(board, state):
    result = run_board("start", state, "--cpu", "abacus")
    assert result.returncode == 2
    assert result.stderr.count("\n") == 1
    assert "the server ended" in result.stderr
    assert "unable to find CPU model 'abacus'" in result.stderr
    assert processes_of(state) == []


def test_a_download_that_fails_is_reported_with_the_reason(tmp_path, monkeypatch):
    fake = tmp_path / "debootstrap"
    said = "E: Failed getting release file"
    fake.write_text(f"#!/bin/sh\necho 'I: Retrieving'; echo '{said}'; echo rubbish; exit 1\n")
    fake.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=os.pathsep)
    monkeypatch.setattr(board_root, "_mirror", list)
    with pytest.raises(board_root.BoardError, match=f"cannot be downloaded: {said} \\(all of it"):
        board_root._fill_root(tmp_path, tmp_path / "install.log")


@linux
def test_missing_programs_are_named_with_their_packages(state, monkeypatch, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(emulated, "install", lambda folder: pytest.fail("nothing to install with"))
    with pytest.raises(
        board_root.MissingTools, match=r"apt install qemu-user-static .*gcc-aarch64"
    ):
        emulated.start(state)


def test_a_damaged_description_asks_for_a_stop_which_repairs_it(state):
    state.mkdir()
    (state / "board.json").write_text('{"host": "127.0.0.1"')
    result = run_board("start", state)
    assert (result.returncode, result.stderr.count("\n")) == (2, 1)
    assert "stop it first" in result.stderr
    run_board("stop", state)
    assert emulated.read(state) is None


@linux
def test_stop_ends_processes_of_its_own_folder_only(state, tmp_path):
    state.mkdir()

    def sleeper(folder):
        mark = {MARK: str(folder)}
        return subprocess.Popen(["sleep", "60"], env={**os.environ, **mark})

    own, other = sleeper(state), sleeper(f"{state}2")
    try:
        assert emulated.stop(state)
        assert own.wait(timeout=10) == -signal.SIGKILL
        assert other.poll() is None
    finally:
        other.kill()
        other.wait()
