"""What the trials of a log say of each layer, interpreted when the layer is first asked for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.schedules.machines import AnyVariant, Machine
from tvm_deconv.schedules.space import parameters_refusal

from .layer import Candidate, Layer
from .lines import Lines
from .trial import FAILED_FINAL, OK, SEARCHED, Trial

# A layer, or the digest of another operator's function.
Subject: TypeAlias = Layer | str

# The text of a layer in its line. Every compilation reads a log, for a few of its layers: lines
# with the same text are not interpreted before that layer is asked for.
_LAYER = re.compile(rb'\{.*?"layer": ?(.+?), ?"kernel":.*\}')


@dataclass(frozen=True)
class MeasuredKernel:
    """A variant with parameters, and the median of its seconds.

    ``final`` is its number of turns in the last final, whose seconds alone count then; 0 for one
    that was not in it.
    """

    variant: AnyVariant
    parameters: Any
    seconds: float
    final: int


class Contents:
    """The trials of a log, of which ``machine`` is the device's.

    Raises LogError, with file and line, for a line that is no trial: here for one whose subject
    cannot be told, and for the others when their layer is looked up, or by ``trials``. ``notes``
    says what was left out of the layers that were looked up, and why.
    """

    def __init__(self, lines: Lines, machine: Machine) -> None:
        self._lines, self._machine = lines, machine
        self.notes: list[str] = []
        self._numbers = self._index()
        self._trials: dict[Subject, list[Trial]] = {}
        self._measured: dict[Layer, list[MeasuredKernel]] = {}

    @property
    def layers(self) -> list[Layer]:
        """In the order in which they were tuned."""
        return [subject for subject in self._numbers if isinstance(subject, Layer)]

    @property
    def has_functions(self) -> bool:
        """Whether there are trials of other operators' functions."""
        return len(self.layers) < len(self._numbers)

    def trials(self) -> list[Trial]:
        """All of them, by what was tuned."""
        return [trial for subject in self._numbers for trial in self.trials_of(subject)]

    def trials_of(self, subject: Subject) -> list[Trial]:
        """In order, failures included."""
        if subject not in self._trials:
            self._trials[subject] = list(map(self._trial, self._numbers.get(subject, ())))
        return self._trials[subject]

    def count(self, layer: Layer) -> int:
        """How many trials of a layer there are to choose from."""
        return len(self._counting(layer))

    def measured(self, layer: Layer) -> list[MeasuredKernel]:
        """All that was measured, best first: those of the last final, then the others.

        What this version has no variant for, or would not build, is left out.
        """
        if layer not in self._measured:
            trials = self._counting(layer)
            # The last final follows what was searched last. Its contestants took turns, while a
            # single lucky sample, or an earlier final on a busier or quieter machine, cannot be
            # compared with them.
            places = (place for place, trial in enumerate(trials) if trial.stage in SEARCHED)
            searched = max(places, default=-1)
            by_candidate: dict[Any, list[tuple[int, Trial]]] = {}
            for place, trial in enumerate(trials):
                key = trial.variant, tuple(sorted(trial.parameters.items()))
                by_candidate.setdefault(key, []).append((place, trial))
            found = []
            for same in by_candidate.values():
                candidate = self._usable(layer, same[0][1])
                if candidate is not None:
                    last = [trial for place, trial in same if place > searched]
                    counting = last or [trial for _, trial in same]
                    middle = median(second for trial in counting for second in trial.seconds)
                    found.append(
                        MeasuredKernel(candidate.variant, candidate.parameters, middle, len(last))
                    )
            found.sort(key=lambda one: (one.final == 0, one.seconds))
            self._measured[layer] = found
        return self._measured[layer]

    def add(self, trial: Trial) -> None:
        """What was appended to the log since."""
        self.trials_of(trial.subject).append(trial)
        self._numbers.setdefault(trial.subject, [])
        if trial.layer is not None:
            self._measured.pop(trial.layer, None)

    def _counting(self, layer: Layer) -> list[Trial]:
        """Those with samples, but no turn of one that failed in another turn of its final."""
        trials = self.trials_of(layer)
        return [trial for trial in trials if trial.status == OK and trial.stage != FAILED_FINAL]

    def _usable(self, layer: Layer, trial: Trial) -> Candidate | None:
        try:
            candidate = trial.candidate(self._machine)
            refusal = parameters_refusal(
                candidate.variant, layer.conv, layer.sizes, candidate.parameters, self._machine
            )
        except (LogError, VariantError) as error:
            refusal = str(error)
        if refusal is not None:
            left_out = f"{trial.variant} {trial.parameters}: {refusal}"
            self.notes.append(f"{self._lines.path}: left out {left_out}")
            return None
        return candidate

    def _index(self) -> dict[Subject, list[int]]:
        """Numbers of lines by subject; of the lines with the same text of a layer, one is read."""
        numbers: dict[Subject, list[int]] = {}
        known: dict[bytes, list[int]] = {}
        for number, text in enumerate(self._lines.texts, 1):
            found = _LAYER.fullmatch(text)
            of_subject = known.get(found[1]) if found else None
            if of_subject is None:
                of_subject = numbers.setdefault(self._trial(number).subject, [])
                if found:
                    known[found[1]] = of_subject
            of_subject.append(number)
        return numbers

    def _trial(self, number: int) -> Trial:
        return self._lines.read(number, Trial.from_json)
