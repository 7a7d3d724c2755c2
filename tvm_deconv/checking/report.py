"""The outcome of a check: a value that prints well."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from .rounding import VAGUE, Comparison
from .subject import Layer


@dataclass(frozen=True)
class OutputCheck:
    """The worst of all comparisons of one output, and the shapes of the inputs that gave it.

    ``relative`` is the difference, and ``allowed`` its limit, as a part of the largest element.
    """

    name: str
    shapes: dict[str, tuple[int, ...]]
    difference: float
    relative: float
    allowed: float
    problem: str = ""

    @classmethod
    def of(cls, name: str, shapes: dict[str, tuple[int, ...]], found: Comparison) -> OutputCheck:
        """The line of a comparison."""
        largest = found.largest or 1.0
        parts = (found.difference / largest, found.limit / largest)
        return cls(name, shapes, found.difference, *parts, found.problem)

    def __str__(self) -> str:
        words = f"{self.difference:.3g}, {self.relative:.2g} of the largest element"
        words = f"{self.name}: {words}, {self.allowed:.2g} is allowed"
        if self.problem:
            return f"{words}: WRONG, {self.problem}, at {_sizes(self.shapes)}"
        if self.allowed > VAGUE:
            return f"{words}: right, but rounding alone does so much that this says little"
        return f"{words}: right"


@dataclass(frozen=True)
class CheckReport:
    """What ``tvm_deconv.check`` found.

    ``inputs`` are the shapes of every input that was drawn, by name; an output that stands in
    ``outputs`` was compared for all of them. ``stopped`` is the error with which the compiled model
    ended where the reference gave results, else "". ``layer`` is the first layer where the two
    part, None if there is none or it was not looked for.
    """

    reference: str
    inputs: tuple[dict[str, tuple[int, ...]], ...]
    outputs: tuple[OutputCheck, ...]
    stopped: str = ""
    layer: Layer | None = None

    @property
    def is_right(self) -> bool:
        """Whether every output is the reference's, but for rounding."""
        return not self.stopped and not any(output.problem for output in self.outputs)

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and strings, ready for JSON."""
        layer = None
        if self.layer is not None:
            found = self.layer
            layer = {"name": found.name, "operator": found.operator, "tensor": found.key}
        return {
            "right": self.is_right,
            "reference": self.reference,
            "inputs": [{key: list(shape) for key, shape in one.items()} for one in self.inputs],
            "outputs": [
                {**asdict(one), "shapes": {k: list(shape) for k, shape in one.shapes.items()}}
                for one in self.outputs
            ],
            "stopped": self.stopped,
            "layer": layer,
        }

    def __str__(self) -> str:
        lines = [f"held against {self.reference}, largest difference of every output:"]
        lines += [str(output) for output in self.outputs]
        if self.stopped:
            lines.append(f"WRONG: {self.reference} gives a result where ours stops: {self.stopped}")
        drawn = dict.fromkeys(map(_sizes, self.inputs))
        each = len(self.inputs) // len(drawn)
        lines.append(f"random inputs, {each} of each: {'; '.join(drawn)}")
        if self.layer is not None:
            lines.append(f"the first layer where the two part: {self.layer}")
        return "\n".join(lines)


def _sizes(shapes: dict[str, tuple[int, ...]]) -> str:
    """``x=1,3,64,64 y=1``, as ``--shape`` takes them."""
    return " ".join(f"{name}={','.join(map(str, shape))}" for name, shape in shapes.items())
