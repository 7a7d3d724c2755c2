"""Devices of the time and energy model: data files with coefficients, each with its source.

A file is JSON::

    {"format": 1, "name": ..., "description": ...,
     "flop_per_second": {"value": ..., "source": {...}},
     "integers": {"int8": {...}, "int16": {...}},
     "levels": [{"name": "L1", "capacity": {...}, "bytes_per_second": {...}}, ...,
                {"name": "memory", "bytes_per_second": {...}}],
     "energy": {"joules_per_flop": {...}, "joules_per_byte": {...}, "watts": {...}}}

``levels`` go from the smallest to memory, which alone has no capacity; a capacity counts all cores
together. ``integers`` are operations in a second of bytes by weights of int8 and of int16, two for
a multiply-add; any of it may be missing. ``energy`` may be a sentence that says why there is none.
``sources`` says what a source is. Those that come with the package are in ``device_data``.
"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tvm_deconv.errors import DeviceFileError
from tvm_deconv.files import replacing

from .sources import MEASUREMENT, Coefficient

FORMAT = 1
_SHIPPED = Path(__file__).parent / "device_data"


@dataclass(frozen=True)
class Level:
    """A cache or memory: ``capacity`` in bytes of all cores together, None for memory."""

    name: str
    capacity: Coefficient | None
    bytes_per_second: Coefficient


@dataclass(frozen=True)
class Energy:
    """Joules for an operation and for a byte of memory, and watts that are always drawn."""

    joules_per_flop: Coefficient
    joules_per_byte: Coefficient
    watts: Coefficient


@dataclass(frozen=True)
class Device:
    """A processor, as far as the model cares.

    ``flop_per_second`` counts two operations for each float32 multiply-add. ``levels`` and
    ``integers`` are those of ``device_data``'s format. Either ``energy`` or ``no_energy``, which
    says why, is there.
    """

    name: str
    description: str
    flop_per_second: Coefficient
    levels: tuple[Level, ...]
    energy: Energy | None = None
    no_energy: str = ""
    integers: Mapping[str, Coefficient] = field(default_factory=dict)

    @property
    def memory(self) -> Level:
        return self.levels[-1]

    def as_json(self) -> dict[str, Any]:
        """What ``from_json`` reads."""
        return {
            "format": FORMAT,
            "name": self.name,
            "description": self.description,
            "flop_per_second": self.flop_per_second.as_json(),
            **(
                {"integers": {name: one.as_json() for name, one in self.integers.items()}}
                if self.integers
                else {}
            ),
            "levels": [
                {
                    "name": level.name,
                    **({} if level.capacity is None else {"capacity": level.capacity.as_json()}),
                    "bytes_per_second": level.bytes_per_second.as_json(),
                }
                for level in self.levels
            ],
            "energy": self.no_energy
            if self.energy is None
            else {name: getattr(self.energy, name).as_json() for name in _ENERGY},
        }

    def write(self, path: str | os.PathLike) -> None:
        """Raises OutputError where ``path`` cannot be written."""
        with replacing(path) as unfinished:
            unfinished.write_text(json.dumps(self.as_json(), indent=2) + "\n", encoding="utf-8")


_ENERGY = ("joules_per_flop", "joules_per_byte", "watts")
_KEYS = {"format", "name", "description", "flop_per_second", "levels", "energy"}
# Weights of products of integers.
INTEGERS = INT8, INT16 = "int8", "int16"
_INTEGERS = "integers"


def shipped() -> list[str]:
    """Names of the devices that come with the package."""
    return sorted(path.stem for path in _SHIPPED.glob("*.json"))


def load_device(name: str | os.PathLike) -> Device:
    """A device of the package by its name, or one from a file.

    Raises DeviceFileError for a name that none has, a file that cannot be read or is damaged, and
    a coefficient without a source.
    """
    path = Path(name)
    if os.fspath(name) in shipped():
        path = _SHIPPED / f"{name}.json"
    elif not path.exists():
        close = difflib.get_close_matches(os.fspath(name), shipped(), 1)
        hint = f"did you mean {close[0]}?" if close else f"there are {', '.join(shipped())}"
        raise DeviceFileError(f"there is no device or file {os.fspath(name)!r}: {hint}")
    try:
        read = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise DeviceFileError(f"cannot read {path}: {error.strerror}") from error
    except ValueError as error:
        raise DeviceFileError(f"{path} is not JSON: {error}") from error
    return from_json(read, os.fspath(name))


def from_json(read: Any, where: str) -> Device:
    """A device from what ``json.loads`` makes of its file, called ``where`` in errors.

    Raises DeviceFileError as ``load_device`` does.
    """
    found = read.get("format") if isinstance(read, dict) else None
    if found != FORMAT:
        raise DeviceFileError(
            f"{where} is not a device file of format {FORMAT}: its format is {found!r}"
        )
    wrong = sorted(_KEYS ^ (read.keys() - {_INTEGERS}))
    if wrong:
        problem = "lacks" if wrong[0] in _KEYS else "has an unknown"
        raise DeviceFileError(f"{where} {problem} {wrong[0]!r}")
    for key in ("name", "description"):
        if not isinstance(read[key], str) or not read[key].strip():
            raise DeviceFileError(f"{where}: {key} must say something, got {read[key]!r}")
    energy, no_energy = _energy(read["energy"], where)
    return Device(
        read["name"],
        read["description"],
        Coefficient.from_json(read["flop_per_second"], f"{where}: flop_per_second"),
        _levels(read["levels"], where),
        energy,
        no_energy,
        _integers(read.get(_INTEGERS, {}), where),
    )


def _levels(read: Any, where: str) -> tuple[Level, ...]:
    if not isinstance(read, list) or not read:
        raise DeviceFileError(f"{where} needs levels, at least memory")
    levels = []
    for entry in read:
        name = entry.get("name") if isinstance(entry, dict) else None
        if not isinstance(name, str) or not name:
            raise DeviceFileError(f"{where}: a level has no name: {entry!r}")
        rate = Coefficient.from_json(entry.get("bytes_per_second"), f"{where}: {name}")
        size = entry.get("capacity")
        capacity = size and Coefficient.from_json(size, f"{where}: capacity of {name}")
        levels.append(Level(name, capacity, rate))
    *caches, memory = levels
    sizes = [level.capacity.value for level in caches if level.capacity]
    grow = len(sizes) == len(caches) and sizes == sorted(set(sizes))
    if memory.capacity is not None or not grow:
        raise DeviceFileError(
            f"{where}: levels must grow, and the last, memory, must have no capacity"
        )
    return tuple(levels)


def _integers(read: Any, where: str) -> dict[str, Coefficient]:
    if not isinstance(read, dict) or not read.keys() <= set(INTEGERS):
        raise DeviceFileError(f"{where}: {_INTEGERS} may hold {', '.join(INTEGERS)}, got {read!r}")
    return {
        name: Coefficient.from_json(read[name], f"{where}: {_INTEGERS} {name}")
        for name in INTEGERS
        if name in read
    }


def _energy(read: Any, where: str) -> tuple[Energy | None, str]:
    if isinstance(read, str) and read.strip():
        return None, read
    if not isinstance(read, dict) or read.keys() != set(_ENERGY):
        raise DeviceFileError(
            f"{where}: energy must hold {', '.join(_ENERGY)}, or say why there is none"
        )
    found = {
        name: Coefficient.from_json(read[name], f"{where}: {name}", zero=True) for name in _ENERGY
    }
    for name, coefficient in found.items():
        if coefficient.source.kind == MEASUREMENT:
            raise DeviceFileError(
                f"{where}: {name} cannot come from a microbenchmark, which measures no energy: "
                "cite it, or read a meter"
            )
    return Energy(**found), ""
