"""Writing a result where it was asked for: all of it or nothing, and refused before the work."""

from __future__ import annotations

import errno
import json
import math
import os
import secrets
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

from tvm_deconv.errors import OutputError

# What a device says that takes no more, to whatever writes to it.
FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


@contextmanager
def temporary_folder(
    parent: str | os.PathLike | None = None, *, hidden: bool = False
) -> Iterator[Path]:
    """A new folder in ``parent`` (by default where the system keeps such), gone behind the block.

    Also where a signal raises while the folder is made or removed, which ``tempfile`` leaves.
    Raises OSError if it cannot be made.
    """
    name = f"{'.' * hidden}tvm-deconv-{secrets.token_hex(8)}"
    folder = Path(parent or tempfile.gettempdir(), name)
    with ExitStack() as stack:
        # The second removes what the first leaves when it is interrupted.
        for _ in range(2):
            stack.callback(shutil.rmtree, folder, ignore_errors=True)
        folder.mkdir(mode=0o700)
        yield folder


@contextmanager
def replacing(path: str | os.PathLike) -> Iterator[Path]:
    """A path to write to, in a new folder beside ``path``, that becomes ``path`` on success.

    Whatever ``path`` held stays as it was if the block raises; a link keeps pointing where it
    does, and its target is replaced. Raises OutputError at once if ``path`` is a folder, a device
    or a pipe, or lies in a folder that cannot be written to, and where the block ends since the
    disk is full.
    """
    final = Path(os.path.realpath(path))
    if final.is_dir():
        raise OutputError(f"cannot write {final}: it is a folder")
    if final.exists() and not final.is_file():
        raise OutputError(f"cannot write {final}: it is not a regular file, give a new name")
    with ExitStack() as stack:
        try:
            folder = stack.enter_context(temporary_folder(final.parent, hidden=True))
        except OSError as error:
            raise OutputError(f"cannot write {final}: {final.parent}: {error.strerror}") from error
        unfinished = folder / final.name
        try:
            yield unfinished
        except OSError as error:
            if error.errno not in FULL:
                raise
            raise OutputError(f"cannot write {final}: {os.strerror(error.errno)}") from error
        try:
            os.replace(unfinished, final)
        except OSError as error:
            raise OutputError(f"cannot write {final}: {error.strerror}") from error


def write_json(path: str | os.PathLike, value: Any) -> None:
    """Replace a file by ``value``; numbers that JSON lacks, such as infinity, become null.

    Raises OutputError as ``replacing`` does.
    """
    text = json.dumps(_finite(value), indent=1, allow_nan=False)
    with replacing(path) as unfinished:
        unfinished.write_text(text + "\n", encoding="utf-8")


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _finite(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(each) for each in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
