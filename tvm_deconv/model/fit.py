"""From what was measured and read to coefficients.

Time: the slope of seconds over bytes, so that what a call costs once does not count. Of several
samples the fastest counts, because whatever else runs there only makes them slower.

Energy is never measured here. Readings of a power meter become coefficients as follows: idle watts
are the constant power, and what the two kernels draw beyond them, over their operations and bytes
in a second, is what those cost.
"""

from __future__ import annotations

from collections.abc import Sequence

from tvm_deconv.errors import DeviceFileError

from .devices import Energy
from .sources import Coefficient, Source

# A call costs some ten microseconds once, where the longer measurement takes a millisecond or more.
_MOST_FOR_A_CALL = 1 / 3


def slope(shorter: tuple[float, Sequence[float]], longer: tuple[float, Sequence[float]]) -> float:
    """Bytes in a second, from the bytes and the seconds of two measurements.

    Raises DeviceFileError where the shorter one was disturbed so much that nothing can be fitted.
    """
    (few, before), (many, after) = ((size, min(samples)) for size, samples in (shorter, longer))
    once = after - (after - before) / (many - few) * many
    if once > _MOST_FOR_A_CALL * after:
        raise DeviceFileError(
            f"{few:.0f} bytes took {before * 1e3:.3g} ms and {many:.0f} bytes "
            f"{after * 1e3:.3g} ms: leave the device to itself and repeat"
        )
    return (many - few) / (after - before)


def energy_of(
    power: Sequence[float], peak: float, bytes_per_second: float, reading: Source
) -> Energy | None:
    """Coefficients from readings in watts, as the module says; None for no readings.

    The kernel of memory does an addition for four bytes; their energy is subtracted. Raises
    DeviceFileError as ``check_readings`` does.
    """
    check_readings(power)
    if not power:
        return None
    idle = power[0]
    per_flop = per_byte = 0.0
    if len(power) == 3:
        per_flop = (power[1] - idle) / peak
        per_byte = max(0.0, (power[2] - idle) / bytes_per_second - per_flop / 4)
    values = (per_flop, per_byte, idle)
    return Energy(*(Coefficient(rounded(value), reading) for value in values))


def rounded(value: float) -> float:
    """To four digits: two runs differ in the third."""
    return float(f"{value:.4g}")


def check_readings(power: Sequence[float]) -> None:
    """Raise DeviceFileError for readings that make no coefficients."""
    if len(power) not in (0, 1, 3):
        raise DeviceFileError(
            f"power takes one reading or three (idle, multiply-adds, memory), got {len(power)}"
        )
    if any(not 0 < watts < float("inf") for watts in power):
        raise DeviceFileError(f"power must be positive watts, got {', '.join(map(str, power))}")
    if any(watts < power[0] for watts in power):
        raise DeviceFileError(
            f"a device under load draws no less than idle, got {power[0]} W idle and "
            f"{min(power[1:])} W"
        )


def describe_readings(power: Sequence[float]) -> str:
    """What was read, for the source of the coefficients."""
    if len(power) == 3:
        return "idle {} W, multiply-adds {} W, memory {} W".format(*power)
    return "".join(f"{watts} W under load, counted as constant power" for watts in power)
