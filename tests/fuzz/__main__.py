"""``make fuzz``: run many cases, or one of them again."""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from . import board, cases
from .pool import HANG_SECONDS, Result, Worker
from .report import Report
from .shrink import shrink, sign

# A case that hangs is tried again at every step of making it smaller.
_HANG_WHEN_SHRINKING = 15.0


def main(arguments: Sequence[str] | None = None) -> int:
    """Exit status 1 where a case failed."""
    options = _parser().parse_args(arguments)
    unknown = set(options.families) - set(cases.FAMILIES)
    if unknown:
        print(f"no family {', '.join(sorted(unknown))}: there are {', '.join(cases.FAMILIES)}")
        return 2
    if options.board:
        board.install()
        os.environ[board.VARIABLE] = options.board
    if options.case is not None:
        return _repeat(options)
    report = Report(options.seed)
    numbers = range(options.first, options.first + options.cases)
    run_cases(report, numbers, tuple(options.families), options.processes, options.verbose)
    text = "\n".join(report.lines())
    smaller = list(_smaller(report, options.shrink, options.seconds))
    print("\n".join([text, *smaller]))
    if options.out:
        Path(options.out).write_text("\n".join([text, *smaller]) + "\n", encoding="utf-8")
    return 1 if report.failed() else 0


def run_cases(
    report: Report,
    numbers: Sequence[int],
    families: tuple[str, ...] = (),
    processes: int = 2,
    verbose: bool = False,
) -> None:
    """Run the cases of these numbers in worker processes and add the results to the report."""
    waiting, lock = iter(numbers), threading.Lock()

    def work() -> None:
        worker = Worker()
        try:
            while True:
                with lock:
                    index = next(waiting, None)
                if index is None:
                    return
                family = cases.family_of(report.seed, index, families)
                request = {"family": family, "seed": report.seed, "index": index}
                result = worker.run(request)
                with lock:
                    report.add(index, family, result)
                    if verbose or result.outcome.failed:
                        print(_line(index, family, result), file=sys.stderr, flush=True)
                    elif len(report.results) % 500 == 0:
                        print(f"{len(report.results)} cases", file=sys.stderr, flush=True)
        finally:
            worker.close()

    threads = [threading.Thread(target=work) for _ in range(processes)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def _repeat(options: argparse.Namespace) -> int:
    """One case again: what it is, what became of it, and the smallest that fails like it."""
    family = cases.family_of(options.seed, options.case, tuple(options.families))
    worker = Worker()
    request: dict[str, Any] = {"family": family, "seed": options.seed, "index": options.case}
    if options.choices:
        request["choices"] = json.loads(options.choices)
    try:
        print(worker.run({**request, "only_text": True}).text)
        result = worker.run(request)
        print(_line(options.case, family, result))
        print(result.outcome.detail or "", result.noise, sep="\n")
        if not result.outcome.failed:
            return 0
        smallest = _smallest(worker, family, request, result, options.seconds)
        print(*_shown(family, smallest), sep="\n")
        return 1
    finally:
        worker.close()


def _smaller(report: Report, most: int, seconds: float) -> Iterator[str]:
    """Of up to so many cases that failed the smallest, and those together that look alike."""
    alike: dict[tuple[str, ...], list[tuple[int, Result]]] = {}
    worker = Worker()
    try:
        for index in report.failures()[:most]:
            family, result = report.results[index]
            request = {"family": family, "seed": report.seed, "index": index}
            found = _smallest(worker, family, request, result, seconds)
            alike.setdefault((family, *sign(found), *_operators(found.text)), []).append(
                (index, found)
            )
            print(f"case {index} made smaller", file=sys.stderr, flush=True)
    finally:
        worker.close()
    for (family, kind, words, *operators), found_cases in sorted(alike.items()):
        _, least = min(found_cases, key=lambda case: len(case[1].choices))
        indices = ", ".join(str(index) for index, _ in found_cases)
        yield f"\n--- {kind.upper()} {words} [{' '.join(operators)}], of cases {indices}:"
        yield from _shown(family, least)


def _operators(text: str) -> list[str]:
    """What is in a printed case: operators of ONNX, steps of PyTorch, the variant of a layer."""
    found = re.findall(r"^ *\w+ = ([\w.]+)|^variant (\w+)", text, re.MULTILINE)
    return sorted({node or variant for node, variant in found} - {"input", "Constant"})


def _smallest(
    worker: Worker, family: str, request: dict[str, Any], result: Result, seconds: float
) -> Result:
    """The smallest case that fails like this one, found in that time."""
    if not result.choices:
        # The process died with them: they are drawn again.
        made = worker.run({**request, "only_text": True})
        result = Result(result.outcome, result.seconds, made.choices, made.spans, made.text)
    limit = _HANG_WHEN_SHRINKING if result.outcome.kind == "hang" else HANG_SECONDS

    def attempt(choices: list[int]) -> Result:
        found = worker.run({"family": family, "choices": choices}, limit)
        if found.choices:
            return found
        made = worker.run({"family": family, "choices": choices, "only_text": True})
        return Result(found.outcome, found.seconds, made.choices, made.spans, made.text)

    return shrink(result, attempt, seconds)


def _shown(family: str, result: Result) -> Iterator[str]:
    yield result.text
    yield f"{result.outcome.kind}: {result.outcome.message}"
    yield result.outcome.detail
    yield f"again: --families {family} --case 0 --choices '{json.dumps(result.choices)}'"


def _line(index: int, family: str, result: Result) -> str:
    found = result.outcome
    return f"case {index} ({family}, {result.seconds:.1f} s): {found.kind} {found.message}"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    add = parser.add_argument
    add("--cases", type=int, default=500, help="how many (default: 500)")
    add("--first", type=int, default=0, help="number of the first (default: 0)")
    add("--seed", type=int, default=0, help="what the cases are drawn from (default: 0)")
    add("--families", nargs="*", default=(), help=f"only these of {', '.join(cases.FAMILIES)}")
    add("--processes", type=int, default=2, help="at a time (default: 2)")
    add("--case", type=int, help="run the case of this number again, print it and make it smaller")
    add("--choices", help="its choices as a list, as a report gives them, in place of the seed's")
    add("--shrink", type=int, default=0, help="make so many that failed smaller")
    add("--seconds", type=float, default=60.0, help="to spend on making one smaller (default: 60)")
    add("--out", help="write the report to this file, too")
    add("--board", choices=board.CORES, help="run them under qemu, compiled for this core")
    add("--verbose", action="store_true", help="a line for each case")
    return parser


if __name__ == "__main__":
    sys.exit(main())
