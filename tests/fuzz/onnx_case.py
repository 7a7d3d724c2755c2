"""An ONNX model, how it is compiled and for which inputs: compiled, run and compared."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.printer
import tvm
from onnx import numpy_helper

import tvm_deconv
from tvm_deconv.errors import TvmDeconvError
from tvm_deconv.library import compile_library
from tvm_deconv.size_errors import in_words

from . import board
from . import outcome as kinds
from .execution import run_guarded
from .options import Options
from .outcome import Outcome, Progress, escaped, refusal
from .reference import (
    Expected,
    deviation,
    difference,
    expected,
    is_second_opinion_wrong,
    nobody_is_right,
    normalised_opinion,
    optimized_opinion,
    second_opinion,
    standard_opinion,
)
from .runtimes import Refused, run_anywhere

Feed = Mapping[str, np.ndarray]


@dataclass(frozen=True)
class OnnxCase:
    """``feeds`` are the inputs of each run; ``explained``: ``explain`` is asked, too.

    ``source`` is the file or the model to compile, if it is not the model itself.
    """

    model: onnx.ModelProto
    feeds: Sequence[Feed]
    options: Options = field(default_factory=Options)
    explained: bool = False
    source: Path | onnx.ModelProto | None = None

    def text(self) -> str:
        """The graph as onnx prints it, the options, and the shapes of the inputs."""
        shapes = [{name: list(array.shape) for name, array in feed.items()} for feed in self.feeds]
        model = self.source if isinstance(self.source, onnx.ModelProto) else self.model
        lines = [_printed(model), f"inputs: {shapes}", str(self.options)]
        return "\n".join(lines)

    def run(self, progress: Progress) -> Outcome:
        """Compile it, run it for every feed and compare; ``progress`` hears of each step."""
        progress("reference")
        feeds = self.feeds[:1] if self.options.fixed else self.feeds
        wanted = []
        for feed in feeds:
            try:
                wanted.append(self._expected(feed))
            except Refused as refused:
                wanted.append(refused)
        progress("compile")
        executable = self._compile()
        if isinstance(executable, Outcome):
            if executable.kind == kinds.REFUSED and isinstance(wanted[0], Refused):
                return Outcome(kinds.INVALID, executable.message, str(wanted[0]))
            return executable
        if self.options.elsewhere:
            return Outcome(kinds.OK)
        for feed, want in zip(feeds, wanted, strict=True):
            progress("run")
            found = self._run(executable, feed)
            progress("compare")
            judged = self._judge(found, want, feed)
            if judged.kind != kinds.OK:
                return judged
        return Outcome(kinds.OK)

    def _expected(self, feed: Feed) -> Expected:
        return expected(self.model, feed)

    def _compile(self) -> Any:
        """The executable, or why there is none."""
        arguments, model = dict(self.options.arguments), self.source or self.model
        if self.options.fixed:
            arguments["shapes"] = {name: array.shape for name, array in self.feeds[0].items()}
        try:
            if self.explained:
                asked = {k: v for k, v in arguments.items() if k != "rewrite"}
                str(tvm_deconv.explain(model, **asked))
            return compiled(model, self.options.library, **arguments)
        except TvmDeconvError as error:
            return refusal(error)
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)

    def _run(self, executable: Any, feed: Feed) -> Any:
        """The results, or the exception that came instead."""
        order = [value.name for value in self.model.graph.input if value.name in feed]
        return run_guarded(executable, [feed[name] for name in order])

    def _judge(self, found: Any, want: Any, feed: Feed) -> Outcome:
        if isinstance(found, Outcome):
            return found
        if isinstance(want, Refused):
            return self._judge_invalid(found, want, feed)
        if isinstance(found, Exception):
            if any(not array.size for array in want.arrays) or self._fits_nowhere(found, feed):
                return Outcome(kinds.REFUSED, f"an empty result, when run: {in_words(found)}")
            return escaped(found, "when run: ")
        wrong = compare(found, want.arrays, want.limits)
        if not wrong or self._is_rightly_empty(found, want.limits, feed):
            return Outcome(kinds.OK)
        if self._is_standard(found, want.limits, feed) or self._is_rounding(found, want, feed):
            return Outcome(kinds.OK)
        if nobody_is_right(self.model):
            return Outcome(kinds.INVALID, "no reference", wrong)
        by = deviation(self.model)
        return Outcome(
            kinds.WRONG,
            wrong,
            f"reference: {'onnx.reference, because ' + by if by else 'ONNX Runtime'}\n"
            + self._others(found, want.limits, feed),
        )

    def _fits_nowhere(self, found: Exception, feed: Feed) -> bool:
        """Whether we refuse a window that is larger than what it reads, see the next, or a crop
        that leaves nothing inside of the model."""
        if "match_cast" not in str(found):
            return False
        every = onnx.ModelProto()
        every.CopyFrom(self.model)
        known = {value.name for value in every.graph.output}
        inner = dict.fromkeys(name for node in every.graph.node for name in node.output if name)
        every.graph.output.extend(onnx.ValueInfoProto(name=n) for n in inner if n not in known)
        try:
            results = (second_opinion(self.model, feed), run_anywhere(every, feed))
            return any(not array.size for arrays in results for array in arrays)
        except Refused:
            return True

    def _is_rightly_empty(self, found: list[np.ndarray], limits: list[float], feed: Feed) -> bool:
        """Whether there are no elements in a result of ours, and onnx.reference says so, too.

        Of windows that do not fit, ONNX Runtime rounds the negative number towards zero and makes
        one.
        """
        if all(array.size for array in found):
            return False
        try:
            return compare(found, second_opinion(self.model, feed), limits) is None
        except Refused:
            return False

    def _is_standard(self, found: list[np.ndarray], limits: list[float], feed: Feed) -> bool:
        """Whether ours is right where ONNX Runtime breaks the standard.

        Where the reference was onnx.reference for that, ONNX Runtime's result is as good.
        """
        try:
            arrays = standard_opinion(self.model, feed)
            if (
                deviation(self.model)
                and compare(found, run_anywhere(self.model, feed), limits) is None
            ):
                return True
        except Refused:
            return False
        return arrays is not None and compare(found, arrays, limits) is None

    def _is_rounding(self, found: list[np.ndarray], want: Expected, feed: Feed) -> bool:
        """Whether ours is onnx.reference's, and ONNX Runtime's a few roundings off.

        ONNX Runtime adds up a large map in order, in float32: of 100,000 elements that are two
        digits more than NumPy loses by adding up in pairs. Likewise of normalisations.
        """
        if compare(found, want.arrays, _loose(want.arrays)) is not None:
            return False
        for opinion in (second_opinion, normalised_opinion):
            try:
                if compare(found, opinion(self.model, feed), want.limits) is None:
                    return True
            except Refused:
                continue
        return False

    def _judge_invalid(self, found: Any, refused: Refused, feed: Feed) -> Outcome:
        """ONNX Runtime refuses, we did not: then the other reference decides."""
        reason = str(refused)[-300:]
        if isinstance(found, Exception):
            return Outcome(kinds.INVALID, f"fails when run: {in_words(found)}", reason)
        try:
            arrays = second_opinion(self.model, feed)
        except Refused as other:
            # Where ONNX Runtime only has no kernel, nobody says that the model is wrong; and a size
            # of 0 that is computed means another one to Reshape.
            harmless = (
                refused.lacks
                or nobody_is_right(self.model)
                or not any(array.size for array in found)
            )
            return Outcome(
                kinds.INVALID if harmless else kinds.ACCEPTED,
                f"ONNX Runtime: {reason[-120:]}",
                f"{reason}\nonnx.reference: {other}",
            )
        wrong = compare(found, arrays, _loose(arrays))
        if wrong and is_second_opinion_wrong(self.model):
            return Outcome(kinds.INVALID, "no reference", reason)
        if wrong:
            return Outcome(kinds.WRONG, f"by onnx.reference: {wrong}", f"ONNX Runtime: {reason}")
        return Outcome(kinds.INVALID, "right by onnx.reference", reason)

    def _others(self, found: list[np.ndarray], limits: list[float], feed: Feed) -> str:
        """What the other references say about a wrong result."""
        lines = []
        for name, opinion in (
            ("onnx.reference", second_opinion),
            ("ONNX Runtime with its optimizations", optimized_opinion),
        ):
            try:
                wrong = compare(found, opinion(self.model, feed), limits)
            except Refused as refused:
                wrong = f"refuses: {refused}"[:200]
            lines.append(f"{name}: {wrong or 'agrees with ours'}")
        return "\n".join(lines)


def _loose(arrays: Sequence[np.ndarray]) -> list[float]:
    """Limits that rounding stays below, and a wrong formula does not."""
    return [
        1e-3 * float(np.abs(a.astype("float64")).max(initial=0)) if a.dtype.kind == "f" else 0.0
        for a in arrays
    ]


def _printed(model: onnx.ModelProto) -> str:
    """The model as onnx prints it, but of large weights only the shapes."""
    small = onnx.ModelProto()
    small.CopyFrom(model)
    del small.graph.initializer[:]
    words = []
    for tensor in model.graph.initializer:
        kind, value = _type_name(tensor.data_type), "..."
        if np.prod(tensor.dims, dtype="float64") <= 8:
            with suppress(Exception):  # a damaged tensor, of which anything may come
                value = str(numpy_helper.to_array(tensor).tolist())
        words.append(f"  {tensor.name}: {kind}{list(tensor.dims)} = {value}")
    return "\n".join([onnx.printer.to_text(small), *words])


def _type_name(number: int) -> str:
    names = {value: name for name, value in onnx.TensorProto.DataType.items()}
    return names.get(number, str(number))


def compare(
    found: Sequence[np.ndarray], wanted: Sequence[np.ndarray], limits: Sequence[float]
) -> str | None:
    """What is wrong with the results, in words."""
    if len(found) != len(wanted):
        return f"{len(found)} results, expected {len(wanted)}"
    for index, (got, want, limit) in enumerate(zip(found, wanted, limits, strict=True)):
        if wrong := difference(got, want, limit):
            return f"result {index}: {wrong}"
    return None


def compiled(model: Any, through_library: bool, **arguments: Any) -> Any:
    """What ``compile`` returns, or what is loaded again of the library that it was written to.

    The library stays where it is where cases run on a board.
    """
    if board.runs(arguments.get("target")):
        arguments.pop("rewrite", None)
        arguments.pop("threads", None)
        library = board.OnBoard()
        compile_library(model, str(library.path), **{**arguments, "target": board.target()})
        return library
    if not through_library:
        return tvm_deconv.compile(model, **arguments)
    arguments.pop("rewrite", None)  # a library is always of the rewritten model
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = str(Path(folder) / "network.so")
        compile_library(model, path, **arguments)
        return tvm.runtime.load_module(path)


def compared(executable: Any, inputs: Sequence[np.ndarray], wanted: Expected) -> Outcome:
    """What is run for these inputs, held against what it has to give."""
    found = run_guarded(executable, inputs)
    if isinstance(found, Exception):
        return escaped(found, "when run: ")
    if isinstance(found, Outcome):
        return found
    wrong = compare(found, wanted.arrays, wanted.limits)
    return Outcome(kinds.WRONG, wrong) if wrong else Outcome(kinds.OK)
