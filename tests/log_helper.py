"""Tuning logs with made-up times, for the tests of everything that reads or writes them."""

from __future__ import annotations

from dataclasses import replace

from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.arg_info import ArgInfo

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import Header
from tvm_deconv.logs.layer import Candidate, Layer, annotate
from tvm_deconv.logs.trial import OK, Trial
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.space import point_of
from tvm_deconv.schedules.variant import Sizes
from tvm_deconv.targets import resolve_target

HOST = resolve_target("host")
MACHINE = cpu_machine(HOST)
PI = resolve_target("raspberry-pi/4b-aarch64")

LAYER = Layer(ConvTranspose2d(8, 6, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1)), Sizes(1, 12, 20))
OTHER = Layer(ConvTranspose2d(3, 5, Axis(3, 1, 1, 1), Axis(3, 1, 1, 1)), Sizes(2, 9, 17))


def header(device="here", target=HOST, **changes) -> Header:
    return replace(Header.of(device, target), **changes)


def candidate(variant="revd2", layer=LAYER, **changes) -> Candidate:
    """The variant's own choice of parameters, with some changed."""
    chosen = VARIANTS[variant].choose(layer.conv, layer.sizes, MACHINE)
    return Candidate(layer, VARIANTS[variant], replace(chosen, **changes))


def schedule_of(made: Candidate) -> Schedule:
    """As the tuner's space makes it: one field sampled, the others annotated as they are."""
    sch = Schedule(made.layer.definition(), seed=1)
    point = dict(point_of(made.parameters))
    first = next(iter(point))
    sampled = sch.sample_categorical([point[first], 0], [1.0, 0.0], decision=0)
    annotate(sch, made.variant.name, {**point, first: sampled})
    return sch


def commit(log: LogFolder, made: Candidate, *seconds: float, target=HOST, stage="search"):
    """One trial; a failure if there are no seconds."""
    sch = schedule_of(made)
    status, error = (OK, None) if seconds else ("wrong result", "off by 7")
    trial = Trial.of(made, "a layer", status, seconds, error, seed=3, stage=stage)
    arguments = ArgInfo.from_prim_func(sch.mod["main"])
    log.commit(made.layer.definition(), sch.trace, seconds or None, arguments, target, trial)


def small_log(root, **changes) -> LogFolder:
    """Two layers, three candidates and a failure; closed."""
    with LogFolder.for_tuning(root, header(**changes)) as log:
        commit(log, candidate("revd2"), 3e-3, 3.2e-3)
        commit(log, candidate("tdc"), 2e-3, 2.2e-3, 2.1e-3)
        commit(log, candidate("strd"))
        commit(log, candidate("revd2", OTHER), 1e-3)
    return log
