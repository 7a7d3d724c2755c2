"""The roofline of time and of energy: what a number of operations and bytes costs on a device.

    T = max(W * tau_flop, Q * tau_mem)
    E = W * eps_flop + Q * eps_mem + watts * T

for W operations (two for each multiply-add) and Q bytes; products of integers have a tau of their
own where a device has one, and never an eps. Arithmetic and transfers
overlap in time and never in energy, so time is a maximum and energy a sum; the device also draws
power for as long as it takes. Williams, Waterman, Patterson, Roofline, CACM 2009; Choi, Bedard,
Fowler, Vuduc, A roofline model of energy, IPDPS 2013.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import astuple, dataclass
from operator import add

from .devices import INT8, INT16, Device, Level

ARITHMETIC = "arithmetic"


@dataclass(frozen=True)
class Work:
    """What one step does: multiply-adds, and bytes that it reads and writes, each once.

    ``int8`` and ``int16`` are those multiply-adds that are of bytes by such weights.
    """

    multiply_adds: float
    bytes: float
    int8: float = 0
    int16: float = 0

    @property
    def flop(self) -> float:
        """Operations, of floats or integers."""
        return 2 * self.multiply_adds

    @property
    def intensity(self) -> float:
        """Floating-point operations for each byte; infinite for a step that moves none."""
        return self.flop / self.bytes if self.bytes else float("inf")

    def __add__(self, other: Work) -> Work:
        return Work(*map(add, astuple(self), astuple(other)))


@dataclass(frozen=True)
class Estimate:
    """What a step or several take: ``joules`` is None for a device without energy coefficients.

    ``bound`` is what a single step waits for: ``ARITHMETIC`` or the name of a level; empty for
    the sum of several.
    """

    seconds: float
    joules: float | None
    bound: str = ""


def estimate(work: Work, device: Device) -> Estimate:
    """Time and energy of one step.

    Its bytes come from the smallest level of the device that holds all of them, because whatever
    computed them before has left them there. Energy counts each byte as one of memory, and each
    operation as one of floats, for which alone there are coefficients: for a step that stays in a
    cache, or multiplies integers, this is an upper bound.
    """
    level = level_of(work.bytes, device)
    arithmetic = _arithmetic(work, device)
    transfers = work.bytes / level.bytes_per_second.value
    seconds = max(arithmetic, transfers)
    return Estimate(
        seconds,
        joules(work, seconds, device),
        ARITHMETIC if arithmetic >= transfers else level.name,
    )


def _arithmetic(work: Work, device: Device) -> float:
    """Seconds; products of integers are as fast as those of floats where no more is known."""
    floats, peak = work.multiply_adds - work.int8 - work.int16, device.flop_per_second
    seconds = 2 * floats / peak.value
    for name, products in ((INT8, work.int8), (INT16, work.int16)):
        seconds += 2 * products / device.integers.get(name, peak).value
    return seconds


def joules(work: Work, seconds: float, device: Device) -> float | None:
    """Energy of work that takes ``seconds``, modelled or measured; None without coefficients."""
    if device.energy is None:
        return None
    energy = device.energy
    return (
        work.flop * energy.joules_per_flop.value
        + work.bytes * energy.joules_per_byte.value
        + seconds * energy.watts.value
    )


def total(steps: Iterable[Work], device: Device) -> Estimate:
    """Time and energy of steps that run one after the other: a kernel waits for the one before."""
    found = [estimate(step, device) for step in steps]
    energies = [one.joules for one in found if one.joules is not None]
    return Estimate(
        sum(one.seconds for one in found), None if device.energy is None else sum(energies)
    )


def level_of(working_set: float, device: Device) -> Level:
    """The smallest level that holds so many bytes; the last one, memory, holds any number."""
    for level in device.levels:
        if level.capacity is None or working_set <= level.capacity.value:
            return level
    raise AssertionError("the last level of a device has no capacity")


def attainable_flops(
    intensity: float, device: Device, level: Level, integers: str | None = None
) -> float:
    """Operations in a second that the roof of ``level`` allows: of floats, or of ``integers``."""
    peak = device.flop_per_second if integers is None else device.integers[integers]
    return min(peak.value, intensity * level.bytes_per_second.value)


def attainable_flop_per_joule(intensity: float, device: Device) -> float | None:
    """Floating-point operations for each joule at the roof of memory; None without energy."""
    one = Work(0.5, 1 / intensity)
    seconds = 1 / attainable_flops(intensity, device, device.levels[-1])
    spent = joules(one, seconds, device)
    return None if spent is None else 1 / spent


def time_balance(device: Device, level: Level) -> float:
    """Operations for each byte at which arithmetic and transfers of ``level`` take as long."""
    return device.flop_per_second.value / level.bytes_per_second.value
