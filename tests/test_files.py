"""Writing results: all or nothing, and never over what is not a file."""

from __future__ import annotations

import errno
import os
import shutil
from pathlib import Path

import pytest

from tvm_deconv.errors import OutputError
from tvm_deconv.files import replacing


def test_a_pipe_is_refused_and_stays_a_pipe(tmp_path):
    pipe = tmp_path / "pipe.png"
    os.mkfifo(pipe)
    with pytest.raises(OutputError, match=r"pipe\.png: it is not a regular file"), replacing(pipe):
        pytest.fail("nothing may be written")
    assert pipe.is_fifo()


def test_a_device_is_refused():
    with pytest.raises(OutputError, match="not a regular file"), replacing(os.devnull):
        pytest.fail("nothing may be written")


def test_a_link_keeps_pointing_and_its_target_is_replaced(tmp_path):
    target, link = tmp_path / "real.so", tmp_path / "link.so"
    target.write_text("old")
    link.symlink_to(target)
    with replacing(link) as unfinished:
        unfinished.write_text("new")
    assert link.is_symlink() and target.read_text() == "new"


def test_what_was_there_stays_if_the_work_fails(tmp_path):
    target = tmp_path / "result.so"
    target.write_text("old")
    with pytest.raises(RuntimeError, match="halfway"), replacing(target) as unfinished:
        unfinished.write_text("ne")
        raise RuntimeError("halfway")
    assert target.read_text() == "old"
    assert [p.name for p in tmp_path.iterdir()] == ["result.so"]


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EFBIG])
def test_a_full_disk_is_one_line_whatever_writes(number, tmp_path):
    path = tmp_path / "plot.svg"
    words = f"cannot write {path}: {os.strerror(number)}"
    with pytest.raises(OutputError, match=words), replacing(path):
        raise OSError(number, "from within a library")
    assert not list(tmp_path.iterdir())


def test_another_error_of_the_system_is_not_taken_for_a_full_disk(tmp_path):
    with pytest.raises(FileNotFoundError), replacing(tmp_path / "out"):
        (tmp_path / "missing").read_bytes()


@pytest.mark.parametrize("interrupted", ["mkdir", "rmtree"])
def test_a_signal_while_its_folder_is_made_or_removed_leaves_nothing(
    interrupted, monkeypatch, tmp_path
):
    owner = Path if interrupted == "mkdir" else shutil
    original = getattr(owner, interrupted)

    signals = [KeyboardInterrupt]

    def interrupting(*arguments, **keywords):
        if interrupted == "mkdir" or not signals:
            original(*arguments, **keywords)
        if signals:
            raise signals.pop()

    monkeypatch.setattr(owner, interrupted, interrupting)
    with pytest.raises(KeyboardInterrupt), replacing(tmp_path / "library.so") as unfinished:
        unfinished.write_bytes(b"half")

    assert not [path for path in tmp_path.iterdir() if path.name != "library.so"]
