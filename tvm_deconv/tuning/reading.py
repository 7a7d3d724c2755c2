"""What a log's database says of each layer, interpreted when the layer is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.schedules.machine import CpuMachine
from tvm_deconv.schedules.space import impossible
from tvm_deconv.schedules.variant import Variant

from .layer import Candidate, Layer
from .lines import Lines
from .records import Record, layer_of_workload, read_record, workload_index
from .trial import candidate_from

# Whoever was measured this often has stood in a final, in turns with the others there: its median
# is worth more than the lucky single sample of one that was measured once. Counting further would
# prefer those that stood in the finals of several runs to a faster one that the last run found.
_SETTLED = 3

# Name of the variant, and the fields of its parameters with their values.
_Key: TypeAlias = tuple[str, tuple[tuple[str, int], ...]]
_Samples: TypeAlias = list[tuple[float, ...]]


@dataclass(frozen=True)
class Measured:
    """A variant with parameters, the number of its records, and the median of their seconds.

    Of several records the first does not count.
    """

    variant: Variant
    parameters: Any
    seconds: float
    records: int


class Contents:
    """The two tables of a database, as far as they are of layers of ours.

    Raises LogError, with file and line, for a row that cannot be read: here for its outer form, and
    what a record holds when its layer is looked up, or by ``check``. ``notes`` says what was left
    out of the layers that were looked up, and why.
    """

    def __init__(self, workloads: Lines, records: Lines, machine: CpuMachine) -> None:
        self._records, self._machine = records, machine
        self._count = len(workloads.texts)
        self.notes: list[str] = []
        self._rows = self._group(_layers(workloads))
        self._samples: dict[Layer, dict[_Key, _Samples]] = {}
        self._measured: dict[Layer, list[Measured]] = {}

    @property
    def other_records(self) -> bool:
        """Whether there are records of functions that are no layers of ours."""
        return sum(map(len, self._rows.values())) < len(self._records.texts)

    @property
    def layers(self) -> list[Layer]:
        """Those with records, in the order in which they were tuned."""
        return list(self._rows)

    def count(self, layer: Layer) -> int:
        """How many records there are of a layer."""
        return sum(len(samples) for samples in self._of(layer).values())

    def measured(self, layer: Layer) -> list[Measured]:
        """All that was measured, best first: by median, after a final those that stood in it first.

        What this version has no variant for, or cannot schedule, is left out.
        """
        if layer not in self._measured:
            found = []
            for (name, point), samples in self._of(layer).items():
                candidate = self._usable(layer, name, dict(point))
                if candidate is not None:
                    # The first measurement chose it, by luck as much as by speed, so where there
                    # are later ones only these count.
                    counting = samples[1:] or samples
                    seconds = median(second for sample in counting for second in sample)
                    found.append(
                        Measured(candidate.variant, candidate.parameters, seconds, len(samples))
                    )
            settled = min(_SETTLED, max((one.records for one in found), default=0))
            found.sort(key=lambda one: (one.records < settled, one.seconds))
            self._measured[layer] = found
        return self._measured[layer]

    def add(
        self, layer: Layer, variant: str, point: dict[str, int], seconds: Sequence[float]
    ) -> None:
        """What was appended to the tables since."""
        self._of(layer).setdefault(_key(variant, point), []).append(tuple(seconds))
        self._rows.setdefault(layer, [])
        self._measured.pop(layer, None)

    def check(self) -> None:
        """Interpret all rows."""
        for layer in self.layers:
            self._of(layer)

    def records_of(self, layer: Layer) -> list[tuple[int, Record]]:
        """Line numbers and records."""
        found = []
        for line in self._rows.get(layer, ()):
            row = self._records.value(line)
            try:
                found.append((line, read_record(row)))
            except LogError as error:
                raise LogError(f"{self._records.path}, line {line}: {error}") from error
        return found

    def _of(self, layer: Layer) -> dict[_Key, _Samples]:
        if layer not in self._samples:
            samples: dict[_Key, _Samples] = {}
            for _, record in self.records_of(layer):
                samples.setdefault(_key(record.variant, record.point), []).append(record.seconds)
            self._samples[layer] = samples
        return self._samples[layer]

    def _usable(self, layer: Layer, name: str, point: dict[str, int]) -> Candidate | None:
        try:
            candidate = candidate_from(layer, name, point)
            obstacle = impossible(
                candidate.variant, layer.conv, layer.sizes, candidate.parameters, self._machine
            )
        except (LogError, VariantError) as error:
            obstacle = str(error)
        if obstacle is not None:
            self.notes.append(f"{self._records.path}: left out {name} {point}: {obstacle}")
            return None
        return candidate

    def _group(self, layers: dict[int, Layer]) -> dict[Layer, list[int]]:
        """Lines of records by layer."""
        rows: dict[Layer, list[int]] = {}
        for line, text in enumerate(self._records.texts, 1):
            try:
                index = workload_index(text)
                if index >= self._count:
                    raise LogError(f"is of workload {index} from 0, and there are {self._count}")
            except LogError as error:
                raise LogError(f"{self._records.path}, line {line}: {error}") from error
            if index in layers:
                rows.setdefault(layers[index], []).append(line)
        return rows


def _layers(workloads: Lines) -> dict[int, Layer]:
    """The workloads that are layers, by index."""
    found = {}
    for line, row in workloads.numbered():
        try:
            layer = layer_of_workload(row)
        except LogError as error:
            raise LogError(f"{workloads.path}, line {line}: {error}") from error
        if layer is not None:
            found[line - 1] = layer
    return found


def _key(variant: str, point: dict[str, int]) -> _Key:
    return variant, tuple(sorted(point.items()))
