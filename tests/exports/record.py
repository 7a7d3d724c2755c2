"""The record of a run: what became of each case, one a line, and where that was."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from fuzz.pool import Result

Key = tuple[str, str, str]


def row(request: Mapping[str, Any], result: Result) -> dict[str, Any]:
    """``request`` with the outcome, its message, and processor seconds."""
    found = {**request, "outcome": result.outcome.kind, **result.facts}
    return {**found, "message": result.outcome.message} if result.outcome.message else found


def written(rows: Mapping[Key, Mapping[str, Any]], facts: Mapping[str, Any]) -> str:
    """JSON of which a person can read the differences."""
    lines = ",\n".join("  " + json.dumps(found, ensure_ascii=False) for found in rows.values())
    head = json.dumps(facts, indent=1)[1:-2]
    return f'{{{head},\n "cases": [\n{lines}\n ]\n}}\n'


def read(path: Path) -> dict[Key, dict[str, Any]]:
    """The rows of a record by architecture, exporter and sizes; none where there is no file."""
    if not path.exists():
        return {}
    cases = json.loads(path.read_text(encoding="utf-8"))["cases"]
    return {(c["architecture"], c["exporter"], c["sizes"]): c for c in cases}
