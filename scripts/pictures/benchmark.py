"""The benchmark's plot for the README, from the table in docs/benchmark.md and nothing else."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import prod
from pathlib import Path

from .canvas import Canvas

PAGE = Path(__file__).resolve().parents[2] / "docs" / "benchmark.md"
_ROW = re.compile(
    r"^\| ([^|]+) \| ([\d.]+) ±[\d.]+ \| \**([A-Za-z ]+?) ([\d.]+) ±[\d.]+\** \| \**([\d.]+)\** \|",
    re.MULTILINE,
)
LAYERS = 7
_MARGIN, _NAMES, _RIGHT = 18, 216, 222
_STEP, _BAR, _TOP, _SCALE = 23, 15, 66, 92


@dataclass(frozen=True)
class Row:
    """A layer or network: milliseconds of ours and of the fastest peer, and their ratio."""

    name: str
    ours: float
    peer: str
    theirs: float
    ratio: float


def rows() -> list[Row]:
    """The rows of the table: first the layers, then the networks."""
    found = _ROW.findall(PAGE.read_text(encoding="utf-8"))
    return [
        Row(name, float(ours), peer, float(theirs), float(ratio))
        for name, ours, peer, theirs, ratio in found
    ]


def mean(chosen: list[Row]) -> float:
    """Geometric mean of the ratios."""
    return prod(row.ratio for row in chosen) ** (1 / len(chosen))


def benchmark() -> Canvas:
    table = rows()
    most = max(row.ratio for row in table)
    height = _TOP + _STEP * len(table) + 44
    left = _MARGIN + _NAMES
    canvas = Canvas(
        round(left + _SCALE * most + _RIGHT),
        height,
        "Time of the fastest other runtime over ours",
        "; ".join(
            f"{row.name}: {row.ratio:.2f} (ours {row.ours:.2f} ms, {row.peer} {row.theirs:.2f} ms)"
            for row in table
        ),
    )
    canvas.text(_MARGIN, 26, "How many times as fast as the fastest peer", bold=True, size=14)
    canvas.text(
        _MARGIN,
        46,
        "AMD EPYC (Zen 5), 2 threads, float32, batch 1, 2026-11-30; nothing is tuned",
        kind="muted",
        size=12,
    )
    for place, row in enumerate(table):
        # The networks stand a little below the layers.
        y = _TOP + _STEP * place + (10 if place >= LAYERS else 0)
        kind = "one" if row.ratio >= 1 else "two"
        canvas.text(left - 10, y + 12, row.name, anchor="end", size=12)
        canvas.box(left, y, _SCALE * row.ratio, _BAR, fill=kind, line=None, round_=2)
        # Beside the bar, and not on the line where both are equally fast.
        end = left + _SCALE * max(row.ratio, 1)
        canvas.text(end + 8, y + 12, f"{row.ratio:.2f}", size=12, bold=True)
        words = f"{row.ours:.2f} ms, {row.peer} {row.theirs:.2f}"
        canvas.text(end + 46, y + 12, words, size=11, kind="muted")
    canvas.line(left + _SCALE, _TOP - 6, left + _SCALE, height - 28, "ink", dashed=True)
    canvas.text(left + _SCALE, height - 12, "as fast as the peer", anchor="middle", size=11)
    return canvas
