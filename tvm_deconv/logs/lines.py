"""Files of one JSON list or object per line, whose last line may be half-written.

A process that is killed, or a disk that is full, leaves a line without its end. A part of a list or
an object is never JSON itself, so such a line is told from one that only lacks the line end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tvm_deconv.errors import LogError, LogWriteError

# Enough for any line: the plain definition of a layer, which is the longest, takes about 70 KB.
_PROBE_BYTES = 1 << 20


@dataclass(frozen=True)
class Lines:
    """What a file holds: its whole lines, in order, and where the last one ends, in bytes.

    ``tail`` is what follows the last line end. If it is whole it stands in ``texts``, too.
    """

    path: Path
    texts: list[bytes]
    end: int
    tail: bytes
    tail_is_whole: bool

    def value(self, line: int) -> Any:
        """The list or object in a line, counted from 1. Raises LogError for a damaged line."""
        value = _parse(self.texts[line - 1])
        if value is None:
            raise LogError(
                f"{self.path}, line {line} is damaged (neither a JSON list nor an object): "
                "restore the file, or remove that line"
            )
        return value

    def numbered(self) -> Iterator[tuple[int, Any]]:
        """Line numbers and values. Raises LogError at a damaged line."""
        for line in range(1, len(self.texts) + 1):
            yield line, self.value(line)

    def repair(self) -> str | None:
        """Make the file end with a whole line, and say in words what was done, if anything.

        Raises LogWriteError where that fails.
        """
        if not self.tail:
            return None
        try:
            if self.tail_is_whole:
                with self.path.open("ab") as file:
                    file.write(b"\n")
                return f"{self.path}: added the end of the last line"
            os.truncate(self.path, self.end)
        except OSError as error:
            raise LogWriteError(f"cannot repair {self.path}: {error.strerror}") from error
        return f"{self.path}: removed a half-written last line of {len(self.tail)} bytes"


def read_lines(path: Path) -> Lines:
    """What a file holds; one that is not there is empty. A half-written last line does not count.

    Raises LogError for a file that cannot be read.
    """
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        text = b""
    except OSError as error:
        raise LogError(f"cannot read {path}: {error.strerror}") from error
    *texts, tail = text.split(b"\n")
    is_whole = _parse(tail) is not None
    return Lines(path, [*texts, tail] if is_whole else texts, len(text) - len(tail), tail, is_whole)


def _parse(line: bytes) -> list[Any] | dict[str, Any] | None:
    try:
        value = json.loads(line)
    except ValueError:
        return None
    return value if isinstance(value, list | dict) else None


@dataclass(frozen=True)
class Growth:
    """Sizes of files at one moment, to see what was appended since, or take it back."""

    sizes: tuple[tuple[Path, int], ...]

    @staticmethod
    def of(paths: Sequence[Path]) -> Growth:
        """From now on. A file that is not there has no bytes."""
        return Growth(tuple((path, path.stat().st_size if path.exists() else 0) for path in paths))

    def rows(self) -> list[list[Any]]:
        """What each file got since. Raises OSError if that is not made of whole lines of JSON.

        For writers that do not tell, such as TVM's: the error is the system's own, if it has one.
        """
        added = []
        for path, before in self.sizes:
            with path.open("rb") as file:
                file.seek(before)
                *lines, tail = file.read().split(b"\n")
            values = [_parse(line) for line in lines]
            if tail or None in values:
                probe(path)
                raise OSError(0, "a line was not written whole", str(path))
            added.append(values)
        return added

    def undo(self) -> None:
        """Cut off what was appended; as far as that is possible."""
        for path, before in self.sizes:
            if path.is_file():
                os.truncate(path, before)


def append(path: Path, line: str) -> None:
    """Append a line to a file. Raises OSError."""
    with path.open("ab", buffering=0) as file:
        _write(file.fileno(), line.encode() + b"\n")


def probe(path: Path) -> None:
    """Raise the OSError that a longer file would meet, if any; the file stays as it is."""
    before = path.stat().st_size
    try:
        with path.open("ab", buffering=0) as file:
            _write(file.fileno(), bytes(_PROBE_BYTES))
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error
    finally:
        os.truncate(path, before)


def _write(descriptor: int, text: bytes) -> None:
    """Write all of a text: the system may take a part of it, and the error with the rest."""
    while text:
        text = text[os.write(descriptor, text) :]
