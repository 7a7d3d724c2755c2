"""The results of a benchmark as tables for people, Markdown that a terminal shows well too."""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from .figures import BASELINE, HEADLINE, MEASURED, OURS, PEER, FigureRow, geometric_mean, lost, rows

_UNREWRITTEN = "no-rewrite"

# Of our own versions only this one says how fast we are; all are in the result file.
_RUNTIME = "apache-tvm"

# Processors in use against threads asked for: beyond these somebody cheats, or was disturbed.
_TOO_BUSY, _TOO_IDLE = 1.2, 0.75

# The kernel accounts for processors in steps of a few milliseconds: shorter turns say nothing.
_ACCOUNTABLE_MS = 50


def render(results: Mapping[str, Any]) -> str:
    """Everything worth telling about a result file, as text."""
    table = rows(results)
    parts = [
        heading(results),
        main_table(table, results),
        summary(table),
        times_table("ours", table, results, OURS),
        times_table("peers", table, results, PEER),
        memory_table(table, results),
        notes(results),
    ]
    return "\n\n".join(part for part in parts if part)


def heading(results: Mapping[str, Any]) -> str:
    """Machine, threads, date, commit, the versions of TVM and the peers, and units."""
    told = [
        f"{name} {version}"
        for name, version in results["versions"].items()
        if name == _RUNTIME or results["roles"].get(name) == PEER
    ]
    lines = [
        f"{machine_of(results)}, {results['date']}, commit {results['commit'] or 'unknown'}",
        ", ".join(told),
        "Milliseconds, median ± half the distance between the quartiles. Of peak: of the "
        "multiply-add peak measured beside. Effective: counted as the direct form's work, of which "
        "Winograd's algorithm does less, so over 100% is possible. Of its bound: the time that the "
        "multiply-adds of the form that computes it take at that peak.",
    ]
    if results.get("busy"):
        lines.append(f"Beside {results['busy']} other processes that computed all the time.")
    if results["interrupted"]:
        lines.append("The run was interrupted: what follows is what had been measured.")
    return "\n".join(lines)


def machine_of(results: Mapping[str, Any]) -> str:
    """What was measured on, and in which dtype: a GPU, if the results are of one."""
    machine, dtype = results["machine"], results.get("dtype", "float32")
    if "gpu" in machine:
        return f"{machine['gpu']}, {dtype}"
    processors = f"{machine['processors']} processors, {threads_of(results)} each"
    return f"{machine['cpu']}, {processors}, {dtype}"


def threads_of(results: Mapping[str, Any]) -> str:
    """``1 thread`` or ``2 threads``."""
    return f"{results['threads']} thread{'s' * (results['threads'] > 1)}"


def main_table(table: Sequence[FigureRow], results: Mapping[str, Any]) -> str:
    """Ours against the fastest peer and TVM without us, with work done and memory planned."""
    header = ["workload", "computed by", "ours", "fastest peer", "", "ratio", "GFLOP/s"]
    header += ["effective, of peak", "of its bound", "direct, of peak"]
    baselines = [name for name, role in results["roles"].items() if role == BASELINE]
    cells = []
    for row in table:
        peer, contestants = row.fastest_peer, results["workloads"][row.name]["contestants"]
        cells.append(
            [
                row.name,
                next(iter(contestants.get(HEADLINE, {}).get("notes", [])), ""),
                text(row.ours),
                peer or "",
                text(row.times.get(peer or "")),
                number(row.ratio),
                number(row.gflops, 0),
                percentage(row.share),
                percentage(row.bound_share),
                percentage(row.direct_share),
                *(text(row.times.get(name)) for name in baselines),
                *_memory(contestants),
            ]
        )
    header += [*baselines, "MiB, not rewritten", "MiB, rewritten"]
    return aligned(_without_empty_columns([header, *cells]))


def summary(table: Sequence[FigureRow]) -> str:
    """Geometric means, the smallest ratio and the workloads lost."""
    lines = []
    for kind in ("layer", "network"):
        chosen = [row for row in table if row.kind == kind and row.ratio is not None]
        if not chosen:
            continue
        worst = min(chosen, key=lambda row: row.ratio or 0)
        lines.append(
            f"{len(chosen)} {kind}{'s' * (len(chosen) > 1)}: "
            "geometric mean of the ratios to the fastest peer "
            f"{number(geometric_mean(row.ratio for row in chosen))}, smallest "
            f"{number(worst.ratio)} ({worst.name})"
        )
    if lines:
        names = [f"{row.name} ({number(row.ratio)}, {row.fastest_peer})" for row in lost(table)]
        lines.append(f"lost to a peer: {', '.join(names) or 'none'}")
    for name in sorted({n for row in table for n in row.times if row.roles[n] == BASELINE}):
        mean = geometric_mean(row.ratio_to(name) for row in table)
        lines.append(f"geometric mean of {name} / ours: {number(mean)}")
    return "\n".join(lines)


