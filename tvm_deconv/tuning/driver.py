"""``tvm_deconv.tune``: from a model and a device to a log of its best kernels."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from tvm.s_tir.meta_schedule.runner import EvaluatorConfig
from tvm.target import Target

from tvm_deconv.backends import backend_of
from tvm_deconv.backends.facts import DeviceFacts
from tvm_deconv.compiler import for_threads
from tvm_deconv.errors import TuningError
from tvm_deconv.files import temporary_folder
from tvm_deconv.importer import Shapes
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import Header, device_name
from tvm_deconv.logs.roots import user_root
from tvm_deconv.option_types import check_flag, check_integer
from tvm_deconv.schedules.cpu.processors import available_processors
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import TargetSpec

from .build import builder
from .device import RpcDevice, local_device
from .evaluation import Evaluation
from .interrupt import Interrupt, uninterrupted
from .layer_tuner import LayerTuner
from .ops import OpOutcome, OpTuner, check_rules
from .outcome import Outcome
from .peak import device_peak
from .progress import Progress
from .runner import DeviceRunner, make_runner
from .tasks import ModelOrNames, op_tasks_of, tasks_of

TRIALS = 64

# What MetaSchedule and TVM's RPC import when they first need it.
_PACKAGES = ("cloudpickle", "psutil", "tornado", "xgboost")

# Samples of a candidate, each of at least so many milliseconds: a hiccup of 5 ms must not decide.
_REPEAT, _MIN_REPEAT_MS = 5, 20
# Compiling a kernel takes a second or two here, and several on a busy machine.
_BUILD_TIMEOUT_S = 120
# All that is measured of one candidate: a layer that takes half a second on a slow core is called
# 12 times, and its tensors travel over the network.
SESSION_TIMEOUT_S = 60


@dataclass(frozen=True)
class TuningReport:
    """What ``tune`` found: prints as a table.

    ``folder`` holds the log. ``interrupted`` says that Ctrl-C ended it early.
    """

    folder: Path
    outcomes: tuple[Outcome | OpOutcome, ...]
    interrupted: bool

    def __str__(self) -> str:
        lines = [str(outcome) for outcome in self.outcomes]
        if self.interrupted:
            lines.append("interrupted: run the same command again to go on")
        lines.append(f"log: {self.folder}")
        return "\n".join(lines)


def tune(
    what: ModelOrNames,
    target: TargetSpec = "host",
    *,
    shapes: Shapes | None = None,
    threads: int | None = None,
    tracker: str | None = None,
    key: str | None = None,
    trials: int = TRIALS,
    logs: str | os.PathLike | None = None,
    device: str | None = None,
    all_ops: bool = False,
    timeout_s: float = SESSION_TIMEOUT_S,
    seed: int = 0,
    dtype: str = ACCUMULATE_DTYPE,
    report: Callable[[str], None] = print,
) -> TuningReport:
    """Measure candidates for every convolution of a model on a device, and log them.

    ``what`` is a model as ``compile`` takes it (free sizes fixed by ``shapes``), or a list of names
    as ``tvm-deconv bench --workloads`` takes them. ``target`` and ``threads`` are those of
    ``compile``, which finds the log by them. ``tracker`` (``"HOST:PORT"``) and ``key`` name a
    device that runs TVM's RPC server; without them, this machine is measured, by a server of its
    own on loopback. A GPU is asked for its limits before anything is built. Each layer gets
    ``trials`` candidates, those of earlier runs included, of which the first are our own defaults;
    then the fastest few and the default are measured again in turns, which decides. ``logs`` is
    the folder of all logs (by default the one where ``compile`` looks first), and ``device`` the
    name of this one's, by default made from the target. ``all_ops`` tunes the network's other
    functions, too, by MetaSchedule's own rules, which OpenCL has none of. ``timeout_s`` ends a
    candidate that takes longer, uploads included. ``dtype`` int8 quantizes workloads, which takes
    the extra ``quantize``. ``report`` gets lines of progress.

    Ctrl-C ends it after the measurement under way. What was measured is always kept, and the same
    call goes on from there.

    Raises ModelError, WorkloadError and TargetError as ``compile`` does, TuningError for what
    cannot be tuned, DeviceError for a tracker or device that is not there or is gone, and LogError
    for a log that is damaged, belongs to another device, or cannot be written. OptionError is for
    ``seed``, ``trials`` and ``all_ops`` of another type, or less than 0 and 1.
    """
    check_packages(*_PACKAGES)
    seed, trials = check_integer("seed", seed, 0), check_integer("trials", trials, 1)
    check_flag("all_ops", all_ops)
    resolved = for_threads(target, threads)
    backend = backend_of(resolved)
    used = backend.identity(resolved).processor_threads
    if all_ops:
        check_rules(resolved)
    reach = find_device(tracker, key, resolved, target)
    tasks = tasks_of(what, shapes, resolved, dtype)
    with ExitStack() as stack:
        if reach is None:
            reach = stack.enter_context(local_device(used or available_processors()))
        else:
            reach.check()
        cases = stack.enter_context(temporary_folder())
        interrupt = stack.enter_context(Interrupt(report))
        # It starts a process to try itself out.
        with uninterrupted():
            runner = make_runner(
                reach,
                evaluator=EvaluatorConfig(
                    number=1,
                    repeat=_REPEAT,
                    min_repeat_ms=_MIN_REPEAT_MS,
                    enable_cpu_cache_flush=True,
                ),
                timeout_s=timeout_s,
                threads=used,
                stop=interrupt.event,
                report=report,
            )
        stack.callback(runner.close)
        name, described = device or device_name(resolved), _description(runner, resolved, key)
        header = Header.of(name, resolved, description=described, seed=seed)
        log = stack.enter_context(LogFolder.for_tuning(Path(logs) if logs else user_root(), header))
        for repair in log.repairs:
            report(repair)
        workers = available_processors()
        build = builder(resolved, cases, workers=workers, timeout_s=_BUILD_TIMEOUT_S)
        stack.callback(build.close)
        products = dict.fromkeys(task.layer.product for task in tasks)
        peaks = {product: device_peak(resolved, runner, product) for product in products}
        progress = Progress(report, tasks, trials, peaks)
        evaluation = Evaluation(build, runner, log, resolved, seed, interrupt.event)
        tuner = LayerTuner(evaluation, backend.machine(resolved), cases, progress)
        outcomes: list[Outcome | OpOutcome] = []
        for task in tasks:
            if interrupt.event.is_set():
                break
            outcomes.append(tuner.tune(task, trials))
        op_tuner = OpTuner(evaluation, progress)
        wanted = all_ops and not interrupt.event.is_set()
        for op_task in op_tasks_of(what, shapes, resolved, dtype) if wanted else ():
            if interrupt.event.is_set():
                break
            outcomes.append(op_tuner.tune(op_task, trials))
    return TuningReport(log.path, tuple(outcomes), interrupt.event.is_set())


def _description(runner: DeviceRunner, target: Target, key: str | None) -> str | None:
    """What tells devices of one target apart; None for this machine's processor.

    Not the tracker: its address may change, and the device is the same. Raises DeviceError where
    there is no GPU for the target, and TargetError for one that promises more than there is.
    """

    def ask(kind: str) -> DeviceFacts:
        facts = runner.ask(kind)
        if facts is None:
            raise KeyboardInterrupt
        return facts

    where = "on this machine" if key is None else f"of device {key!r}"
    name = backend_of(target).check_device(target, ask, where)
    if name is None and key is None:
        return None
    return ", ".join(filter(None, (name, "local" if key is None else f"key {key}, by RPC")))


def check_packages(*names: str) -> None:
    """Raise TuningError for a package that is missed only after minutes otherwise."""
    missing = [name for name in names if importlib.util.find_spec(name) is None]
    if missing:
        raise TuningError(
            f"tuning needs {', '.join(missing)}: pip install 'tvm-deconv[tune]' brings it"
        )


def find_device(
    tracker: str | None, key: str | None, target: Target, named: TargetSpec
) -> RpcDevice | None:
    """How to reach the device; None for this machine.

    Raises TuningError where only one of tracker and key is given, or neither and ``target`` is
    another machine, and for a tracker that is not ``HOST:PORT``.
    """
    if tracker is None:
        if key is not None:
            raise TuningError(f"key {key!r} needs the tracker that knows it: give HOST:PORT")
        refusal = backend_of(target).refusal_here(target, named)
        if refusal is not None:
            raise TuningError(refusal)
        return None
    if key is None:
        raise TuningError(f"tracker {tracker} needs the key that the device registered with")
    host, _, port = tracker.rpartition(":")
    if not host or not (port.isascii() and port.isdigit()):
        raise TuningError(f"tracker {tracker!r} is not of the form HOST:PORT")
    return RpcDevice(host, int(port), key)
