"""The drawings of README.md and docs/: `python scripts/draw_pictures.py` writes them.

What they show is taken from where it is true: the phases from the package's geometry, the
benchmark from the table in docs/benchmark.md.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from .algorithms import algorithms
from .benchmark import benchmark
from .canvas import Canvas
from .flow import flow
from .phases import phases
from .rewrite import rewrite

FOLDER = Path(__file__).resolve().parents[2] / "docs" / "pictures"
PICTURES: dict[str, Callable[[], Canvas]] = {
    draw.__name__: draw for draw in (algorithms, benchmark, flow, phases, rewrite)
}
