"""One architecture through one exporter: compiled, run, and compared with the module itself."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import onnx
import torch
from fuzz import outcome as kinds
from fuzz.onnx_case import compare, compared
from fuzz.outcome import Outcome, Progress, escaped, refusal
from fuzz.reference import Expected
from fuzz.runtimes import Refused, run_onnxruntime
from fuzz.torch_reference import arrays_of, expected_of, in_float64

import tvm_deconv
from tvm_deconv.errors import TvmDeconvError

from .architectures import Architecture
from .exporters import Exporter

Inputs = tuple[torch.Tensor, ...]


@dataclass
class ExportCase:
    """``free``: batch, height and width are free, and it is run at all of its sizes.

    An outcome ``invalid`` is of what PyTorch does not export, or exports wrongly. ``facts`` are
    filled while it runs: processor seconds of the compilation.
    """

    architecture: Architecture
    exporter: Exporter
    free: bool
    facts: dict[str, Any] = field(default_factory=dict)

    def run(self, progress: Progress) -> Outcome:
        """Export, compile, run and compare; ``progress`` hears of each step."""
        progress("make")
        module = self.architecture.module()
        numbers = range(len(self.architecture.sizes)) if self.free else (0,)
        feeds = [self.architecture.feed(number) for number in numbers]
        axes = self.architecture.free() if self.free else None
        try:
            model = self.exporter(module, feeds[1 if self.free else 0], axes)
        except Exception as error:  # PyTorch's exporters raise whatever they meet
            return Outcome(kinds.INVALID, f"PyTorch: {_reason(error)}", str(error))
        progress("reference")
        wanted = []
        for feed in feeds:
            expected = _expected(module, feed)
            if wrong := _wrong_export(model, feed, expected):
                return Outcome(kinds.INVALID, f"the export itself: {wrong}")
            wanted.append(expected)
        progress("compile")
        begun = time.process_time()
        try:
            executable = tvm_deconv.compile(model)
        except TvmDeconvError as error:
            return refusal(error)
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)
        self.facts["compile_seconds"] = round(time.process_time() - begun, 2)
        for feed, expected in zip(feeds, wanted, strict=True):
            progress("run")
            outcome = _compared(executable, feed, expected)
            if outcome.kind != kinds.OK:
                return outcome
        return Outcome(kinds.OK)


def _expected(module: torch.nn.Module, feed: Inputs) -> Expected:
    with torch.no_grad():
        near = arrays_of(module(*feed))
    return expected_of(near, arrays_of(in_float64(module, feed)))


def _wrong_export(model: Any, feed: Inputs, expected: Expected) -> str | None:
    """Why what was exported does not compute what the module does; None where it does.

    Tracing writes numbers of the example into a file, and an exporter has faults, too. Who
    compiles such a file right gets something else than the module's result.
    """
    try:
        found = _by_pytorch(model, feed)
    except Refused as refused:
        # Where it only has no kernel, nobody says that the file is wrong.
        return None if refused.lacks else f"ONNX Runtime: {_reason(refused)}"
    except Exception as error:  # the program's own checks, of several classes
        return f"{type(error).__name__}: {_reason(error)}"
    return compare(found, expected.arrays, expected.limits)


def _by_pytorch(model: Any, feed: Inputs) -> Sequence[Any]:
    """What was exported, run by whom it is for."""
    if isinstance(model, onnx.ModelProto):
        names = [value.name for value in model.graph.input]
        return run_onnxruntime(
            model, {name: x.numpy() for name, x in zip(names, feed, strict=True)}
        )
    with torch.no_grad():
        return arrays_of(model.module()(*feed))


def _compared(executable: Any, feed: Inputs, expected: Expected) -> Outcome:
    outcome = compared(executable, [x.numpy() for x in feed], expected)
    if outcome.kind != kinds.WRONG:
        return outcome
    return replace(outcome, message=f"inputs {[tuple(x.shape) for x in feed]}: {outcome.message}")


def _reason(error: Exception) -> str:
    """The first line that says something, of messages that have pages."""
    lines = [line.strip() for line in str(error).splitlines()]
    telling = [line for line in lines if len(line.split()) > 3]
    return (telling or [type(error).__name__])[0][:200]
