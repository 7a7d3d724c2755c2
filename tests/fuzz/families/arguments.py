"""Arguments of ``compile`` that make no sense, for a model that does: refused in one line."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

import tvm_deconv
from tvm_deconv.errors import TvmDeconvError

from .. import outcome as kinds
from ..choices import Choices
from ..onnx_case import OnnxCase
from ..options import Options
from ..outcome import Outcome, Progress, escaped, refusal
from .onnx_graphs import anything

_SHAPES: tuple[Any, ...] = (
    {"x0": ()},
    {"x0": (1, 3, 64)},
    {"x0": (0, 3, 8, 8)},
    {"x0": (1, -3, 8, 8)},
    {"x0": (1, 3, 8.5, 8)},
    {"x0": "1,3,8,8"},
    {"x0": None},
    {"x0": 7},
    {"nowhere": (1, 3, 8, 8)},
    {7: (1, 3, 8, 8)},
    [1, 3, 8, 8],
    "x0",
    {"x0": (1, 3, 2**40, 8)},
)
_THREADS: tuple[Any, ...] = (0, -1, "a", 1.5, 2**40, [2], np.int64(2), True)
_VARIANTS: tuple[Any, ...] = ("", "REVD2", "fast", None, 3, ["tdc"])
_TARGETS: tuple[Any, ...] = (
    "nothing",
    "",
    {"kind": "llvm", "mcpu": "pentium9"},
    {"kind": "llvm", "num-cores": 0},
    {"kind": "llvm", "num-cores": -2},
    {"kind": "llvm", "mtriple": "moon-linux-gnu"},
    {"kind": "vulkan"},
    {},
    "{",
    5,
    None,
)
_OTHERS: dict[str, tuple[Any, ...]] = {
    "shapes": _SHAPES,
    "threads": _THREADS,
    "variant": _VARIANTS,
    "target": _TARGETS,
    "log": ("/nowhere/at/all", 7, {}),
}


@dataclass(frozen=True)
class ArgumentCase:
    """``compile`` and ``explain`` of a model with these arguments."""

    case: OnnxCase
    arguments: dict[str, Any]

    def text(self) -> str:
        return f"{self.case.text()}\n{self.arguments!r}"

    def run(self, progress: Progress) -> Outcome:
        """Both refuse, or both take it."""
        progress("compile")
        try:
            tvm_deconv.compile(self.case.model, **self.arguments)
        except TvmDeconvError as error:
            return refusal(error)
        except Exception as error:  # whatever it is, it is what is looked for
            return escaped(error)
        try:
            str(tvm_deconv.explain(self.case.model, **self.arguments))
        except Exception as error:  # whatever it is, ``compile`` took the same
            return escaped(error, "explain: ")
        return Outcome(kinds.OK)


def bad_arguments(draw: Choices) -> ArgumentCase:
    """One or two arguments that make no sense."""
    arguments = {}
    for _ in draw.many(1, 2, 0.2):
        name = draw.pick(tuple(_OTHERS))
        arguments[name] = draw.pick(_OTHERS[name])
    case = anything(draw)
    return ArgumentCase(OnnxCase(case.model, case.feeds, Options()), arguments)
