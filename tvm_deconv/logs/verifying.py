"""``tvm-deconv logs verify``: whether every line of a log is what it should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import tvm
from tvm.target import Target
from tvm_ffi import structural_equal

from tvm_deconv.backends import identity_of, machine_of
from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.schedules.space import impossible
from tvm_deconv.schedules.variant import Machine

from .folder import RECORDS, TRIALS, WORKLOADS
from .header import Header, minor_of, running_minor
from .layer import Layer, candidate_of
from .lines import Lines, read_lines
from .records import layer_of_workload, read_record
from .trial import Trial, candidate_from


def problems_of(path: Path) -> Iterator[str]:
    """What is wrong with the log in a folder, each with file and line; nothing where all is well.

    Workloads are compared with the definitions of this version, and traces are replayed, where the
    log is of the TVM minor that runs; else there is a problem that says so.
    """
    try:
        header = Header.read(path)
    except LogError as error:
        yield str(error)
        return
    if path.resolve().parent.name != header.device:
        yield f"{path}: is of device {header.device}, and its folder is named otherwise"
    if path.resolve().name != f"tvm-{header.minor}":
        yield f"{path}: is of TVM {header.minor}, and its folder is named otherwise"
    if header.minor != running_minor():
        yield f"{path}: is of TVM {header.minor}, this is {running_minor()}: it cannot be verified"
        return
    machine = machine_of(Target(header.target))
    workloads = read_lines(path / WORKLOADS)
    layers: dict[int, tuple[Layer, tvm.IRModule] | None] = {}
    yield from _workloads(workloads, layers)
    yield from _records(read_lines(path / RECORDS), len(workloads.texts), layers, header, machine)
    yield from _trials(read_lines(path / TRIALS), machine)


def _rows(lines: Lines, problems: list[str]) -> Iterator[tuple[str, int, Any]]:
    """Place in words, line number and value of each line that is JSON; the rest is a problem."""
    if lines.tail and not lines.tail_is_whole:
        problems.append(f"{lines.path}: the last line is half-written")
    for line in range(1, len(lines.texts) + 1):
        try:
            yield f"{lines.path}, line {line}", line, lines.value(line)
        except LogError as error:
            problems.append(str(error))


def _workloads(lines: Lines, layers: dict[int, tuple[Layer, tvm.IRModule] | None]) -> Iterator[str]:
    """Problems of ``workloads.json``; ``layers`` gets what its lines hold, None for other tasks."""
    from tvm.s_tir.meta_schedule.database import Workload

    problems: list[str] = []
    seen: dict[Any, int] = {}
    for place, line, row in _rows(lines, problems):
        try:
            layer = layer_of_workload(row)
            mod = Workload.from_json(row).mod
        except LogError as error:
            problems.append(f"{place}: {error}")
            continue
        except (ValueError, RuntimeError, TypeError) as error:
            problems.append(f"{place}: TVM cannot read it: {str(error).splitlines()[0]}")
            continue
        layers[line - 1] = None if layer is None else (layer, mod)
        if layer is not None and not structural_equal(mod, layer.definition()):
            problems.append(f"{place}: is not the definition of the layer that it names")
        # TVM would count the workloads after it wrongly.
        first = seen.setdefault(row[0] if layer is None else layer, line)
        if first != line:
            problems.append(f"{place}: is the same workload as line {first}")
    yield from problems


def _records(
    lines: Lines,
    workloads: int,
    layers: dict[int, tuple[Layer, tvm.IRModule] | None],
    header: Header,
    machine: Machine,
) -> Iterator[str]:
    problems: list[str] = []
    for place, _, row in _rows(lines, problems):
        index = row[0] if isinstance(row, list) and row else None
        if not isinstance(index, int) or not 0 <= index < workloads:
            problems.append(f"{place}: is of workload {index} from 0, and there are {workloads}")
            continue
        known = layers.get(index)
        if known is not None:
            problems += [f"{place}: {problem}" for problem in _record(row, *known, header, machine)]
    yield from problems


def _record(
    row: Any, layer: Layer, mod: tvm.IRModule, header: Header, machine: Machine
) -> Iterator[str]:
    from tvm.s_tir.meta_schedule.database import TuningRecord, Workload

    try:
        record = read_record(row)
        candidate = candidate_from(layer, record.variant, record.point, machine)
        if identity_of(Target(record.target)) != header.processor:
            yield "its target is not that of the log"
    except (LogError, VariantError, ValueError, TypeError) as error:
        yield str(error).splitlines()[0]
        return
    obstacle = impossible(candidate.variant, layer.conv, layer.sizes, candidate.parameters, machine)
    if obstacle is not None:
        yield f"{record.variant} cannot do this: {obstacle}"
    if not record.seconds or not all(0 < s < math.inf for s in record.seconds):
        yield f"samples must be positive numbers of seconds, got {list(record.seconds)}"
    try:
        replayed = TuningRecord.from_json(row[1], Workload(mod)).as_measure_candidate()
        if candidate_of(replayed.sch, machine) != candidate:
            yield "TVM replays it as another candidate"
    except (LogError, VariantError, ValueError, RuntimeError, TypeError) as error:
        yield f"TVM cannot replay it: {str(error).splitlines()[0]}"


def _trials(lines: Lines, machine: Machine) -> Iterator[str]:
    problems: list[str] = []
    for place, _, row in _rows(lines, problems):
        try:
            trial = Trial.from_json(row)
            if trial.layer is not None:
                trial.candidate(machine)
            if "tvm" in trial.versions:
                minor = minor_of(str(trial.versions["tvm"]))
                if minor != running_minor():
                    problems.append(f"{place}: is of TVM {minor}")
        except (LogError, VariantError) as error:
            problems.append(f"{place}: {error}")
    yield from problems
