"""Figures from the samples of a result file: what the table and the plot show.

Nothing here measures, and nothing but the result file is read.
"""

from __future__ import annotations

import json
import os
import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tvm_deconv.errors import BenchError

FORMAT = 1
"""Of the result file; another number means other fields."""

HEADLINE = "auto"
"""The contestant of ours that is compared with the peers: what a user gets."""

DIRECT = "direct"
"""The same without Winograd's algorithm, so that it does the work that it is credited with."""

OURS, BASELINE, PEER, PEAK = "ours", "baseline", "peer", "peak"
MEASURED, NOT_SUPPORTED = "measured", "not supported"
WRONG, FAILED = "wrong", "failed"


def read(path: str | os.PathLike) -> dict[str, Any]:
    """A result file. Raises BenchError for one that is missing or none of ours."""
    try:
        with open(path, encoding="utf-8") as file:
            results = json.load(file)
    except OSError as error:
        raise BenchError(f"cannot read {os.fspath(path)}: {error.strerror}") from error
    except ValueError as error:
        raise BenchError(f"{os.fspath(path)} is not JSON: {error}") from error
    found = results.get("format") if isinstance(results, dict) else None
    if found != FORMAT:
        raise BenchError(
            f"{os.fspath(path)} is not a result of tvm-deconv bench of format {FORMAT}: "
            f"its format is {found!r}"
        )
    return results


@dataclass(frozen=True)
class Spread:
    """Median and the quartiles around it, in the samples' unit, and how many samples there are."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, samples: Sequence[float]) -> Spread:
        """Raises statistics.StatisticsError for no samples."""
        if len(samples) == 1:
            return cls(samples[0], samples[0], samples[0], 1)
        low, median, high = statistics.quantiles(samples, n=4, method="inclusive")
        return cls(median, low, high, len(samples))

    def __str__(self) -> str:
        # A GPU takes microseconds for what takes a processor milliseconds.
        digits = 2 if self.median >= 0.1 else 4
        half = f" ±{(self.high - self.low) / 2:.{digits}f}" if self.count > 1 else ""
        return f"{self.median:.{digits}f}{half}"


@dataclass(frozen=True)
class FigureRow:
    """One workload: times in milliseconds of everybody who counts, by name.

    ``ratio`` is the fastest peer's median over ours; ``gflops`` counts 2 for each multiply-add of
    the transposed convolutions. Winograd's algorithm does fewer, so ``share`` is an effective one
    that may be over 1; ``direct_share`` is of work that is really done. ``form_multiply_adds`` are
    those that our kernels' forms do, without their transforms.
    """

    name: str
    kind: str
    times: Mapping[str, Spread]
    roles: Mapping[str, str]
    multiply_adds: int | None
    peak_gflops: float | None
    form_multiply_adds: int | None = None

    @property
    def ours(self) -> Spread | None:
        return self.times.get(HEADLINE)

    @property
    def fastest_peer(self) -> str | None:
        peers = [name for name in self.times if self.roles[name] == PEER]
        return min(peers, key=lambda name: self.times[name].median, default=None)

    @property
    def ratio(self) -> float | None:
        return self.ratio_to(self.fastest_peer)

    def ratio_to(self, name: str | None) -> float | None:
        """How many times faster than that contestant we are; None if either was not measured."""
        if self.ours is None or name is None or name not in self.times:
            return None
        return self.times[name].median / self.ours.median

    @property
    def gflops(self) -> float | None:
        return self._gflops(HEADLINE)

    @property
    def share(self) -> float | None:
        """Of the multiply-add peak that was measured between the same contestants."""
        return self._share(HEADLINE)

    @property
    def direct_share(self) -> float | None:
        """The same of ``DIRECT``; None where it was not measured."""
        return self._share(DIRECT)

    @property
    def bound_share(self) -> float | None:
        """The time that our forms' multiply-adds take at the peak, of ours: 1 is their bound."""
        if self.ours is None or self.peak_gflops is None or self.form_multiply_adds is None:
            return None
        return self._rate(HEADLINE, self.form_multiply_adds) / self.peak_gflops

    def _gflops(self, name: str) -> float | None:
        if name not in self.times or self.multiply_adds is None:
            return None
        return self._rate(name, self.multiply_adds)

    def _rate(self, name: str, multiply_adds: int) -> float:
        return 2 * multiply_adds / self.times[name].median / 1e6

    def _share(self, name: str) -> float | None:
        gflops = self._gflops(name)
        if gflops is None or self.peak_gflops is None:
            return None
        return gflops / self.peak_gflops


def rows(results: Mapping[str, Any]) -> list[FigureRow]:
    """One row for each workload of a result file, in its order."""
    roles = results["roles"]
    return [_row(name, workload, roles) for name, workload in results["workloads"].items()]


def _row(name: str, workload: Mapping[str, Any], roles: Mapping[str, str]) -> FigureRow:
    records = workload["contestants"]
    times = {
        who: Spread.of(record["ms"])
        for who, record in records.items()
        if record["status"] == MEASURED and record["ms"]
    }
    peaks = [
        records[who]["facts"]["flop"] / times[who].median / 1e6
        for who in times
        if roles[who] == PEAK
    ]
    return FigureRow(
        name,
        workload["kind"],
        {who: spread for who, spread in times.items() if roles[who] != PEAK},
        roles,
        workload["multiply_adds"],
        peaks[0] if peaks else None,
        records.get(HEADLINE, {}).get("facts", {}).get("form_multiply_adds"),
    )


def geometric_mean(ratios: Iterable[float | None]) -> float | None:
    """Of those that are known; None if none is."""
    known = [ratio for ratio in ratios if ratio is not None]
    return statistics.geometric_mean(known) if known else None


def lost(table: Iterable[FigureRow]) -> list[FigureRow]:
    """Workloads on which a peer is faster than we are, the worst first."""
    slower = [(row.ratio, row) for row in table if row.ratio is not None and row.ratio < 1]
    return [row for _, row in sorted(slower, key=lambda pair: pair[0])]
