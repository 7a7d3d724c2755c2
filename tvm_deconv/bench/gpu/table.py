"""The results of the GPU benchmark as a table: ratios, shares of the card's bounds, the goals.

A layer is bound by memory if moving its bytes once, at the copy's speed, takes longer than its
multiply-adds at the peak's. Its share of the bandwidth counts each byte once, too.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm_deconv.bench.figures import HEADLINE, MEASURED, FigureRow, Spread, rows
from tvm_deconv.bench.table import aligned, number, percentage

GOALS = {"nearest": 2.0, "subpixel": 1.3, "deconv": 1.3}
"""The fastest peer's time over ours, by what a layer upsamples with."""

BANDWIDTH_GOAL = 0.8
"""Of the copy's, for a layer that is bound by memory."""

TUNED, COPY = "tuned", "copy"
"""Contestants: the fastest kernel of ours, candidates included, and copying within the memory."""


@dataclass(frozen=True)
class Verdict:
    """One contestant of ours on one layer: figures, and a sentence for each goal."""

    ms: Spread
    ratio: float | None
    share_of_peak: float | None
    share_of_copy: float | None
    goals: tuple[tuple[str, bool], ...]


def memory_bound(row: FigureRow, workload: Mapping[str, Any], copy_gbs: float | None) -> bool:
    """Whether the bytes take longer than the multiply-adds, at the measured bounds."""
    if copy_gbs is None or row.peak_gflops is None or row.multiply_adds is None:
        return False
    return workload["bytes"] / copy_gbs > 2 * row.multiply_adds / row.peak_gflops


def copy_gbs(workload: Mapping[str, Any]) -> float | None:
    """GB/s of the copy that was measured beside, bytes read and written; None if it was not."""
    record = workload["contestants"].get(COPY, {})
    if record.get("status") != MEASURED or not record["ms"]:
        return None
    return record["facts"]["bytes"] / Spread.of(record["ms"]).median / 1e6


def verdict(row: FigureRow, workload: Mapping[str, Any], name: str) -> Verdict | None:
    """None where that contestant was not measured."""
    ms = row.times.get(name)
    if ms is None:
        return None
    peer = row.times.get(row.fastest_peer or "")
    ratio = peer.median / ms.median if peer else None
    bandwidth = copy_gbs(workload)
    share_of_copy = workload["bytes"] / ms.median / 1e6 / bandwidth if bandwidth else None
    goals = []
    wanted = GOALS.get(workload["upsampling"])
    if wanted is not None and ratio is not None:
        goals.append((f"{wanted:g} x", ratio >= wanted))
    if share_of_copy is not None and memory_bound(row, workload, bandwidth):
        goals.append((f"{BANDWIDTH_GOAL:.0%} of copy", share_of_copy >= BANDWIDTH_GOAL))
    gflops = 2 * (row.multiply_adds or 0) / ms.median / 1e6
    share_of_peak = gflops / row.peak_gflops if row.peak_gflops else None
    return Verdict(ms, ratio, share_of_peak, share_of_copy, tuple(goals))


def render(results: Mapping[str, Any]) -> str:
    """A heading, the table, and how many goals are met."""
    header = ["layer", "computed by", "ms", "fastest peer", "ms", "ratio", "of FMA peak"]
    header += ["of copy", "bound by", "goals"]
    lines, tally = [header], {HEADLINE: [0, 0], TUNED: [0, 0]}
    for row in rows(results):
        workload = results["workloads"][row.name]
        by_memory = memory_bound(row, workload, copy_gbs(workload))
        for name in (HEADLINE, TUNED):
            found = verdict(row, workload, name)
            if found is None:
                continue
            for _, met in found.goals:
                tally[name][0] += met
                tally[name][1] += 1
            peer = row.times.get(row.fastest_peer or "")
            lines.append(
                [
                    row.name,
                    f"{name}: {workload['contestants'][name]['notes'][0]}",
                    _ms(found.ms),
                    row.fastest_peer or "none",
                    _ms(peer),
                    number(found.ratio),
                    percentage(found.share_of_peak),
                    percentage(found.share_of_copy),
                    "memory" if by_memory else "arithmetic",
                    ", ".join(f"{goal} {'met' if met else 'MISSED'}" for goal, met in found.goals),
                ]
            )
    told = [f"{name}: {met} of {all_} goals met" for name, (met, all_) in tally.items() if all_]
    return "\n\n".join([_heading(results), aligned(lines), "; ".join(told) or "no goal measured"])


def _heading(results: Mapping[str, Any]) -> str:
    peaks = [row.peak_gflops for row in rows(results) if row.peak_gflops]
    copies = [copy for workload in results["workloads"].values() if (copy := copy_gbs(workload))]
    measured = [
        f"multiply-add peak {min(peaks) / 1e3:.2f} to {max(peaks) / 1e3:.2f} TFLOP/s"
        if peaks
        else "",
        f"copy {min(copies):.0f} to {max(copies):.0f} GB/s" if copies else "",
    ]
    return (
        f"{results['machine']['gpu']}, {results['dtype']}, PyTorch "
        f"{results['versions'].get('torch', 'none')}, {results['date']}; "
        f"{', '.join(filter(None, measured)) or 'no bounds measured'}"
    )


def _ms(spread: Spread | None) -> str:
    if spread is None:
        return ""
    return f"{spread.median:.4f} ±{(spread.high - spread.low) / 2:.4f}"
