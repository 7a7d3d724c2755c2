"""Timing contestants against each other, and the facts that such figures are worthless without."""

from __future__ import annotations

import datetime
import platform
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

# TVM's idle workers spin for about 100 ms after a kernel, on the cores that the next contestant
# needs: with a pause of 50 ms ONNX Runtime looks twice as slow on layers of a millisecond.
_PAUSE_S = 0.3
_CALLS_A_TURN = 5


def contest(
    contestants: Mapping[str, Callable[[], object]], *, turns: int = 8, limit_s: float = 20
) -> dict[str, list[float]]:
    """Milliseconds of every call of every contestant.

    They take turns, each time in another order. A turn begins with a call that does not count and
    holds five that do. After ``limit_s`` seconds no new turn starts, but everybody has had one.
    """
    samples: dict[str, list[float]] = {name: [] for name in contestants}
    names = list(contestants)
    started = time.perf_counter()
    for turn in range(turns):
        if turn and time.perf_counter() - started > limit_s:
            break
        shift = turn % len(names)
        for name in names[shift:] + names[:shift]:
            time.sleep(_PAUSE_S)
            contestants[name]()
            for _ in range(_CALLS_A_TURN):
                begin = time.perf_counter()
                contestants[name]()
                samples[name].append((time.perf_counter() - begin) * 1e3)
    return samples


def summary(samples: list[float]) -> dict[str, float]:
    """Median and the quartiles around it, in the samples' unit."""
    low, median, high = statistics.quantiles(samples, n=4)
    return {"median": median, "lower_quartile": low, "upper_quartile": high}


def spread(times: Mapping[str, float]) -> str:
    """Median and half the distance between the quartiles of a ``summary``."""
    half = (times["upper_quartile"] - times["lower_quartile"]) / 2
    return f"{times['median']:.2f} ±{half:.2f}"


def aligned(rows: Sequence[Sequence[str]]) -> str:
    """Rows of cells as lines with aligned columns."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "  ".join(cell.ljust(n) for cell, n in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def facts(threads: int, *packages: str) -> dict[str, object]:
    """Machine, versions, threads and date."""
    versions = {"python": platform.python_version()}
    for package in ("tvm-deconv", "apache-tvm", "apache-tvm-ffi", "numpy", *packages):
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "not installed"
    return {
        "machine": {"cpu": cpu_model(), "system": platform.platform()},
        "threads": threads,
        "versions": versions,
        "date": datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds"),
    }


def cpu_model() -> str:
    """What the processor calls itself."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    for line in lines:
        key, _, value = line.partition(":")
        if key.strip() in ("model name", "Model"):
            return value.strip()
    return platform.processor() or platform.machine()
