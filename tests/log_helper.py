"""Tuning logs with made-up times, for the tests of everything that reads or writes them."""

from __future__ import annotations

from dataclasses import replace

import tvm
from tvm import te
from tvm.s_tir import Schedule
from tvm.s_tir.meta_schedule.arg_info import ArgInfo
from tvm.s_tir.meta_schedule.database import TuningRecord, Workload

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.logs.folder import LogFolder
from tvm_deconv.logs.header import Header
from tvm_deconv.logs.layer import Candidate, Layer
from tvm_deconv.logs.trial import OK, Trial
from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.cpu.variants import VARIANTS
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


def commit(log: LogFolder, made: Candidate, *seconds: float, stage="search"):
    """One trial; a failure if there are no seconds."""
    status, error = (OK, None) if seconds else ("wrong result", "off by 7")
    log.commit(Trial.of(made, "a layer", status, seconds, error, seed=3, stage=stage))


def small_log(root, **changes) -> LogFolder:
    """Two layers, three candidates and a failure; closed."""
    with LogFolder.for_tuning(root, header(**changes)) as log:
        commit(log, candidate("revd2"), 3e-3, 3.2e-3)
        commit(log, candidate("tdc"), 2e-3, 2.2e-3, 2.1e-3)
        commit(log, candidate("strd"))
        commit(log, candidate("revd2", OTHER), 1e-3)
    return log


def multiplied(factor=2) -> tvm.IRModule:
    """A function of another operator: a multiple of the input."""
    a = te.placeholder((4,), name="a")
    func = te.create_prim_func([a, te.compute((4,), lambda i: a[i] * factor, name="b")])
    return tvm.IRModule({"main": func})


def commit_function(log: LogFolder, mod: tvm.IRModule, seconds=1e-3, target=HOST):
    """The final of a function, with a schedule that is worth applying: a parallel loop."""
    sch = Schedule(mod)
    sch.parallel(*sch.get_loops(sch.get_sblock("b")))
    arguments = ArgInfo.from_prim_func(mod["main"])
    record = TuningRecord(sch.trace, Workload(mod), [seconds], target, arguments)
    trial = Trial.of_function("f00", "double", "metaschedule", OK, [seconds], seed=3, stage="final")
    log.commit(trial, record)
