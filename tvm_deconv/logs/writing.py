"""Appending to a log: a line to each file or to none, and one process at a time."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from tvm_deconv.errors import LogError


def append(lines: Sequence[tuple[Path, str]]) -> None:
    """Append a line to each file, in this order, or to none.

    Raises OSError, with the name of the file that could not take its line.
    """
    sizes: list[tuple[Path, int]] = []
    for path, line in lines:
        try:
            with path.open("ab", buffering=0) as file:
                sizes.append((path, file.tell()))
                _write(file.fileno(), line.encode() + b"\n")
        except OSError as error:
            for grown, size in sizes:
                with suppress(OSError):
                    os.truncate(grown, size)
            raise OSError(error.errno, error.strerror, str(path)) from error


def _write(descriptor: int, text: bytes) -> None:
    """Write all of a text: the system may take a part of it, and the error with the rest."""
    while text:
        text = text[os.write(descriptor, text) :]


def lock(folder: Path) -> int:
    """A descriptor of a folder that keeps other tuners out until it is closed.

    Raises LogError if another has it.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise LogError(
            f"another process writes the tuning log {folder}: wait for it, or give another "
            "--device NAME or --logs DIR"
        ) from error
    return descriptor
