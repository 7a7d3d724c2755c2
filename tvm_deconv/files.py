"""Writing a result where it was asked for: all of it or nothing, and refused before the work."""

from __future__ import annotations

import errno
import json
import math
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tvm_deconv.errors import OutputError

# What a device says that takes no more, to whatever writes to it.
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}


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
    try:
        folder = tempfile.TemporaryDirectory(dir=final.parent, prefix=".tvm-deconv-")
    except OSError as error:
        raise OutputError(f"cannot write {final}: {final.parent}: {error.strerror}") from error
    with folder as name:
        unfinished = Path(name) / final.name
        try:
            yield unfinished
        except OSError as error:
            if error.errno not in _FULL:
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
