"""What became of all cases, in a form to read."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from . import outcome as kinds
from .outcome import pattern
from .pool import Result
from .shrink import sign

# Longer than this is worth a look, though it is no hang.
_SLOW_SECONDS = 10.0


@dataclass
class Report:
    """Results by number of the case."""

    seed: int
    results: dict[int, tuple[str, Result]] = field(default_factory=dict)

    def add(self, index: int, family: str, result: Result) -> None:
        self.results[index] = family, result

    def failed(self) -> dict[tuple[str, str], list[int]]:
        """The cases that failed, those together that seem to fail alike."""
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, (_, result) in sorted(self.results.items()):
            if result.outcome.failed:
                groups[sign(result)].append(index)
        return dict(groups)

    def failures(self) -> list[int]:
        """The numbers of all cases that failed."""
        return sorted(i for indices in self.failed().values() for i in indices)

    def lines(self) -> Iterable[str]:
        """Counts by outcome and family, refusals by message, and every failure."""
        outcomes = Counter(result.outcome.kind for _, result in self.results.values())
        yield f"{len(self.results)} cases of seed {self.seed}: " + ", ".join(
            f"{outcomes[kind]} {kind}" for kind in sorted(outcomes, key=_order)
        )
        yield ""
        yield from self._families()
        for kind in (kinds.REFUSED, kinds.INVALID):
            yield ""
            yield f"{kind}, by message:"
            yield from _counted(
                result.outcome.pattern
                for _, result in self.results.values()
                if result.outcome.kind == kind
            )
        noise = [first for _, r in self.results.values() if (first := _first_noise(r.noise))]
        if noise:
            yield ""
            yield "lines on stderr, though nothing failed:"
            yield from _counted(noise)
        slow = [
            (r.seconds, i, f) for i, (f, r) in self.results.items() if r.seconds > _SLOW_SECONDS
        ]
        if slow:
            yield ""
            yield "slow: " + ", ".join(
                f"case {i} ({f}) {s:.0f} s" for s, i, f in sorted(slow)[::-1]
            )
        for (kind, words), indices in self.failed().items():
            yield ""
            yield f"{kind.upper()} {words} ({len(indices)} cases)"
            for index in indices[:8]:
                family, result = self.results[index]
                yield f"  case {index} ({family}): {result.outcome.message}"

    def _families(self) -> Iterable[str]:
        table: dict[str, Counter[str]] = defaultdict(Counter)
        seconds: Counter[str] = Counter()
        for family, result in self.results.values():
            table[family][result.outcome.kind] += 1
            seconds[family] += result.seconds  # type: ignore[assignment]
        for family, counts in sorted(table.items()):
            words = ", ".join(f"{counts[kind]} {kind}" for kind in sorted(counts, key=_order))
            yield f"  {family:18} {words}; {seconds[family] / sum(counts.values()):.2f} s each"


def _order(kind: str) -> int:
    order = (kinds.OK, kinds.REFUSED, kinds.INVALID, *kinds.FAILURES)
    return order.index(kind)


def _counted(messages: Iterable[str]) -> Iterable[str]:
    for message, count in Counter(messages).most_common():
        yield f"  {count:5} {message}"


def _first_noise(noise: str) -> str:
    lines = [line for line in noise.splitlines() if line.strip()]
    return pattern(lines[0].partition("] ")[2] or lines[0]) if lines else ""
