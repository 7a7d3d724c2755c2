"""Where a coefficient comes from. A number without a source is not read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tvm_deconv.errors import DeviceFileError

LITERATURE, MEASUREMENT, READING = "literature", "measurement", "reading"
"""Published; measured by a microbenchmark; read off a power meter by the user."""

_FIELDS: dict[str, dict[str, type]] = {
    LITERATURE: {"citation": str},
    MEASUREMENT: {"by": str, "date": str, "machine": str, "threads": int},
    READING: {"by": str, "date": str, "machine": str},
}


@dataclass(frozen=True)
class Source:
    """``kind`` is one of the above; ``fields`` says the rest in the words of the device file."""

    kind: str
    fields: Mapping[str, Any]

    @staticmethod
    def from_json(read: Any, where: str) -> Source:
        """Raises DeviceFileError for anything that does not say where a number comes from."""
        kind = read.get("kind") if isinstance(read, dict) else None
        if kind not in _FIELDS:
            raise DeviceFileError(
                f"{where} has no source: say one of {', '.join(_FIELDS)} as its kind, got {kind!r}"
            )
        fields = {}
        for name, wanted in _FIELDS[kind].items():
            value = read.get(name)
            if not isinstance(value, wanted) or not str(value).strip():
                raise DeviceFileError(f"{where}: a source of kind {kind} needs {name!r}")
            fields[name] = value
        unknown = sorted(read.keys() - fields.keys() - {"kind"})
        if unknown:
            raise DeviceFileError(f"{where}: a source of kind {kind} has no {unknown[0]!r}")
        return Source(kind, fields)

    def as_json(self) -> dict[str, Any]:
        return {"kind": self.kind, **self.fields}

    def __str__(self) -> str:
        if self.kind == LITERATURE:
            return str(self.fields["citation"])
        threads = self.fields.get("threads")
        on = f"{self.fields['machine']}, {threads} threads" if threads else self.fields["machine"]
        label = "measured" if self.kind == MEASUREMENT else "read off a meter"
        return f"{label} by {self.fields['by']}, {on}, {self.fields['date']}"


@dataclass(frozen=True)
class Coefficient:
    """A positive number (of energies, also 0) and its source."""

    value: float
    source: Source

    @staticmethod
    def from_json(read: Any, where: str, *, zero: bool = False) -> Coefficient:
        """Raises DeviceFileError for a number that is no such one, or that has no source."""
        if not isinstance(read, dict) or "value" not in read:
            raise DeviceFileError(f"{where} must hold a value and its source, got {read!r}")
        value = read["value"]
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not (0 < value < float("inf") or (zero and value == 0)):
            raise DeviceFileError(f"{where} must be a positive number, got {value!r}")
        return Coefficient(float(value), Source.from_json(read.get("source"), where))

    def as_json(self) -> dict[str, Any]:
        return {"value": self.value, "source": self.source.as_json()}
