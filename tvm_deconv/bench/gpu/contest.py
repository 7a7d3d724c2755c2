"""One layer in one dtype: everybody is loaded and checked, the candidates are sifted, then turns.

A contestant is timed by replaying a pass: calls that follow each other on the device's queue, each
on buffers of its own, which together are three times as large as the last cache. So input and
output are in memory, not in the cache; weights stay where they are. What is checked is what a
replayed pass wrote over NaN.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tvm_deconv.bench.figures import (
    DIRECT,
    FAILED,
    HEADLINE,
    MEASURED,
    NOT_SUPPORTED,
    OURS,
    PEAK,
    PEER,
    WRONG,
)
from tvm_deconv.measure.reference import TOLERANCE, largest_error
from tvm_deconv.measure.rotation import rotate
from tvm_deconv.workloads.spec import LayerSpec

from .device import LAYER, BenchDevice, Call, DeviceLost
from .eight_bits import EIGHT_BITS, EightBits, draw
from .entry import Checkable, Entry, R, Runner
from .manifest import PACKED
from .ours import Buffers, MemoryCopy, PackedKernel, PeakKernel
from .table import COPY, TUNED

# Of ours, which sum in float32 whatever the tensors are. Winograd's sums cancel: it gets TOLERANCE.
# A byte may be a unit off, of 255, where a product lies in the middle of two.
OWN_TOLERANCE = {"float32": 1e-5, "float16": 2e-3, EIGHT_BITS: 1.01 / 255}

# A pass takes about this long where there are buffers for so many calls.
_PASS_MS = 50.0
_LOOKS = 3
_COPY_BYTES = 1 << 30


@dataclass
class Contest:
    """What everybody shares; ``entries`` and ``records`` are by contestant."""

    layer: LayerSpec
    dtype: str
    device: BenchDevice
    seed: int = 0
    begin: Callable[[str], None] = lambda name: None
    """Told who is about to be run, before anything can go wrong."""
    dead: Mapping[str, str] = field(default_factory=dict)
    """Who ended a process before, and how: they are left out."""
    entries: dict[str, Entry] = field(default_factory=dict)
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    roles: dict[str, str] = field(default_factory=dict)
    search: list[dict[str, Any]] = field(default_factory=list)
    fastest: str | None = None
    """Who of ours was fastest when all were looked at; None where there was no choice."""

    def __post_init__(self) -> None:
        self.tensors = draw(self.layer, self.dtype, self.seed)
        self._expected = self.tensors.expected().astype(np.float32)
        self.buffers = Buffers(self.tensors, self.device)

    def load(self, name: str, role: str, make: Callable[[], R], **more: Any) -> R | None:
        """A contestant that was run once; None, with the reason in its record, if it cannot be."""
        record: dict[str, Any] = {
            "status": MEASURED,
            "ms": [],
            "cpu_share": [],
            "notes": [],
            "facts": {},
            **more,
        }
        self.records[name], self.roles[name] = record, role
        if name in self.dead:
            record |= {"status": FAILED, "reason": self.dead[name]}
            return None
        self.begin(name)
        begin = time.perf_counter()
        try:
            runner = make()
            runner.warm_up()
        except Exception as error:  # whatever PyTorch, TVM or a driver raises: it is out
            self._fail(record, error)
            return None
        record["load_s"] = time.perf_counter() - begin
        return runner

    def enter(self, name: str, runner: Runner, tolerance: float = 0.0) -> Entry | None:
        """Record a pass of what was loaded, and check what has a result.

        None, with the reason in its record, if it is out.
        """
        record = self.records[name]
        self.begin(name)
        try:
            single = runner.record(1)
            self.device.time(single)
            calls = int(_PASS_MS / max(self.device.time(single), 1e-6))
            calls = record["calls"] = max(1, min(calls, self.buffers.count))
            replay = single if calls == 1 else runner.record(calls)
            if isinstance(runner, Checkable):
                record["error"] = self._error(runner, replay, calls)
        except Exception as error:  # as above
            self._fail(record, error)
            return None
        if not record.get("error", 0.0) <= tolerance:
            reason = f"the largest error is {record['error']:.1e}, over {tolerance:.0e}"
            record |= {"status": WRONG, "reason": reason}
            return None
        self.entries[name] = Entry(record, runner, replay, calls)
        return self.entries[name]

    def _fail(self, record: dict[str, Any], error: Exception) -> None:
        text = " ".join(str(error).split())
        record |= {"status": FAILED, "reason": f"{type(error).__name__}: {text}"[:300]}
        self._check_device(record["reason"])

    def _check_device(self, reason: str) -> None:
        """After an error: raises DeviceLost if it was one that the process keeps."""
        try:
            self.device.synchronize()
        except RuntimeError as error:
            raise DeviceLost(reason) from error

    def _error(self, runner: Checkable, replay: Call, calls: int) -> float:
        """The largest error of the first and the last call of a pass."""
        runner.poison()
        replay()
        results = (runner.result(number).astype(np.float32) for number in {0, calls - 1})
        return max(largest_error(result, self._expected) for result in results)

    def kernels(self, records: Iterable[Mapping[str, Any]], folder: Path) -> None:
        """Enter each variant's default, and as ``tuned`` the fastest kernel of all."""
        loaded = []
        for kernel in records:
            name = str(kernel["variant"] if kernel["default"] else kernel["key"])
            if kernel["status"] != PACKED:
                status = NOT_SUPPORTED if kernel["status"] == NOT_SUPPORTED else FAILED
                self._out(name, status, kernel["reason"])
                continue
            runner = self.load(
                name,
                OURS,
                partial(PackedKernel, kernel, folder, self.buffers),
                notes=[_words(kernel)],
                key=kernel["key"],
            )
            loaded.append((name, kernel, runner))
        # Only now, when everybody has run: TVM takes scratch from a pool that frees a page when a
        # larger one is asked for, and what is recorded keeps the address of its scratch.
        best: tuple[float, str, Entry] | None = None
        for name, kernel, runner in loaded:
            exact = kernel["variant"] != "winograd"
            tolerance = (OWN_TOLERANCE if exact else TOLERANCE)[self.dtype]
            entry = self.enter(name, runner, tolerance) if runner else None
            looks = [entry.look(self.device) for _ in range(_LOOKS)] if entry else []
            self._note(name, kernel, looks)
            if entry and (best is None or min(looks) < best[0]):
                best = min(looks), name, entry
            if not kernel["default"]:
                self._drop(name)
        if best is not None and not all(kernel["default"] for _, kernel, _ in loaded):
            _, name, entry = best
            self.fastest = name if name in self.entries else TUNED
            if self.fastest == TUNED:
                self.entries[TUNED], self.records[TUNED] = entry, entry.record
                self.roles[TUNED] = OURS

    def _note(self, name: str, kernel: Mapping[str, Any], looks: list[float]) -> None:
        """What the search saw of a kernel."""
        told = ("key", "variant", "parameters", "default", "resources")
        known = ("status", "error", "reason")
        record = self.records[name]
        self.search.append(
            {
                **{key: kernel[key] for key in told},
                **{key: record[key] for key in known if key in record},
                "ms": looks,
            }
        )

    def _out(self, name: str, status: str, reason: str) -> None:
        self.records[name] = {"status": status, "reason": reason}
        self.roles[name] = OURS

    def _drop(self, name: str) -> None:
        """Candidates are not contestants: what is known of them is in ``search``."""
        self.entries.pop(name, None)
        if self.records[name]["status"] == MEASURED:
            del self.records[name], self.roles[name]

    def alias(self, name: str, other: str | None, **more: Any) -> None:
        """Another name for a contestant, with the same record."""
        if other in self.records:
            self.records[name] = {**self.records[other], **more}
            self.roles[name] = self.roles[other]

    def bounds(self, peak: Mapping[str, Any], folder: Path) -> None:
        """Enter the multiply-add peak and the copy, which bound everybody."""
        size = min(_COPY_BYTES, int(self.device.facts().get("free_bytes", 1 << 26)) // 8)
        size -= size % 4
        makers: dict[str, Callable[[], PeakKernel | MemoryCopy]] = {
            PEAK: partial(PeakKernel, peak, folder, self.device),
            COPY: partial(MemoryCopy, self.device, size),
        }
        for name, make in makers.items():
            runner = self.load(name, name, make)
            if runner:
                self.records[name]["facts"] = runner.facts
                self.enter(name, runner)

    def peers(self, version: str, compiled: bool) -> None:
        """Enter PyTorch's forms of the layer; of bytes it has none on a GPU."""
        from .pytorch import peers

        if isinstance(self.tensors, EightBits):
            return
        try:
            for name, make in peers(self.tensors, self.device, self.buffers.count, compiled):
                runner = self.load(name, PEER, make, version=version)
                if runner:
                    self.enter(name, runner, TOLERANCE[self.dtype])
        except DeviceLost:
            raise
        except RuntimeError as error:  # no memory for the inputs, say: those that are there count
            self.records["torch"], self.roles["torch"] = {}, PEER
            self._fail(self.records["torch"], error)

    def turns(self, limit_s: float) -> None:
        """Time everybody, in another order each round."""

        def turn(name: str, calls: int) -> list[float]:
            entry = self.entries[name]
            try:
                entry.replay()
                times = [entry.look(self.device) for _ in range(calls)]
            except Exception as error:  # of the driver: it is out, and told so
                entry.record |= {"status": FAILED, "reason": f"{type(error).__name__}: {error}"}
                self.begin(name)
                self._check_device(entry.record["reason"])
                self.begin(LAYER)
                return []
            entry.record["ms"] += times
            return times

        rotate(list(self.entries), turn, limit_s=limit_s, exempt=(PEAK, COPY), pause_s=0)

    def result(self, chosen: Mapping[str, Mapping[str, Any]]) -> dict[str, Any]:
        """The workload's record in the result file; ``chosen`` says what auto and direct are."""
        if self.fastest not in (None, TUNED):
            self.alias(TUNED, self.fastest)
        for name in (HEADLINE, DIRECT):
            if name in chosen:
                key = chosen[name]["key"]
                same = [who for who, record in self.records.items() if record.get("key") == key]
                for other in same[:1]:
                    self.alias(name, other, reason_chosen=chosen[name]["reason"])
        return {
            "kind": "layer",
            "upsampling": self.layer.kind,
            "input_shape": list(self.layer.input_shape),
            "multiply_adds": self.layer.multiply_adds,
            "bytes": self.tensors.bytes,
            "buffers": self.buffers.count,
            "clocks": self.device.clocks(),
            "search": self.search,
            "contestants": self.records,
        }


def _words(kernel: Mapping[str, Any]) -> str:
    """The variant first, as the table shows; its parameters only where they were searched."""
    if kernel["default"]:
        return str(kernel["variant"])
    values = " ".join(str(value) for value in kernel["parameters"].values())
    return f"{kernel['variant']} {values}"
