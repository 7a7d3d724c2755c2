"""``tvm-deconv calibrate``: the time coefficients of a device, measured on it.

Peak: a kernel of multiply-adds in registers, on all threads, of floats and of bytes by weights of
int8 and int16. Bandwidth of each level: reads of a
working set that fills half of it (of memory: four times the largest cache), with few passes and
with more; ``fit`` makes coefficients of them. There are five samples of each, every one repeated
for at least 20 ms, of which the fastest counts.
"""

from __future__ import annotations

import datetime
import threading
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

from tvm.s_tir.meta_schedule.runner import EvaluatorConfig
from tvm.target import Target

from tvm_deconv.compiler import for_threads
from tvm_deconv.errors import DeviceFileError
from tvm_deconv.logs.header import device_name
from tvm_deconv.measure.cpu_probes import integer_multiply_adds, multiply_adds, reads
from tvm_deconv.measure.facts import cpu_model
from tvm_deconv.measure.probe import Probe
from tvm_deconv.schedules.cpu.machine import CpuMachine, cpu_machine, is_this_processor
from tvm_deconv.targets import TargetSpec
from tvm_deconv.tuning.device import RpcDevice, local_device
from tvm_deconv.tuning.driver import check_packages, find_device
from tvm_deconv.tuning.interrupt import Interrupt, uninterrupted
from tvm_deconv.tuning.peak import run_alone
from tvm_deconv.tuning.runner import make_runner

from .devices import INT8, INT16, Device, Level
from .fit import check_readings, describe_readings, energy_of, rounded, slope
from .sources import LITERATURE, MEASUREMENT, READING, Coefficient, Source

_PACKAGES = ("cloudpickle", "psutil", "tornado")

_REPEAT, _MIN_REPEAT_MS = 5, 20
# Bytes of the shorter and of the longer measurement, 25 ms at 10 GB/s, and passes of the latter at
# least. Where both are far apart, a busy moment of the shorter one changes little.
_SHORT, _LONG, _LONG_PASSES = 16 << 20, 256 << 20, 8
_ATTEMPTS = 3
_LEAST_MEMORY = 64 << 20
# Of memory, to be larger than every cache even where a virtual machine hides some.
_BEYOND_CACHES = 4
_SESSION_S = 60.0

NO_READING = "no power was read: tvm-deconv calibrate --power takes readings of a meter"


@dataclass(frozen=True)
class _Set:
    """A working set of a level: ``capacity`` is the level's, None for memory."""

    name: str
    bytes: int
    capacity: int | None


def calibrate(
    target: TargetSpec = "host",
    *,
    threads: int | None = None,
    tracker: str | None = None,
    key: str | None = None,
    power: Sequence[float] = (),
    hold_s: int = 0,
    name: str | None = None,
    report: Callable[[str], None] = print,
) -> Device:
    """Measure the device, this machine unless ``tracker`` and ``key`` name another.

    Arguments are those of ``tvm_deconv.tune``. ``power`` are watts of a meter: (idle,
    multiply-adds, memory), or one number for a device under load, which then counts as constant.
    ``hold_s`` keeps each of the two kernels running for so many seconds afterwards, to read the
    meter. ``name`` is the device's, by default processor and threads.

    Raises TuningError, DeviceError and TargetError as ``tune`` does, DeviceFileError for readings
    that make no coefficients, and KeyboardInterrupt after Ctrl-C.
    """
    check_readings(power)
    check_packages(*_PACKAGES)
    resolved = for_threads(target, threads)
    machine = cpu_machine(resolved)
    reach = find_device(tracker, key, resolved, target)
    with ExitStack() as stack:
        if reach is None:
            reach = stack.enter_context(local_device(machine.threads))
        else:
            reach.check()
        # Its own words promise to keep what was measured; half a device is none.
        interrupt = stack.enter_context(
            Interrupt(lambda _: report("stopping after what is under way"))
        )
        bench = _Bench(resolved, machine, reach, interrupt.event, report, stack)
        processor = resolved.attrs.get("mcpu", resolved.kind.name)
        where = cpu_model() if tracker is None else f"{processor}, key {key}, by RPC"
        today = datetime.datetime.now(datetime.timezone.utc).date().isoformat()
        measured = _measured(where, machine.threads, today)
        peak = bench.peak(multiply_adds(machine))
        report(f"multiply-adds: {peak / 1e9:.4g} GFLOP/s")
        integers = {}
        for weights, dot in ((INT8, machine.narrow), (INT16, machine.wide)):
            rate = bench.peak(integer_multiply_adds(machine, dot))
            source = measured(f"products by {dot.name} in registers, measure.cpu_probes")
            integers[weights] = Coefficient(rounded(rate), source)
            report(f"bytes by {weights} ({dot.name}): {rate / 1e9:.4g} GOP/s")
        levels = []
        for working_set in working_sets(machine):
            rate = bench.bandwidth(working_set)
            levels.append(
                Level(
                    working_set.name,
                    _capacity(working_set, resolved, measured),
                    Coefficient(rounded(rate), measured("reads, measure.cpu_probes")),
                )
            )
            report(f"{working_set.name}: {rate / 1e9:.4g} GB/s, {working_set.bytes} bytes read")
        if hold_s:
            bench.hold(hold_s)
    reading = Source(READING, {"by": describe_readings(power), "date": today, "machine": where})
    return Device(
        name or device_name(resolved),
        f"{where}, {machine.threads} threads, measured {today}",
        Coefficient(rounded(peak), measured("multiply-adds in registers, measure.cpu_probes")),
        tuple(levels),
        energy_of(power, peak, levels[-1].bytes_per_second.value, reading),
        "" if power else NO_READING,
        integers,
    )