def times_table(
    title: str, table: Sequence[FigureRow], results: Mapping[str, Any], role: str
) -> str:
    """Medians of all contestants of a role; the last line is each one's largest error."""
    names = [name for name, played in results["roles"].items() if played == role]
    header = [title, *names]
    body = [[row.name, *(text(row.times.get(name)) for name in names)] for row in table]
    errors = [f"{error:.0e}" if (error := _error(results, name)) else "" for name in names]
    last = ["largest error, relative to the largest value", *errors]
    if all(not cell for line in body for cell in line[1:]):
        return ""
    return aligned(_without_empty_columns([header, *body, last]))


def memory_table(table: Sequence[FigureRow], results: Mapping[str, Any]) -> str:
    """What a run adds to the resident memory of a process, of ours beside its plan, in MiB."""
    names = [name for name, role in results["roles"].items() if role in (OURS, PEER)]
    header = ["resident at the peak of a run, MiB", "planned, without weights", *names]
    body = []
    for row in table:
        contestants = results["workloads"][row.name]["contestants"]
        *_, planned = _memory(contestants)
        body.append([row.name, planned, *(_resident(contestants.get(name)) for name in names)])
    if all(not cell for line in body for cell in line[2:]):
        return ""
    return aligned(_without_empty_columns([header, *body]))


def _resident(contestant: Mapping[str, Any] | None) -> str:
    memory = (contestant or {}).get("memory", {})
    return f"{(memory['peak'] - memory['before']) / 2**20:.0f}" if "peak" in memory else ""


def notes(results: Mapping[str, Any]) -> str:
    """Who does not count and why, and who used more or fewer processors than threads.

    What contestants remark on themselves is only in the result file, except for the baselines.
    """
    lines = [f"{peer} is left out: {reason}" for peer, reason in results["left_out"].items()]
    threads = results["threads"]
    remarks: dict[str, None] = {}
    for workload, record in results["workloads"].items():
        for name, contestant in record["contestants"].items():
            where, role = f"{workload}, {name}", results["roles"][name]
            if contestant["status"] != MEASURED:
                lines.append(f"{where}: {contestant['status']}: {contestant['reason']}")
                continue
            if "reason" in contestant.get("memory", {}):
                lines.append(f"{where}: memory is not known: {contestant['memory']['reason']}")
            # Among other processes nobody gets what it asks for.
            busy = None if results.get("busy") else _busy(contestant)
            if busy is not None and busy > threads * _TOO_BUSY:
                lines.append(f"{where}: kept {busy:.1f} processors busy")
            elif busy is not None and busy < threads * _TOO_IDLE and role != BASELINE:
                lines.append(f"{where}: kept only {busy:.1f} processors busy")
            if role == BASELINE:
                remarks |= dict.fromkeys(f"{name}: {note}" for note in contestant["notes"])
    return "\n".join(f"- {line}" for line in [*lines, *remarks])


def _busy(contestant: Mapping[str, Any]) -> float | None:
    """Processors in use: the median of all turns, or where these are short that after loading.

    None where neither tells: older result files have only the turns.
    """
    shares = contestant["cpu_share"]
    if shares and sum(contestant["ms"]) >= _ACCOUNTABLE_MS * len(shares):
        return statistics.median(shares)
    return contestant.get("load_cpu_share")


def aligned(lines: Sequence[Sequence[str]]) -> str:
    """The lines, of which the first is the header, as a Markdown table with aligned columns."""
    widths = [max(3, *map(len, column)) for column in zip(*lines, strict=True)]
    rule = ["-" * width for width in widths]
    return "\n".join(
        "| " + " | ".join(cell.ljust(n) for cell, n in zip(line, widths, strict=True)) + " |"
        for line in (lines[0], rule, *lines[1:])
    )


def _without_empty_columns(lines: Sequence[Sequence[str]]) -> list[list[str]]:
    kept = [i for i, column in enumerate(zip(*lines, strict=True)) if any(column[1:])]
    return [[line[i] for i in kept] for line in lines]


def _memory(contestants: Mapping[str, Any]) -> Iterable[str]:
    """Planned memory without and with the rewrite."""
    for name in (_UNREWRITTEN, HEADLINE):
        facts = contestants.get(name, {}).get("facts", {})
        planned = facts.get("planned_bytes"), facts.get("scratch_bytes")
        yield "" if None in planned else f"{sum(planned) / 2**20:.1f}"


def _error(results: Mapping[str, Any], name: str) -> float | None:
    records = (workload["contestants"].get(name) for workload in results["workloads"].values())
    counted = (record for record in records if record and record["status"] == MEASURED)
    return max((record["error"] for record in counted), default=None)


def text(value: object | None) -> str:
    """A cell of a table: nothing for None."""
    return "" if value is None else str(value)


def percentage(value: float | None) -> str:
    """``42%``; nothing for None."""
    return "" if value is None else f"{value:.0%}"


def number(value: float | None, digits: int = 2) -> str:
    """With so many digits behind the point; nothing for None."""
    return "" if value is None else f"{value:.{digits}f}"
