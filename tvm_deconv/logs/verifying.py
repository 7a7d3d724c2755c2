"""``tvm-deconv logs verify``: whether every line of a log is what it should be."""

from __future__ import annotations

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tvm.target import Target

from tvm_deconv.backends import machine_of
from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.space import parameters_refusal

from .folder import FILES, TRIALS
from .functions import problems_of as problems_of_functions
from .header import Header, minor_of, running_minor
from .lines import read_lines
from .trial import Trial


def problems_of(path: Path) -> Iterator[str]:
    """What is wrong with the log in a folder, each with file and line; nothing where all is well.

    A log of another TVM minor than the one that runs is a problem itself.
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
    for name in FILES:
        lines = read_lines(path / name)
        if lines.tail and not lines.tail_is_whole:
            yield f"{lines.path}: the last line is half-written"
    machine = machine_of(Target(header.target))
    trials = read_lines(path / TRIALS)
    for line in range(1, len(trials.texts) + 1):
        try:
            trials.read(line, lambda row: _checked(row, machine))
        except LogError as error:
            yield str(error)
    yield from problems_of_functions(path)


def _checked(row: Any, machine: Machine) -> None:
    """Raises LogError for a line that no log of this TVM minor can hold."""
    trial = Trial.from_json(row)
    if trial.layer is not None:
        try:
            made = trial.candidate(machine)
        except VariantError as error:
            raise LogError(str(error)) from error
        layer = made.layer
        refusal = parameters_refusal(
            made.variant, layer.conv, layer.sizes, made.parameters, machine
        )
        if refusal is not None and trial.seconds:
            raise LogError(f"{trial.variant} cannot do this: {refusal}")
    if not all(0 < second < math.inf for second in trial.seconds):
        raise LogError(f"samples must be positive numbers, got {list(trial.seconds)} s")
    if "tvm" in trial.versions and minor_of(str(trial.versions["tvm"])) != running_minor():
        raise LogError(f"is of TVM {trial.versions['tvm']}")