def working_sets(machine: CpuMachine) -> list[_Set]:
    """What is read for each level: those of a size that no smaller level holds."""
    caches = {"L1": machine.l1_bytes, "L2": machine.l2_bytes, "L3": machine.l3_bytes}
    found: list[_Set] = []
    for name, of_a_core in caches.items():
        capacity = of_a_core * machine.threads
        if capacity // 2 > (found[-1].capacity or 0 if found else 0):
            found.append(_Set(name, capacity // 2, capacity))
    largest = max((one.capacity or 0 for one in found), default=0)
    return [*found, _Set("memory", max(_LEAST_MEMORY, _BEYOND_CACHES * largest), None)]


@dataclass
class _Bench:
    """The kernels on the device, one at a time."""

    target: Target
    machine: CpuMachine
    reach: RpcDevice
    stop: threading.Event
    report: Callable[[str], None]
    stack: ExitStack
    runner: Any = field(init=False)

    def __post_init__(self) -> None:
        self.runner = self._runner(_REPEAT, _MIN_REPEAT_MS, _SESSION_S)

    def peak(self, probe: Probe) -> float:
        """Operations in a second."""
        return probe.work / min(self._run(probe, self.runner))

    def bandwidth(self, working_set: _Set) -> float:
        """Bytes in a second."""
        attempts = _ATTEMPTS
        while True:
            pair = [self._read(self.runner, working_set, count) for count in _passes(working_set)]
            try:
                return slope(*pair)
            except DeviceFileError:
                attempts -= 1
                if not attempts:
                    raise

    def hold(self, seconds: int) -> None:
        """Each kernel for so long, and a line that says which."""
        runner = self._runner(1, 1000 * seconds, _SESSION_S + 3 * seconds)
        self.report(f"multiply-adds for about {seconds} s: read the meter")
        self._run(multiply_adds(self.machine), runner)
        self.report(f"memory for about {seconds} s: read the meter")
        memory = working_sets(self.machine)[-1]
        self._read(runner, memory, max(_passes(memory)))

    def _read(self, runner: Any, working_set: _Set, passes: int) -> tuple[int, list[float]]:
        """Bytes that a call reads, and the samples of its time."""
        probe = reads(self.machine, working_set.bytes, passes)
        return probe.work, self._run(probe, runner)

    def _run(self, probe: Probe, runner: Any) -> list[float]:
        seconds = run_alone(probe, self.target, runner)
        if seconds is None:
            raise KeyboardInterrupt
        return seconds

    def _runner(self, repeat: int, min_repeat_ms: int, timeout_s: float) -> Any:
        # It starts processes to try itself out.
        with uninterrupted():
            runner = make_runner(
                self.reach,
                evaluator=EvaluatorConfig(
                    number=1,
                    repeat=repeat,
                    min_repeat_ms=min_repeat_ms,
                    enable_cpu_cache_flush=False,
                ),
                timeout_s=timeout_s,
                threads=self.machine.threads,
                stop=self.stop,
                report=self.report,
            )
        self.stack.callback(runner.close)
        return runner


def _passes(working_set: _Set) -> tuple[int, int]:
    size = working_set.bytes
    return max(1, _SHORT // size), max(_LONG_PASSES, _LONG // size)


def _measured(machine: str, threads: int, date: str) -> Callable[[str], Source]:
    def source(by: str) -> Source:
        return Source(MEASUREMENT, {"by": by, "date": date, "machine": machine, "threads": threads})

    return source


def _capacity(
    working_set: _Set, target: Target, measured: Callable[[str], Source]
) -> Coefficient | None:
    if working_set.capacity is None:
        return None
    known = is_this_processor(target)
    citation = "least of its architecture, with sources, in tvm_deconv.schedules.cpu.machine"
    source = (
        measured("the operating system") if known else Source(LITERATURE, {"citation": citation})
    )
    return Coefficient(working_set.capacity, source)
