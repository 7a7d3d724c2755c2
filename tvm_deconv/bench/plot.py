"""The plot of a benchmark's results: ratio to the fastest peer, and share of the peak."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from tvm_deconv.files import replacing
from tvm_deconv.plotting import check

from .figures import FigureRow, geometric_mean, rows
from .table import machine_of

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Beside its bar, above the lines.
_LABEL: dict[str, Any] = {
    "padding": 3,
    "fontsize": "small",
    "bbox": {"facecolor": "white", "edgecolor": "none", "pad": 1},
}
_AHEAD, _BEHIND = "#2a7f9e", "#c8553d"
_EFFECTIVE, _DIRECT = "#c9c9c9", "#6b6b6b"


def plot(results: Mapping[str, Any], path: str | os.PathLike) -> None:
    """Draw a result file to ``path``; the ending says the format, such as .svg or .png.

    Raises what ``check`` raises, and OutputError where ``path`` cannot be written.
    """
    ending = check(path)
    from matplotlib.figure import Figure

    table = rows(results)[::-1]  # horizontal bars are counted from below
    figure = Figure(figsize=(11, 1.8 + 0.28 * len(table)), layout="constrained")
    left, right = figure.subplots(1, 2, sharey=True, width_ratios=(3, 2))
    _ratios(left, table)
    _shares(right, table)
    for axes in (left, right):
        axes.spines[["top", "right"]].set_visible(False)
    # Below, because bars may reach any corner.
    figure.legend(loc="outside lower right", ncols=2, frameon=False)
    figure.suptitle(
        f"{machine_of(results)}, {results['date'][:10]}, commit {results['commit'] or 'unknown'}",
        fontsize="medium",
    )
    with replacing(path) as unfinished:
        figure.savefig(unfinished, format=ending, dpi=150)


def _ratios(axes: Axes, table: list[FigureRow]) -> None:
    ratios = [row.ratio or 0 for row in table]
    colors = [_AHEAD if ratio >= 1 else _BEHIND for ratio in ratios]
    bars = axes.barh([row.name for row in table], ratios, color=colors)
    labels = [f"{row.ratio:.2f} ({row.fastest_peer})" if row.ratio else "" for row in table]
    axes.bar_label(bars, labels, **_LABEL)
    axes.axvline(1, color="black", linewidth=1)
    mean = geometric_mean(row.ratio for row in table)
    if mean is not None:
        axes.axvline(mean, color=_AHEAD, linewidth=1, linestyle="--")
        axes.set_title(f"fastest peer / ours, geometric mean {mean:.2f}", fontsize="medium")
    axes.set_xlim(0, 1.4 * max([1, *ratios]))
    axes.margins(y=0.01)


def _shares(axes: Axes, table: list[FigureRow]) -> None:
    """The direct form's share is a narrow bar before the effective one."""
    names, effective = [row.name for row in table], [100 * (row.share or 0) for row in table]
    direct = [100 * (row.direct_share or 0) for row in table]
    bars = axes.barh(names, effective, color=_EFFECTIVE, label="effective, of peak")
    axes.barh(names, direct, height=0.3, color=_DIRECT, label="direct, of peak")
    axes.bar_label(
        bars,
        [f"{row.gflops:.0f} GFLOP/s" if row.gflops else "" for row in table],
        **_LABEL,
    )
    axes.axvline(100, color="black", linewidth=1)
    axes.set_title("ours, % of the multiply-add peak", fontsize="medium")
    axes.set_xlim(0, 1.3 * max([100, *effective, *direct]))
