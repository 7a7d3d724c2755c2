"""``make exports``: every architecture through every exporter, to a table in docs/exports.md."""

from __future__ import annotations

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path

from fuzz import outcome as kinds
from fuzz.pool import Worker
from paths import ROOT

from tvm_deconv.measure.facts import facts

from .architectures.table import ARCHITECTURES
from .exporters import EXPORTERS
from .page import updated
from .record import read, row, written
from .take import FIXED, FREE

RECORD, PAGE = ROOT / "docs" / "exports.json", ROOT / "docs" / "exports.md"
_PACKAGES = ("torch", "onnxruntime", "onnxscript")
# Of processor time, the export included.
_HANG_SECONDS = 240.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a result was wrong or anything but a refusal ended a compilation."""
    options = _parser().parse_args(arguments)
    every = [(a, e, s) for a in ARCHITECTURES for e in EXPORTERS for s in (FIXED, FREE)]
    before = read(options.out)
    wanted = [key for key in every if re.search(options.only, ", ".join(key), re.IGNORECASE)]
    if options.missing:
        wanted = [key for key in wanted if key not in before]
    # What is not run again stays; what there is no more goes.
    rows = {key: before[key] for key in every if key in before and key not in wanted}
    about = facts(2, *_PACKAGES)
    worker, failed = Worker("exports.take"), 0
    try:
        for architecture, exporter, sizes in wanted:
            request = {"architecture": architecture, "exporter": exporter, "sizes": sizes}
            result = worker.run(request, _HANG_SECONDS)
            rows[architecture, exporter, sizes] = row(request, result)
            if options.keep:
                in_order = {key: rows[key] for key in every if key in rows}
                options.out.write_text(written(in_order, about), encoding="utf-8")
            failed += result.outcome.kind in kinds.FAILURES
            told = f"{architecture}, {exporter}, {sizes}: {result.outcome.kind}"
            print(f"{told} ({result.seconds:.0f} s) {result.outcome.message}", flush=True)
            if options.detail:
                print(result.outcome.detail, result.noise, sep="\n")
    finally:
        worker.close()
    if options.keep:
        PAGE.write_text(updated(PAGE.read_text(encoding="utf-8"), RECORD), encoding="utf-8")
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make exports", description=__doc__)
    add = parser.add_argument
    add(
        "--only",
        default="",
        help="regular expression: cases whose name has it (IMDN, 'opset 11, free')",
    )
    add("--missing", action="store_true", help="only cases that the record has not yet")
    add("--detail", action="store_true", help="the traceback of what failed, too")
    add("--out", type=Path, default=RECORD, help="the record (default: docs/exports.json)")
    add("--no-keep", dest="keep", action="store_false", help="write neither record nor page")
    return parser


if __name__ == "__main__":
    sys.exit(main())
