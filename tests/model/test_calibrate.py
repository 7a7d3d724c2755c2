"""Calibration: what is fitted from readings, and a device measured by its own kernels."""

from __future__ import annotations

import dataclasses
import json

import pytest

from tvm_deconv import cli
from tvm_deconv.errors import DeviceError, DeviceFileError, TuningError
from tvm_deconv.model import calibrate as calibration
from tvm_deconv.model.calibrate import calibrate, working_sets
from tvm_deconv.model.devices import load_device
from tvm_deconv.model.fit import check_readings, describe_readings, energy_of, slope
from tvm_deconv.model.sources import MEASUREMENT, READING, Source
from tvm_deconv.schedules.cpu.machine import CpuMachine

KIB = 1024
MACHINE = CpuMachine("avx512", 16, 32, 32 * KIB, 1024 * KIB, 2, l3_bytes=16384 * KIB)


def test_each_working_set_fills_half_of_its_level_and_memory_s_none():
    found = [(one.name, one.bytes // KIB, one.capacity) for one in working_sets(MACHINE)]
    assert found == [
        ("L1", 32, 64 * KIB),
        ("L2", 1024, 2048 * KIB),
        ("L3", 16384, 32768 * KIB),
        ("memory", 131072, None),
    ]


@pytest.mark.parametrize(
    ("change", "names"),
    [
        ({"l3_bytes": 0}, ["L1", "L2", "memory"]),
        # Half of it would still be in level 2.
        ({"l3_bytes": 1536 * KIB}, ["L1", "L2", "memory"]),
    ],
)
def test_a_level_that_cannot_be_told_from_a_smaller_one_is_left_out(change, names):
    found = working_sets(dataclasses.replace(MACHINE, **change))
    assert [one.name for one in found] == names
    assert found[-1].bytes >= 64 << 20


def test_the_slope_leaves_out_what_a_call_costs_once():
    shorter, longer = ((size, [9, 0.003 + size / 5e9, 8]) for size in (1e7, 4e7))
    assert slope(shorter, longer) == pytest.approx(5e9)


@pytest.mark.parametrize("disturbed", [0.005, 0.008, 0.02])
def test_a_shorter_measurement_that_was_disturbed_gives_no_bandwidth(disturbed):
    with pytest.raises(DeviceFileError, match=r"10000000 bytes took .*leave the device to itself"):
        slope((1e7, [disturbed]), (4e7, [0.008]))


METER = Source(READING, {"by": "a test", "date": "2026-11-21", "machine": "m"})


def test_three_readings_separate_operations_bytes_and_what_is_always_drawn():
    """10 W beyond idle at 5 GFLOP/s are 2 nJ; 4 W at 1 GB/s less an addition for 4 bytes."""
    energy = energy_of((3, 13, 7), 5e9, 1e9, METER)
    assert energy.watts.value == 3
    assert energy.joules_per_flop.value == pytest.approx(2e-9)
    assert energy.joules_per_byte.value == pytest.approx(3.5e-9)


def test_one_reading_is_constant_power():
    energy = energy_of((6.5,), 5e9, 1e9, METER)
    values = energy.watts.value, energy.joules_per_flop.value, energy.joules_per_byte.value
    assert values == (6.5, 0, 0)
    assert describe_readings((6.5,)) == "6.5 W under load, counted as constant power"


def test_no_reading_is_no_energy():
    assert energy_of((), 5e9, 1e9, METER) is None


@pytest.mark.parametrize(
    ("power", "reason"),
    [
        ((1, 2), "one reading or three"),
        ((0,), "positive watts, got 0"),
        ((float("nan"),), "positive watts, got nan"),
        ((5, 4, 6), "no less than idle, got 5 W idle and 4 W"),
    ],
    ids=str,
)
def test_readings_that_make_no_coefficients_are_refused(power, reason):
    with pytest.raises(DeviceFileError, match=reason):
        check_readings(power)


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """This machine, by kernels that are much too short to say anything of its speed."""
    path = tmp_path_factory.mktemp("calibration") / "here.json"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(calibration, "_SHORT", 1 << 20)
        patch.setattr(calibration, "_LONG", 512 << 20)
        patch.setattr(calibration, "_MIN_REPEAT_MS", 1)
        patch.setattr(
            calibration,
            "working_sets",
            lambda machine: (
                [one for one in working_sets(machine) if one.name == "L1"]
                + [calibration._Set("memory", 8 << 20, None)]
            ),
        )
        options = ["--name", "here", "--threads", "1", "--power", "2", "9", "5"]
        assert cli.main(["calibrate", "-o", str(path), *options]) == 0
    return path


def test_calibrate_writes_a_device_that_the_model_reads(measured, capsys):
    device = load_device(measured)
    assert device.name == "here"
    assert [level.name for level in device.levels] == ["L1", "memory"]
    for coefficient in (device.flop_per_second, *(one.bytes_per_second for one in device.levels)):
        assert coefficient.value > 1e8
        assert coefficient.source.kind == MEASUREMENT
        assert coefficient.source.fields["threads"] == 1
    energy = device.energy
    assert energy.watts.value == 2
    assert energy.watts.source.kind == READING
    assert energy.watts.source.fields["by"] == "idle 2.0 W, multiply-adds 9.0 W, memory 5.0 W"
    assert energy.joules_per_flop.value == pytest.approx(7 / device.flop_per_second.value, rel=1e-3)
    assert json.loads(measured.read_text())["format"] == 1


@pytest.mark.parametrize(
    ("arguments", "error", "reason"),
    [
        ({"tracker": "127.0.0.1:1", "key": "board"}, DeviceError, "127.0.0.1:1"),
        ({"tracker": "127.0.0.1:1"}, TuningError, "needs the key"),
        ({"target": "raspberry-pi/4b-aarch64"}, TuningError, "this machine is not a cortex-a72"),
        ({"power": (1, 2)}, DeviceFileError, "one reading or three"),
    ],
    ids=str,
)
def test_what_cannot_be_measured_is_said_before_anything_is(arguments, error, reason):
    with pytest.raises(error, match=reason):
        calibrate(**arguments)


def test_bad_input_is_one_line_and_no_file(tmp_path, capsys):
    out = tmp_path / "device.json"
    command = ["calibrate", "-o", str(out), "--power", "5", "4", "6"]
    assert cli.main(command) == 2
    assert cli.main(["calibrate", "-o", str(tmp_path / "none" / "device.json")]) == 2
    said = capsys.readouterr().err.splitlines()
    assert len(said) == 2
    assert "no less than idle" in said[0]
    assert "cannot write" in said[1]
    assert not out.exists()
