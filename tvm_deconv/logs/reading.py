"""What a log's database says of each layer, interpreted when the layer is first asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Any, TypeAlias

from tvm_deconv.errors import LogError, VariantError
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.space import impossible
from tvm_deconv.schedules.variant import Variant

from .layer import Candidate, Layer
from .lines import Lines
from .records import Record, layer_of_workload, read_record, workload_index
from .trial import candidate_from

# Name of the variant, and the fields of its parameters with their values.
_Key: TypeAlias = tuple[str, tuple[tuple[str, int], ...]]
# Place among the records of the layer, and seconds.
_Samples: TypeAlias = list[tuple[int, tuple[float, ...]]]


@dataclass(frozen=True)
class Measured:
    """A variant with parameters, and the median of its seconds.

    ``final`` is its number of turns in the last final, whose seconds alone count then; 0 for one
    that was not in it.
    """

    variant: Variant
    parameters: Any
    seconds: float
    final: int


class Contents:
    """The two tables of a database, as far as they are of layers of ours.

    Raises LogError, with file and line, for a row that cannot be read: here for its outer form, and
    what a record holds when its layer is looked up, or by ``check``. ``notes`` says what was left
    out of the layers that were looked up, and why.
    """

    def __init__(self, workloads: Lines, records: Lines, machine: Machine) -> None:
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
        """All that was measured, best first: those of the last final, then the others.

        What this version has no variant for, or would not build, is left out.
        """
        if layer not in self._measured:
            samples = self._of(layer)
            # A search measures everything once; what was measured again later was in a final. Its
            # contestants took turns, while a single lucky sample, or an earlier final on a busier
            # or quieter machine, cannot be compared with them.
            searched = max((found[0][0] for found in samples.values()), default=0)
            found = []
            for (name, point), measured in samples.items():
                candidate = self._usable(layer, name, dict(point))
                if candidate is not None:
                    last = [seconds for place, seconds in measured if place > searched]
                    counting = last or [seconds for _, seconds in measured]
                    middle = median(second for seconds in counting for second in seconds)
                    found.append(
                        Measured(candidate.variant, candidate.parameters, middle, len(last))
                    )
            found.sort(key=lambda one: (one.final == 0, one.seconds))
            self._measured[layer] = found
        return self._measured[layer]

    def add(
        self, layer: Layer, variant: str, point: dict[str, int], seconds: Sequence[float]
    ) -> None:
        """What was appended to the tables since."""
        samples = self._of(layer)
        place = sum(map(len, samples.values()))
        samples.setdefault(_key(variant, point), []).append((place, tuple(seconds)))
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
            for place, (_, record) in enumerate(self.records_of(layer)):
                key = _key(record.variant, record.point)
                samples.setdefault(key, []).append((place, record.seconds))
            self._samples[layer] = samples
        return self._samples[layer]

    def _usable(self, layer: Layer, name: str, point: dict[str, int]) -> Candidate | None:
        try:
            candidate = candidate_from(layer, name, point, self._machine)
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
