"""Files with something wrong: refused in one line, or right where it does not matter."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

import numpy as np
import onnx

from tvm_deconv import cli

from .. import damage
from .. import outcome as kinds
from ..choices import Choices
from ..onnx_case import OnnxCase
from ..outcome import Outcome, Progress, escaped
from .onnx_graphs import anything, enlarged, subpixel

_MODEL, _WEIGHTS = "model.onnx", "weights.bin"


@dataclass(frozen=True)
class FileCase:
    """``files`` is what is in the folder, None for a folder; ``command`` asks the command line."""

    what: str
    files: Mapping[str, bytes | None]
    feed: Mapping[str, np.ndarray]
    command: str = ""

    def text(self) -> str:
        sizes = {k: "folder" if v is None else f"{len(v)} bytes" for k, v in self.files.items()}
        return f"{self.what}: {sizes}, {self.command or 'compile(path)'}\n{self._printed()}"

    def _printed(self) -> str:
        """The model, as far as it can be read."""
        try:
            model = onnx.load_model_from_string(self.files[_MODEL] or b"")
            return OnnxCase(model, [self.feed]).text()
        except Exception as error:  # a damaged file, of which anything may come
            return f"{type(error).__name__}: {error}\n{(self.files[_MODEL] or b'')[:300]!r}"

    def run(self, progress: Progress) -> Outcome:
        """Write the folder, compile what is in it, and compare if that works."""
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            for name, data in self.files.items():
                if data is None:
                    (Path(folder) / name).mkdir()
                else:
                    (Path(folder) / name).write_bytes(data)
            path = Path(folder) / _MODEL
            if self.command:
                return self._ask_command(path, progress)
            return self._case(path).run(progress)

    def _case(self, path: Path) -> OnnxCase:
        try:
            model = onnx.load_model(str(path))
        except Exception:  # a damaged file, of which anything may come
            model = onnx.ModelProto()
        return OnnxCase(model, [self.feed], source=path)

    def _ask_command(self, path: Path, progress: Progress) -> Outcome:
        """Exit status 0, or 2 with one line on stderr."""
        progress("compile")
        arguments = [self.command, str(path)]
        if self.command == "compile":
            arguments += ["-o", str(path.with_suffix(".so"))]
        try:
            with tempfile.TemporaryFile() as file:
                status = _with_stderr(file.fileno(), arguments)
                file.seek(0)
                lines = file.read().decode(errors="replace").splitlines()
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)
        if status == 0:
            return Outcome(kinds.OK)
        said = [line.removeprefix("tvm-deconv: ").replace(str(path), "FILE") for line in lines]
        if status != 2 or len(lines) != 1 or said == lines:
            words = f"exit status {status}, {len(lines)} lines: {' / '.join(said)}"
            return Outcome(kinds.UNCLEAR, words)
        return Outcome(kinds.REFUSED, said[0])


def bad_file(draw: Choices) -> FileCase:
    """A valid model with one thing wrong."""
    case = draw.pick((anything, subpixel, enlarged))(draw)
    model, feed = case.model, case.feeds[0]
    way = draw.pick(("model", "bytes", "external"), [6, 3, 1])
    files: dict[str, bytes | None] = {}
    if way == "model":
        changes = [draw.pick(damage.MODEL) for _ in draw.many(1, 2, 0.1)]
        for change in changes:
            with suppress(IndexError, ValueError):  # the one before took away what it would damage
                change(draw, model)
        what = ", ".join(change.__name__ for change in changes)
        files[_MODEL] = model.SerializeToString()
    elif way == "bytes":
        harm = draw.pick(damage.BYTES)
        what, files[_MODEL] = harm.__name__, harm(draw, model.SerializeToString())
    else:
        beside = draw.pick(damage.EXTERNAL)
        what, files = beside.__name__, _external(draw, model, beside)
    command = draw.pick(("", "explain", "compile"), [6, 1, 0.5])
    return FileCase(what, files, feed, command)


def _external(draw: Choices, model: onnx.ModelProto, beside) -> dict[str, bytes | None]:
    """The model with its weights in a file of their own, to which something happens."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / _MODEL
        onnx.save_model(
            model, str(path), save_as_external_data=True, location=_WEIGHTS, size_threshold=0
        )
        if (weights := Path(folder) / _WEIGHTS).exists():
            beside(draw, weights)
        return {p.name: None if p.is_dir() else p.read_bytes() for p in Path(folder).iterdir()}


def _with_stderr(descriptor: int, arguments: Sequence[str]) -> int:
    """The exit status of the command, what it and TVM write to stderr goes to the descriptor."""
    kept = os.dup(2)
    os.dup2(descriptor, 2)
    try:
        with redirect_stdout(StringIO()):
            return cli.main(arguments)
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    finally:
        os.dup2(kept, 2)
        os.close(kept)
