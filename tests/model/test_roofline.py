"""The roofline of time and energy: what the formulas say, and what they must never say."""

from __future__ import annotations

from math import inf, isclose

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tvm_deconv.model.devices import Device, Energy, Level, load_device
from tvm_deconv.model.roofline import (
    ARITHMETIC,
    Work,
    attainable_flop_per_joule,
    attainable_flops,
    estimate,
    level_of,
    time_balance,
    total,
)
from tvm_deconv.model.sources import LITERATURE, Coefficient, Source

CITED = Source(LITERATURE, {"citation": "a test"})


def made(flops, *rates, energy=None) -> Device:
    """Levels of 1 KiB, 2 KiB, ... and memory, with these bytes in a second."""
    levels = [
        Level(f"L{n}", Coefficient(1024 * n, CITED), Coefficient(rate, CITED))
        for n, rate in enumerate(rates[:-1], 1)
    ]
    memory = Level("memory", None, Coefficient(rates[-1], CITED))
    coefficients = energy and Energy(*(Coefficient(value, CITED) for value in energy))
    return Device(
        "d", "made", Coefficient(flops, CITED), (*levels, memory), coefficients, "made without"
    )


# 100 operations and 10 bytes in a second, 2 J for each operation, 5 J for each byte, 7 W.
PLAIN = made(100, 10, energy=(2, 5, 7))


@pytest.mark.parametrize(
    ("multiply_adds", "moved", "seconds", "bound"),
    [
        (500, 20, 10, ARITHMETIC),
        (50, 1000, 100, "memory"),
        (0, 30, 3, "memory"),
        (50, 0, 1, ARITHMETIC),
    ],
)
def test_time_is_that_of_what_takes_longer_and_energy_is_a_sum(
    multiply_adds, moved, seconds, bound
):
    found = estimate(Work(multiply_adds, moved), PLAIN)
    assert (found.seconds, found.bound) == (seconds, bound)
    assert found.joules == 2 * multiply_adds * 2 + moved * 5 + seconds * 7


def test_a_device_without_coefficients_of_energy_has_time_only():
    assert estimate(Work(500, 20), made(100, 10)).joules is None
    assert total([Work(500, 20)] * 2, made(100, 10)).joules is None
    assert attainable_flop_per_joule(1, made(100, 10)) is None


def test_bytes_come_from_the_smallest_level_that_holds_them():
    device = made(1, 1000, 100, 10)
    assert [level_of(size, device).name for size in (1024, 1025, 2048, 2049)] == [
        *("L1", "L2", "L2", "memory")
    ]
    assert estimate(Work(0, 1000), device).seconds == 1
    assert estimate(Work(0, 3000), device).seconds == 300


def test_steps_wait_for_each_other():
    steps = [Work(500, 20), Work(0, 30)]
    assert total(steps, PLAIN).seconds == 13
    assert total(steps, PLAIN).joules == sum(estimate(step, PLAIN).joules for step in steps)
    # One step that does the same may overlap both.
    assert estimate(steps[0] + steps[1], PLAIN).seconds == 10


def test_nothing_takes_no_time():
    assert total([], PLAIN).seconds == 0
    assert Work(3, 0).intensity == inf


SIZES = st.floats(1e-3, 1e12)
WORKS = st.builds(Work, SIZES, SIZES)
DEVICES = st.builds(lambda flops, rate, *energy: made(flops, rate, energy=energy), *[SIZES] * 5)


@settings(max_examples=60)
@given(WORKS, DEVICES)
def test_no_step_is_above_a_roof(work, device):
    found = estimate(work, device)
    roof = attainable_flops(work.intensity, device, device.memory)
    assert isclose(work.flop / found.seconds, roof, rel_tol=1e-9)
    assert isclose(
        work.flop / found.joules, attainable_flop_per_joule(work.intensity, device), rel_tol=1e-9
    )


@settings(max_examples=60)
@given(WORKS, WORKS, DEVICES)
def test_more_work_never_costs_less(one, more, device):
    alone, together = estimate(one, device), estimate(one + more, device)
    assert together.seconds >= alone.seconds
    assert together.joules >= alone.joules


@pytest.mark.parametrize(
    ("name", "in_time", "in_energy"), [("core-i7-950", 4.16, 2.14), ("gtx-580", 8.22, 5.15)]
)
def test_the_cited_devices_have_the_balances_of_their_coefficients(name, in_time, in_energy):
    """106.56 / 25.6 and 795 / 371; 1581.06 / 192.4 and 513 / 99.7."""
    device = load_device(name)
    assert time_balance(device, device.memory) == pytest.approx(in_time, abs=0.005)
    joules = device.energy.joules_per_byte.value / device.energy.joules_per_flop.value
    assert joules == pytest.approx(in_energy, abs=0.005)


def test_at_the_balance_arithmetic_and_memory_take_as_long():
    device = load_device("core-i7-950")
    balance = time_balance(device, device.memory)
    work = Work(balance / 2 * 1e6, 1e6)
    assert isclose(
        work.flop / device.flop_per_second.value,
        work.bytes / device.memory.bytes_per_second.value,
        rel_tol=1e-12,
    )
