"""The report of a rewrite: one line per layer that was a candidate."""

from __future__ import annotations

from dataclasses import asdict, dataclass
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
class Report:
    """All candidates of a module, in the order of the program. Prints as a table."""

    layers: tuple[LayerReport, ...] = ()

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
        }

    def __str__(self) -> str:
        if not self.layers:
            return "no upsampling layer found"
        rows = [("layer", "status", "what"), *(_row(layer) for layer in self.layers)]
        widths = [max(len(row[i]) for row in rows) for i in (0, 1)]
        lines = [f"{a:<{widths[0]}}  {b:<{widths[1]}}  {c}" for a, b, c in rows]
        total = f"{len(self.rewritten)} rewritten, {len(self.refused)} refused"
        return "\n".join([*lines, total])


def _row(layer: LayerReport) -> tuple[str, str, str]:
    name = layer.layer if layer.function == "main" else f"{layer.function}.{layer.layer}"
    if layer.status == REWRITTEN:
        return name, layer.status, f"{layer.before} => {layer.after}"
    return name, layer.status, layer.reason
