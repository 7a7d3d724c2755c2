"""What becomes of a network: one line per upsampling layer, and one per convolution's kernel."""

from __future__ import annotations

import math
import textwrap
from dataclasses import asdict, astuple, dataclass, replace
from operator import add
from typing import Any

REWRITTEN = "rewritten"
REFUSED = "refused"


@dataclass(frozen=True)
class LayerReport:
    """One candidate: ``status`` is "rewritten" or "refused"; a refusal has a ``reason``.

    ``before`` and ``after`` sum up a rewritten layer in words; both are empty for a refusal.
    """

    function: str
    layer: str
    rule: str
    status: str
    reason: str = ""
    before: str = ""
    after: str = ""


@dataclass(frozen=True)
class KernelReport:
    """One convolution, after the rewrite, and what computes it.

    ``variant`` and its ``parameters`` are empty for a convolution that is left to TVM; ``reason``
    says why it is this variant, or why none. ``multiply_adds`` of floats are those of the variant's
    form for all outputs, without transforms; None where TVM computes, of bytes and of free sizes.
    """

    function: str
    layer: str
    what: str
    variant: str = ""
    parameters: str = ""
    reason: str = ""
    multiply_adds: int | None = None


@dataclass(frozen=True)
class Weights:
    """How many weights the convolutions have that kernels of ours compute in floats.

    ``model`` in the model, ``kernels`` packed for their kernels, ``fastest`` if each had what is
    fastest; they may have ``most``, for which ``smaller`` layers have a smaller form. ``cycles``
    are what the machine model expects of these kernels, and ``fastest_cycles`` of the fastest.
    """

    model: int
    fastest: int
    kernels: int
    most: float
    smaller: int
    cycles: float
    fastest_cycles: float

    def __add__(self, other: Weights) -> Weights:
        """Of the layers of both."""
        return Weights(*map(add, astuple(self), astuple(other)))

    def as_dict(self) -> dict[str, Any]:
        """The fields; ``most`` is None where there is no limit: JSON has no infinity."""
        return {**asdict(self), "most": self.most if math.isfinite(self.most) else None}

    def __str__(self) -> str:
        grown = f"{self.kernels / self.model:.2f} times" if self.model else "none"
        limit = "no limit" if self.most == math.inf else f"at most {self.most:.0f}"
        text = f"weights: {self.model} in the model, {self.kernels} in kernels ({grown}, {limit})"
        if self.smaller:
            slower = self.cycles / self.fastest_cycles if self.fastest_cycles else 1.0
            text += (
                f"; without the limit {self.fastest}: {self.smaller} layers have a smaller form, "
                f"which takes {slower:.2f} times the cycles for all"
            )
        elif self.kernels > self.most:
            text += "; fewer cannot be: zeros fill up tiles and phases"
        return text


@dataclass(frozen=True)
class Report:
    """All candidates of a module and all its convolutions, in the order of the program.

    Prints as a table, and a second one if ``kernels`` are known. ``weights`` are those of kernels,
    None where there are none. ``log`` says in words which tuning log was asked, or why there is
    none to ask; it is the last line unless it is empty.
    """

    layers: tuple[LayerReport, ...] = ()
    kernels: tuple[KernelReport, ...] = ()
    log: str = ""
    weights: Weights | None = None

    @property
    def rewritten(self) -> tuple[LayerReport, ...]:
        return tuple(layer for layer in self.layers if layer.status == REWRITTEN)

    @property
    def refused(self) -> tuple[LayerReport, ...]:
        return tuple(layer for layer in self.layers if layer.status == REFUSED)

    def as_dict(self) -> dict[str, Any]:
        """Plain lists, dicts and strings, ready for JSON."""
        return {
            "rewritten": len(self.rewritten),
            "refused": len(self.refused),
            "layers": [asdict(layer) for layer in self.layers],
            "kernels": [asdict(kernel) for kernel in self.kernels],
            "weights": None if self.weights is None else self.weights.as_dict(),
            "log": self.log,
        }

    def __str__(self) -> str:
        tables = [self._layer_table(), *([self._kernel_table()] if self.kernels else [])]
        weights = [str(self.weights)] if self.weights is not None else []
        return "\n".join(["\n\n".join(tables), *weights, *([self.log] if self.log else [])])

    def _layer_table(self) -> str:
        if not self.layers:
            return "no upsampling layer found"
        rows = [("layer", "status", "what"), *(_row(layer) for layer in self.layers)]
        total = f"{len(self.rewritten)} rewritten, {len(self.refused)} refused"
        return "\n".join([*_columns(rows), total])

    def _kernel_table(self) -> str:
        """Name, variant and geometry of each kernel; below it, indented, parameters and reason.

        Convolutions that differ in nothing but their name share one entry.
        """
        equal: dict[KernelReport, list[str]] = {}
        for kernel in self.kernels:
            equal.setdefault(replace(kernel, function="", layer=""), []).append(_name(kernel))
        rows = [("kernel", "variant", "computes")]
        for kernel, names in equal.items():
            more = f" and {len(names) - 1} more" if len(names) > 1 else ""
            rows.append((names[0] + more, kernel.variant or _NO_VARIANT, kernel.what))
        header, *heads = _columns(rows)
        lines = [header]
        for head, kernel in zip(heads, equal, strict=True):
            lines.append(head)
            for note in (kernel.parameters, kernel.reason):
                lines += textwrap.wrap(note, 100, initial_indent=_DEEP, subsequent_indent=_DEEP)
        ours = sum(kernel.variant != "" for kernel in self.kernels)
        lines.append(f"{ours} by variants of ours, {len(self.kernels) - ours} left to TVM")
        return "\n".join(lines)


_DEEP = " " * 4
_NO_VARIANT = "(TVM)"


def _columns(rows: list[tuple[str, str, str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
    return [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]


def _name(line: LayerReport | KernelReport) -> str:
    return line.layer if line.function == "main" else f"{line.function}.{line.layer}"


def _row(layer: LayerReport) -> tuple[str, str, str]:
    if layer.status == REWRITTEN:
        return _name(layer), layer.status, f"{layer.before} => {layer.after}"
    return _name(layer), layer.status, layer.reason
