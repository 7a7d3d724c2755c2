"""Devices of the time and energy model: every number of a file has a source, or it is not read."""

from __future__ import annotations

import copy
import json
from pathlib import Path

import pytest

from tvm_deconv.errors import DeviceFileError
from tvm_deconv.model.devices import from_json, load_device, shipped
from tvm_deconv.model.report import describe
from tvm_deconv.model.sources import LITERATURE, MEASUREMENT, READING

MEASURED = {
    "kind": MEASUREMENT,
    "by": "a kernel",
    "date": "2026-11-21",
    "machine": "m",
    "threads": 2,
}
READ = {"kind": READING, "by": "a meter", "date": "2026-11-21", "machine": "m"}
CITED = {"kind": LITERATURE, "citation": "A. Author, A paper, 2026"}

GOOD = {
    "format": 1,
    "name": "abacus",
    "description": "an abacus",
    "flop_per_second": {"value": 1e9, "source": MEASURED},
    "levels": [
        {
            "name": "L1",
            "capacity": {"value": 65536, "source": CITED},
            "bytes_per_second": {"value": 8e9, "source": MEASURED},
        },
        {"name": "memory", "bytes_per_second": {"value": 1e9, "source": MEASURED}},
    ],
    "energy": {
        "joules_per_flop": {"value": 0, "source": READ},
        "joules_per_byte": {"value": 1e-9, "source": CITED},
        "watts": {"value": 2, "source": READ},
    },
}


def changed(place: str, value):
    """``GOOD`` with the value at ``a.b.0.c`` replaced, or removed for ``None``."""
    device = copy.deepcopy(GOOD)
    *path, last = [int(key) if key.isdigit() else key for key in place.split(".")]
    inner = device
    for key in path:
        inner = inner[key]
    if value is None:
        del inner[last]
    else:
        inner[last] = value
    return device


def without(source: dict, field: str) -> dict:
    return {key: value for key, value in source.items() if key != field}


BAD = {
    "flop_per_second.source": [
        (None, "d: flop_per_second has no source"),
        ({"kind": "guess"}, "d: flop_per_second has no source: .* got 'guess'"),
        ("a paper", "d: flop_per_second has no source"),
        ({**CITED, "citation": "  "}, "d: flop_per_second: a source of kind literature needs 'cit"),
        (without(MEASURED, "date"), "a source of kind measurement needs 'date'"),
        ({**MEASURED, "threads": "two"}, "a source of kind measurement needs 'threads'"),
        ({**CITED, "page": 3}, "a source of kind literature has no 'page'"),
    ],
    "flop_per_second.value": [
        (0, "d: flop_per_second must be a positive number, got 0"),
        (float("nan"), "must be a positive number, got nan"),
        ("fast", "must be a positive number, got 'fast'"),
        (True, "must be a positive number, got True"),
    ],
    "flop_per_second": [(1e9, "d: flop_per_second must hold a value and its source")],
    "levels.0.capacity": [
        (65536, "d: capacity of L1 must hold a value and its source"),
        (None, "d: levels must grow, and the last, memory, must have no capacity"),
    ],
    "levels.1.bytes_per_second": [(None, "d: memory must hold a value and its source")],
    "levels.1.capacity": [
        ({"value": 1e9, "source": CITED}, "the last, memory, must have no capacity"),
    ],
    "levels.0.name": [("", "d: a level has no name")],
    "levels": [([], "d needs levels")],
    "energy.joules_per_flop.source": [
        (MEASURED, "d: joules_per_flop cannot come from a microbenchmark"),
        (None, "d: joules_per_flop has no source"),
    ],
    "energy.watts": [
        (None, "energy must hold joules_per_flop, joules_per_byte, watts, or say why")
    ],
    "energy.watts.value": [(-1, "d: watts must be a positive number")],
    "energy": [("", "or say why there is none"), (None, "d lacks 'energy'")],
    "format": [(2, "d is not a device file of format 1: its format is 2")],
    "name": [(7, "d: name must say something")],
    "speed": [(7, "d has an unknown 'speed'")],
}


@pytest.mark.parametrize(
    ("place", "value", "reason"),
    [(place, *case) for place, cases in BAD.items() for case in cases],
    ids=str,
)
def test_a_device_with_a_number_that_says_too_little_is_refused(place, value, reason):
    with pytest.raises(DeviceFileError, match=reason):
        from_json(changed(place, value), "d")


def test_a_device_is_written_as_it_is_read(tmp_path):
    device = from_json(GOOD, "d")
    device.write(tmp_path / "abacus.json")
    assert load_device(tmp_path / "abacus.json") == device
    assert json.loads((tmp_path / "abacus.json").read_text()) == GOOD


def test_a_device_may_say_why_it_has_no_energy():
    device = from_json(changed("energy", "nobody had a meter"), "d")
    assert device.energy is None
    assert "no energy: nobody had a meter" in describe(device)


def test_a_description_says_of_every_number_where_it_comes_from():
    lines = describe(from_json(GOOD, "d")).splitlines()
    assert [line.strip() for line in lines] == [
        "abacus: an abacus",
        "1 GFLOP/s [1]",
        "integers as fast as floats, for want of a source",
        "L1 of 0.0625 MiB [2] 8 GB/s [1], balance 0.125 flop/byte",
        "memory 1 GB/s [1], balance 1 flop/byte",
        "0 pJ/flop [3]",
        "1000 pJ/byte [2]",
        "2 W [3]",
        "[1] measured by a kernel, m, 2 threads, 2026-11-21",
        "[2] A. Author, A paper, 2026",
        "[3] read off a meter by a meter, m, 2026-11-21",
    ]


@pytest.mark.parametrize("name", shipped())
def test_a_device_of_the_package_is_in_order_and_called_after_its_file(name):
    assert load_device(name).name == name


def test_energies_of_the_package_come_from_literature():
    cited = [load_device(name) for name in shipped() if load_device(name).energy]
    assert len(cited) >= 2
    for device in cited:
        energy = device.energy
        for coefficient in (energy.joules_per_flop, energy.joules_per_byte, energy.watts):
            assert coefficient.source.kind == LITERATURE


@pytest.mark.parametrize(
    ("content", "reason"),
    [(None, "there is no device or file .*: there are .*gtx-580"), ("{", "is not JSON")],
)
def test_a_file_that_is_no_device_is_named(tmp_path: Path, content, reason):
    path = tmp_path / "zzz.json"
    if content is not None:
        path.write_text(content)
    with pytest.raises(DeviceFileError, match=reason):
        load_device(path)


def test_a_name_that_is_nearly_one_gets_a_hint():
    with pytest.raises(DeviceFileError, match="did you mean gtx-580"):
        load_device("gtx580")
