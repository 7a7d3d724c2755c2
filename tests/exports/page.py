"""docs/exports.md: the part of it that is the record in words and tables."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from fuzz import outcome as kinds
from fuzz.outcome import pattern

BEGIN, END = "<!-- from exports.json, by make exports -->", "<!-- end of that -->"
_MARKS = {kinds.OK: "✓", kinds.REFUSED: "R", kinds.INVALID: "-"}
_FAILED = "✗"
Case = Mapping[str, Any]


def updated(page: str, record: Path) -> str:
    """The page with what the record says between its two marks."""
    head, begin, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not (begin and end):
        raise ValueError(f"the page lacks {BEGIN!r} or {END!r}")
    lines = "\n".join(_lines(json.loads(record.read_text(encoding="utf-8"))))
    return f"{head}{BEGIN}\n{lines}\n{END}{tail}"


def _lines(record: Mapping[str, Any]) -> Iterator[str]:
    cases: Sequence[Case] = record["cases"]
    versions = record["versions"]
    names = ("torch", "onnx", "onnxscript", "onnxruntime", "apache-tvm")
    yield f"{record['date'][:10]}, {record['machine']['cpu']}, " + ", ".join(
        f"{name} {versions[name]}" for name in names
    )
    yield ""
    yield from _counts(cases)
    yield ""
    yield from _table(cases)
    yield ""
    yield "### Refused"
    yield ""
    yield from _by_message(cases, (kinds.REFUSED,), "Nothing.")
    yield ""
    yield "### Not exported"
    yield ""
    yield from _by_message(cases, (kinds.INVALID,), "Nothing.")
    failed = [case for case in cases if case["outcome"] in kinds.FAILURES]
    if failed:
        yield ""
        yield "### Failures"
        yield ""
        yield from _by_message(cases, kinds.FAILURES, "")


def _counts(cases: Sequence[Case]) -> Iterator[str]:
    count = Counter(case["outcome"] for case in cases)
    exported = len(cases) - count[kinds.INVALID]
    right = count[kinds.OK]
    yield "| cases | |"
    yield "|---|---|"
    yield f"| tried | {len(cases)} |"
    yield f"| exported by PyTorch | {exported} |"
    yield f"| compiled, and right | {right} ({100 * right / max(exported, 1):.1f} %) |"
    yield f"| refused in one line | {count[kinds.REFUSED]} |"
    yield f"| wrong | {count[kinds.WRONG]} |"
    others = sum(count[kind] for kind in kinds.FAILURES if kind != kinds.WRONG)
    yield f"| ended by an exception, a crash or the time limit | {others} |"
    ratios = list(_ratios(cases))
    if ratios:
        yield f"| compiling for free sizes takes, median | {median(ratios):.1f} times as long |"


def _ratios(cases: Sequence[Case]) -> Iterator[float]:
    """Processor seconds of compiling for free sizes, in those for fixed ones."""
    seconds = {
        (case["architecture"], case["exporter"], case["sizes"]): case["compile_seconds"]
        for case in cases
        if case["outcome"] == kinds.OK
    }
    for (architecture, exporter, sizes), free in seconds.items():
        fixed = seconds.get((architecture, exporter, "fixed"))
        if sizes == "free" and fixed:
            yield free / fixed


def _table(cases: Sequence[Case]) -> Iterator[str]:
    exporters = list(dict.fromkeys(case["exporter"] for case in cases))
    marks: dict[str, dict[str, str]] = defaultdict(dict)
    for case in cases:  # fixed sizes come before free ones
        row = marks[case["architecture"]]
        mark = _MARKS.get(case["outcome"], _FAILED)
        row[case["exporter"]] = f"{row.get(case['exporter'], '')} {mark}".strip()
    yield "| architecture | " + " | ".join(exporters) + " |"
    yield "|---|" + "---|" * len(exporters)
    for architecture, row in marks.items():
        yield f"| {architecture} | " + " | ".join(row.get(e, "") for e in exporters) + " |"


def _by_message(cases: Sequence[Case], outcomes: Sequence[str], none: str) -> Iterator[str]:
    """One item for each message, numbers and names aside: the first such line, and whose it is."""
    alike: dict[str, list[Case]] = defaultdict(list)
    for case in cases:
        if case["outcome"] in outcomes:
            alike[pattern(case["message"])].append(case)
    if not alike:
        yield none
    for found in sorted(alike.values(), key=len, reverse=True):
        whose: dict[tuple[str, str], list[str]] = defaultdict(list)
        for case in found:
            whose[case["architecture"], case["sizes"]].append(case["exporter"])
        places = "; ".join(f"{a}, {s} ({', '.join(e)})" for (a, s), e in whose.items())
        yield f"- {len(found)}: `{found[0]['message']}`"
        yield f"  - {places}"
