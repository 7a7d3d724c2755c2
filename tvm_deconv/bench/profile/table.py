"""Profiles as tables for people: where our time goes, and what ONNX Runtime takes for the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tvm_deconv.bench.figures import HEADLINE, Spread
from tvm_deconv.bench.table import aligned, number, percentage, text

from .parts import PROFILED_PEER, Part, kernels_of, parts_of

# Shares of a network: what is listed, and what may not be slower than in ONNX Runtime.
_LISTED, _WATCHED = 0.05, 0.1
# Node names and kernel names in a cell.
_LONGEST = 60


def render(results: Mapping[str, Any]) -> str:
    """The profiles of all workloads that have one; nothing if none has."""
    found = [
        f"{name}: kernels above {_LISTED:.0%} of ours\n\n{_workload(record)}"
        for name, record in results["workloads"].items()
        if any("profile" in contestant for contestant in record["contestants"].values())
    ]
    return "\n\n".join(found)


def _workload(record: Mapping[str, Any]) -> str:
    parts = parts_of(record)
    operators = record.get("nodes", {})
    header = ["nodes of the model", "our kernels", "share", "ours", "ONNX Runtime", "ratio", "its"]
    cells = [
        [
            nodes_text(part.nodes, operators),
            _counted(part.ours),
            percentage(part.share),
            text(part.ours_ms),
            text(part.theirs_ms),
            number(part.ratio),
            _counted(part.theirs),
        ]
        for part in parts
        if part.share >= _LISTED
    ]
    told = [aligned([header, *cells])] if cells else []
    return "\n\n".join([*told, "\n".join(f"- {line}" for line in _notes(record, parts))])


def _notes(record: Mapping[str, Any], parts: Sequence[Part]) -> list[str]:
    lines = []
    for name, who in ((HEADLINE, "ours"), (PROFILED_PEER, "ONNX Runtime")):
        profile = record["contestants"].get(name, {}).get("profile")
        if profile is None:
            lines.append(f"{who}: not profiled")
            continue
        if "reason" in profile:
            lines.append(f"{who}: not profiled: {profile['reason']}")
            continue
        kernels = kernels_of(record, name)
        whole = str(Spread.of(profile["ms"])) if profile["ms"] else "?"
        total = sum(Spread.of(kernel["ms"]).median for kernel in kernels)
        lines.append(f"{who}: {len(kernels)} kernels take {total:.2f} ms of {whole}")
        lines += [f"{who}: {note}" for note in profile["notes"]]
    slower = [
        f"{nodes_text(part.nodes, record.get('nodes', {}))} ({part.ratio:.2f})"
        for part in parts
        if part.share > _WATCHED and part.ratio is not None and part.ratio < 1
    ]
    if any(part.theirs for part in parts):
        lines.append(
            f"above {_WATCHED:.0%} and slower than in ONNX Runtime: {', '.join(slower) or 'none'}"
        )
        for side, who in ((0, "ours"), (1, "ONNX Runtime")):
            times = [(part.ours_ms, part.theirs_ms)[side] for part in parts if part.ratio is None]
            alone = sum(spread.median for spread in times if spread is not None)
            if alone >= 0.005:
                lines.append(f"{who}: {alone:.2f} ms in kernels that cannot be matched")
    return lines


def nodes_text(nodes: Sequence[str], operators: Mapping[str, str]) -> str:
    """``Conv, Relu x 2 (first to last)``: operators, how often, and the names at both ends."""
    if not nodes:
        return "(none known)"
    kinds = _counted([operators[name] for name in nodes])
    ends = nodes[0] if len(nodes) == 1 else f"{nodes[0]} to {nodes[-1]}"
    return f"{kinds} ({ends})"


def _counted(names: Sequence[str]) -> str:
    counts = Counter(names)
    told = ", ".join(f"{name} x {n}" if n > 1 else name for name, n in counts.items())
    return told if len(told) <= _LONGEST else f"{told[: _LONGEST - 4]} ..."
