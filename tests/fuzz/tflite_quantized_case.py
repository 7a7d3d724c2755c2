"""A quantised TFLite network, compiled and held against LiteRT: the same integers but for ties."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from tvm_deconv.errors import TvmDeconvError

from . import outcome as kinds
from .execution import run_guarded
from .onnx_case import compiled
from .outcome import Outcome, Progress, escaped, refusal

# LiteRT rounds twice, by multipliers of 31 bits: where a value is near the middle of two integers
# either is right. So many units off in the square mean: as much as a layer may do, where it happens
# to every other element, and as much as the next ones get of it, and by how much more.
_ROUNDED, _USUAL, _SLACK = 0.75, 0.45, 1.5
# LiteRT reads TANH of int16 off a table: up to 3 units of 65,536 from tanh at any scale.
_BY_TABLE, _OFF = ("TANH", "int16"), 3
# Nothing is rounded here.
MOVES = frozenset(
    (
        "DEPTH_TO_SPACE",
        "MAXIMUM",
        "MAX_POOL_2D",
        "MIRROR_PAD",
        "PAD",
        "PADV2",
        "RESIZE_NEAREST_NEIGHBOR",
        "SPACE_TO_DEPTH",
        "STRIDED_SLICE",
        "TRANSPOSE",
    )
)


@dataclass(frozen=True)
class Scale:
    """Of a tensor of integers; ``scales`` has one, or one for each place along ``axis``."""

    dtype: str
    scales: tuple[float, ...]
    zero: int
    axis: int = 0


@dataclass(frozen=True)
class Constant:
    """A constant, of integers that stand for real numbers where there is a ``scale``."""

    array: np.ndarray
    scale: Scale | None = None


@dataclass(frozen=True)
class Step:
    """An operator. ``operands`` are numbers of earlier values (0: the input), or constants."""

    operator: str
    operands: tuple[Any, ...]
    result: Scale | None
    kind: str = ""
    fields: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class QuantizedTflite:
    """Steps from one input of integers ``x``; ``results`` are numbers of values.

    ``target`` is another processor than this one, which runs its code, too.
    """

    x: np.ndarray
    scale: Scale
    steps: tuple[Step, ...]
    results: tuple[int, ...]
    free: tuple[int, ...] = ()
    target: dict[str, Any] = field(default_factory=dict)

    def text(self) -> str:
        """The steps, with the scales of what they give."""
        lines = [f"0: {list(self.x.shape)}, free {list(self.free)}, {_words(self.scale)}"]
        for number, step in enumerate(self.steps, 1):
            operands = [o if isinstance(o, int) else short(o) for o in step.operands]
            to = "float32" if step.result is None else _words(step.result)
            lines.append(f"{number} = {step.operator} {operands} {step.fields} {to}")
        return "\n".join([*lines, f"results: {list(self.results)}, {self.target or 'this target'}"])

    def run(self, progress: Progress) -> Outcome:
        """Write the file, run it by LiteRT, compile, run and compare."""
        if find_spec("ai_edge_litert") is None or find_spec("tflite") is None:
            return Outcome(kinds.INVALID, "LiteRT is not installed")
        from tflite_reference import litert

        progress("reference")
        content = self.file()
        wanted = litert(content, [self.x])
        progress("compile")
        with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
            path = Path(folder) / "net.tflite"
            path.write_bytes(content)
            try:
                executable = compiled(path, False, target=self.target or "host")
            except TvmDeconvError as error:
                return refusal(error)
            except Exception as error:  # whatever it is, it is what is looked for
                return escaped(error)
        progress("run")
        found = run_guarded(executable, [self.x])
        progress("compare")
        if isinstance(found, Exception):
            return escaped(found, "when run: ")
        return found if isinstance(found, Outcome) else self._judge(found, wanted)

    def _judge(self, found: list[np.ndarray], wanted: list[np.ndarray]) -> Outcome:
        if len(found) != len(wanted):
            return Outcome(kinds.WRONG, f"{len(found)} results, expected {len(wanted)}")
        allowed = self._allowed()
        for number, got, want in zip(self.results, found, wanted, strict=True):
            if (got.shape, got.dtype) != (want.shape, want.dtype):
                words = f"shape {got.shape} of {got.dtype}, expected {want.shape} of {want.dtype}"
                return Outcome(kinds.WRONG, f"result {number}: {words}")
            off = np.abs(got.astype("float64") - want.astype("float64")) / self._unit(number)
            mean, (usual, most) = float(np.sqrt((off**2).mean())), allowed[number]
            if off.max() > most or mean > usual:
                place = tuple(map(int, np.unravel_index(off.argmax(), off.shape)))
                return Outcome(
                    kinds.WRONG,
                    f"result {number}: {(off > 0.5).mean():.2%} of the elements off, in the square "
                    f"mean by {mean:.3g} units (allowed {usual:.3g}), most by {off.max():.3g} "
                    f"(allowed {most:.3g}) at {place}",
                )
        return Outcome(kinds.OK)

    def _allowed(self) -> list[tuple[float, float]]:
        """For each value how many units off it may be: in the square mean, and at most.

        A layer adds a unit, and spreads those before it by its weights.
        """
        found, scales, allowed = [(0.0, 0.0)], [self.scale], [(0.0, 0.0)]
        for step in self.steps:
            usual, most = 0.0, 0.0
            weights = [
                o.array for o in step.operands if isinstance(o, Constant) and o.array.ndim > 3
            ]
            before = [o for o in step.operands if isinstance(o, int)]
            to = step.result or scales[before[0]]
            for number in before:
                own, by = scales[number].scales[0], (1.0, 1.0)
                if step.operator.endswith(("CONV", "CONV_2D")) and weights:
                    by = _spread(step)
                elif step.operator == "MUL":  # of values that may be as large as a scale goes
                    others = [scales[o] for o in before if o != number] or [scales[number]]
                    by = (max(map(_largest, others)),) * 2
                ratio = max(own / to.scales[0], 1.0 if len(before) == 1 and not weights else 0.0)
                usual += (found[number][0] * by[0] * ratio) ** 2
                most += found[number][1] * by[1] * ratio
            more = int(step.operator not in MOVES)
            if (step.operator, to.dtype) == _BY_TABLE:
                more = _OFF
            found.append(((usual + more * _USUAL**2) ** 0.5, most + more))
            allowed.append((_SLACK * usual**0.5 + more * _ROUNDED, most + more))
            scales.append(to)
        return allowed

    def _unit(self, number: int) -> float:
        """What a result counts in: 1 for integers, the scale before it for floats."""
        step = self.steps[number - 1] if number else None
        if step is None or step.result is not None:
            return 1.0
        before = step.operands[0]
        scale = self.steps[before - 1].result if before else self.scale
        assert scale is not None
        return scale.scales[0]

    def file(self) -> bytes:
        """What LiteRT reads."""
        from ai_edge_litert import schema_py_generated as schema
        from tflite_rows import Writer

        writer = Writer()

        def scaled(number: int, scale: Scale | None) -> int:
            if scale is None:
                return number
            return writer.scaled(number, scale.scales, scale.zero, scale.axis)

        sizes = [-1 if axis in self.free else size for axis, size in enumerate(self.x.shape)]
        values = [scaled(writer.tensor(tuple(sizes), self.x.dtype), self.scale)]
        for step in self.steps:
            operands = [
                values[o] if isinstance(o, int) else scaled(writer.constant(o.array), o.scale)
                for o in step.operands
            ]
            options = getattr(schema, f"{step.kind}OptionsT")() if step.kind else None
            for name, value in step.fields.items():
                setattr(options, name, value)
            dtype = "float32" if step.result is None else step.result.dtype
            made = scaled(writer.tensor((1, 1, 1, 1), dtype), step.result)
            writer.append(step.operator, operands, [made], options)
            values.append(made)
        return writer.finish(values[:1], [values[number] for number in self.results])


def _words(scale: Scale) -> str:
    return f"{scale.dtype} {scale.scales[0]:.5g} ({len(scale.scales)}), zero {scale.zero}"


def short(constant: Constant) -> str:
    array = constant.array
    return str(array.tolist()) if array.size < 9 else f"constant {array.dtype}{list(array.shape)}"


def _spread(step: Step) -> tuple[float, float]:
    """What the weights of a layer make of a unit: in the square mean, and at most."""
    weights = next(o for o in step.operands if isinstance(o, Constant) and o.scale is not None)
    scale = weights.scale
    assert scale is not None
    rows = np.moveaxis(weights.array.astype("float64") - scale.zero, scale.axis, 0)
    rows = np.abs(rows.reshape(len(rows), -1)) * np.reshape(scale.scales, (-1, 1))
    return float(np.sqrt((rows**2).sum(1)).max()), float(rows.sum(1).max())


def _largest(scale: Scale) -> float:
    """The largest number that a tensor may hold."""
    limits = np.iinfo(scale.dtype)
    return scale.scales[0] * max(limits.max - scale.zero, scale.zero - limits.min)
