"""``tvm_deconv.relay.tune``: AutoTVM over the layers of a module, on a device or this machine.

Of a layer, every variant's own parameters are measured first. The rest of the trials goes to the
two variants that were fastest, where AutoTVM's XGBTuner searches with simulated annealing.
Each trial is appended to the log when it is over, so that whatever ends a run loses none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tvm
from tvm import autotvm
from tvm.autotvm.tuner import XGBTuner
from tvm.contrib import cc
from tvm.target import Target

from tvm_deconv.backends.linker import linker_for
from tvm_deconv.errors import DeviceError, TargetError, TuningError, first_line

from .checked import LOST, CheckingRunner
from .cost_model import require_learner
from .layer import has_schedules
from .place import device_at, place_of, remark
from .record_log import Record, Writer, default_path, identity_of
from .tasks import default_index, index_of, layers_of
from .templates import point_of
from .workloads import TASK_NAMES

# Variants of a layer that are searched; the others are measured once.
_SEARCHED = 2
# Trials after which the cost model learns from them. Below 20 AutoTVM measures what the model
# proposes, and no random points among them.
_ROUND = 16

Report = Callable[[str], None]


@dataclass(frozen=True)
class TunedLayer:
    """What tuning a layer came to: seconds of the default and of the best; None if it failed.

    ``default`` is the fastest of what the variants choose themselves. ``trials`` and ``failures``
    count those of earlier runs, too.
    """

    layer: str
    trials: int
    failures: int
    default: float | None
    best: float | None
    variant: str

    def __str__(self) -> str:
        counted = f"{self.trials} trials, {self.failures} failed"
        if self.best is None or self.default is None:
            return f"{self.layer}: nothing could be measured; {counted}"
        return (
            f"{self.layer}: {self.best * 1e3:.3g} ms with {self.variant}, the defaults take "
            f"{self.default * 1e3:.3g} ms; {counted}"
        )


@dataclass(frozen=True)
class TuningReport:
    """The log, and what came of each layer: not of all, if Ctrl-C ``interrupted`` it."""

    log: Path
    layers: tuple[TunedLayer, ...]
    interrupted: bool = False

    def __str__(self) -> str:
        ended = ["interrupted; the same command goes on from here"] if self.interrupted else []
        return "\n".join([*map(str, self.layers), *ended, f"log: {self.log}"])


def tune(
    module: tvm.IRModule,
    target: str | Target,
    *,
    parameters: dict[str, Any] | None = None,
    tracker: str | None = None,
    key: str | None = None,
    trials: int = 64,
    log: str | os.PathLike | None = None,
    timeout_s: int = 30,
    report: Report = lambda line: None,
) -> TuningReport:
    """Measure kernels for the transposed convolutions of a Relay module, and log all of them.

    ``module`` is what is given to ``relay.build`` for ``target``, after ``RewriteUpsampling``, and
    ``parameters`` what is given along with it. ``tracker`` (``"HOST:PORT"``) and ``key`` name a
    device at TVM's RPC tracker; without them this machine is measured. ``trials`` counts for each
    different layer, with those of earlier runs in the log. ``log`` is a file; by default the user's
    own of the target, where ``relay.build`` finds it. A candidate that takes longer than
    ``timeout_s`` seconds to compile or to run is ended. ``report`` gets lines about progress.

    Raises TargetError for a target without schedules or a linker, TuningError for a module without
    such layers or for options that are wrong, DeviceError for a tracker or a device that is not
    there or gone (what it was measuring is logged with AutoTVM's number 8), LogError for a log that
    is damaged or in use, and LogWriteError.
    """
    wanted = _target(target)
    if trials < 1:
        raise TuningError(f"trials must be at least 1, got {trials}")
    place = place_of(tracker, key, wanted)
    path = Path(log) if log is not None else default_path(wanted)
    builder = autotvm.LocalBuilder(
        timeout=timeout_s, n_parallel=1, build_func=cc.cross_compiler(linker_for(wanted))
    )
    layers = layers_of(module, parameters, wanted)
    if not layers:
        raise TuningError(
            "the module has no transposed convolution that these kernels compute: apply "
            "tvm_deconv.relay.RewriteUpsampling() first, and see explain"
        )
    require_learner()
    done: list[TunedLayer] = []
    with ExitStack() as stack:
        host, port, name = stack.enter_context(device_at(place))
        writer = stack.enter_context(Writer(path, remark(wanted, place)))
        stack.callback(setattr, autotvm.GLOBAL_SCOPE, "in_tuning", False)
        option = autotvm.measure_option(builder, CheckingRunner(host, port, name, timeout_s))
        try:
            for number, tasks in enumerate(layers, 1):
                layer = _LayerTuner(tasks, writer, option, trials)
                report(f"[{number}/{len(layers)}] {layer.name}")
                layer.tune(report)
                done.append(layer.outcome)
        except KeyboardInterrupt:
            return TuningReport(path, tuple(done), interrupted=True)
        except DeviceError as error:
            raise DeviceError(
                f"{error}; what was measured is in {path}, and the same command goes on from there"
            ) from error
    return TuningReport(path, tuple(done))


class _LayerTuner:
    """All variants of one layer, and what is known of them."""

    def __init__(
        self, tasks: list[autotvm.task.Task], writer: Writer, option: Any, trials: int
    ) -> None:
        self.name = _name(tasks[0])
        self._writer, self._option, self._trials = writer, option, trials
        device = identity_of(tasks[0].target)
        known = [record for record in writer.known if record.device == device]
        self._variants = [_VariantTuner(task, known) for task in tasks]

    @property
    def outcome(self) -> TunedLayer:
        seconds = [s for variant in self._variants for s in variant.measured.values()]
        best = self._ranked()[0]
        defaults = [v.default for v in self._variants if v.default is not None]
        return TunedLayer(
            layer=self.name,
            trials=len(seconds),
            failures=seconds.count(None),
            default=min(defaults, default=None),
            best=best.best,
            variant=best.name,
        )

    def tune(self, report: Report) -> None:
        """Measure until there are as many trials as wanted, or no more points."""
        for variant in self._variants:
            if self._left > 0 and variant.first not in variant.measured:
                self._measure(variant, 1)
        report(f"  defaults: {self._best_words()}")
        searched = self._ranked()[:_SEARCHED]
        for count, variant in enumerate(searched):
            self._measure(variant, self._left // (len(searched) - count))
        report(f"  {self._best_words()}")

    @property
    def _left(self) -> int:
        return self._trials - sum(len(variant.measured) for variant in self._variants)

    def _measure(self, variant: _VariantTuner, trials: int) -> None:
        if trials > 0:
            variant.search.tune(trials, self._option, callbacks=[self._keep(variant)])

    def _keep(self, variant: _VariantTuner) -> Callable[..., None]:
        def keep(_: Any, measured: Any, results: Any) -> None:
            for one, result in zip(measured, results, strict=True):
                self._writer.add(one, result)
                if result.error_no == LOST:
                    raise result.costs[1]
                variant.add(one.config.index, result)

        return keep

    def _ranked(self) -> list[_VariantTuner]:
        """The variants, fastest first."""
        return sorted(self._variants, key=lambda v: float("inf") if v.best is None else v.best)

    def _best_words(self) -> str:
        best = self._ranked()[0]
        if best.best is None:
            return "nothing could be measured yet"
        return f"{best.best * 1e3:.3g} ms with {best.name}"


class _VariantTuner:
    """AutoTVM's search in the space of one variant, begun at what the log has of it."""

    def __init__(self, task: autotvm.task.Task, known: list[Record]) -> None:
        variant = TASK_NAMES[task.name]
        self.name = variant.name
        self.first = default_index(task)
        # Mean seconds by the index of a point; None for a failure.
        self.measured: dict[int, float | None] = {}
        self.search = XGBTuner(task, plan_size=_ROUND, feature_type="knob", num_threads=1)
        measured, results = [], []
        lost: set[int] = set()
        for record in known:
            point = point_of(variant, record.config) if record.workload == task.workload else None
            index = None if point is None else index_of(task.config_space, point)
            if index is not None and record.error == LOST and index not in lost:
                # It is tried again: only a second time the candidate is to blame.
                lost.add(index)
            elif index is not None:
                config = task.config_space.get(index)
                result = autotvm.MeasureResult(record.seconds, record.error, 0.0, 0.0)
                measured.append(autotvm.MeasureInput(task.target, task, config))
                results.append(result)
                self.add(index, result)
        if measured:
            self.search.update(measured, results)
        if self.first not in self.measured:
            self.search.trials = [self.first]

    @property
    def best(self) -> float | None:
        return min((s for s in self.measured.values() if s is not None), default=None)

    @property
    def default(self) -> float | None:
        return self.measured.get(self.first)

    def add(self, index: int, result: autotvm.MeasureResult) -> None:
        failed = result.error_no != 0
        self.measured[index] = None if failed else sum(result.costs) / len(result.costs)


def _target(target: str | Target) -> Target:
    """The target with its number of threads, so that a record says it."""
    try:
        made = Target(target)
    except (ValueError, TypeError, tvm.TVMError) as error:
        raise TargetError(f"TVM rejects target {target!r}: {first_line(error)}") from error
    if not has_schedules(made):
        raise TargetError(f"no schedules for target {str(made)!r}: give one of kind llvm")
    return Target({**made.export(), "num-cores": identity_of(made).threads})


def _name(task: autotvm.task.Task) -> str:
    """``conv2d_transpose 9x9 stride 3x3, 32->1, 224x224``: the layer of a task, for people."""
    (_, shape, _), (_, weight, _), strides, _, _, _, groups, _ = task.args
    kernel, stride = ("x".join(map(str, pair)) for pair in (weight[2:], strides))
    channels = f"{weight[0]}->{weight[1] * groups}"
    return f"conv2d_transpose {kernel} stride {stride}, {channels}, {shape[2]}x{shape[3]}"
