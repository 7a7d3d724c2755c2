"""Files of one JSON list or object per line, whose last line may be half-written.

A process that is killed, or a disk that is full, leaves a line without its end. A part of a list or
an object is never JSON itself, so such a line is told from one that only lacks the line end.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from tvm_deconv.errors import LogError, LogWriteError

T = TypeVar("T")


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

    def read(self, line: int, interpret: Callable[[Any], T]) -> T:
        """What ``interpret`` makes of the value in a line; its LogError gets file and line, too."""
        value = self.value(line)
        try:
            return interpret(value)
        except LogError as error:
            raise LogError(f"{self.path}, line {line}: {error}") from error

    def read_all(self, interpret: Callable[[Any], T]) -> list[T]:
        """``read`` of all lines."""
        return [self.read(line, interpret) for line in range(1, len(self.texts) + 1)]

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
