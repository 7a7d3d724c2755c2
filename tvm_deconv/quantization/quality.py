"""How good pictures are: peak signal-to-noise ratio, and what is said of it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


def psnr(one: np.ndarray, other: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all elements; 1 is white, and inf says they agree."""
    error = np.mean(np.square(one.astype(np.float64) - other))
    return float(-10 * np.log10(error)) if error else float("inf")


@dataclass(frozen=True)
class Quality:
    """PSNR in dB of pictures, in the order of their names."""

    names: tuple[str, ...]
    values: tuple[float, ...]

    @property
    def mean(self) -> float:
        """Of the pictures' values, as it is usual; inf if one is."""
        return float(np.mean(self.values))

    @property
    def worst(self) -> tuple[str, float]:
        """The name and value of the worst picture."""
        index = int(np.argmin(self.values))
        return self.names[index], self.values[index]


@dataclass(frozen=True)
class Quantized:
    """What quantization did: bytes of the model before and after, and what it cost.

    ``before`` and ``after`` are the quality of the float and the quantized results against the
    references, None where there are none; ``against_float`` that of the quantized results against
    the float ones.
    """

    bytes_before: int
    bytes_after: int
    against_float: Quality
    before: Quality | None
    after: Quality | None

    def __str__(self) -> str:
        share = self.bytes_after / self.bytes_before
        lines = [f"size: {self.bytes_before:,} -> {self.bytes_after:,} bytes ({share:.0%})"]
        if self.before is not None and self.after is not None:
            change = f"{_decibels(self.before.mean)} -> {_decibels(self.after.mean)}"
            lines.append(f"PSNR against the references: {change} dB ({_of(self.after)})")
        else:
            mean = _decibels(self.against_float.mean)
            lines.append(f"PSNR against the float results: {mean} dB ({_of(self.against_float)})")
        return "\n".join(lines)


def _of(quality: Quality) -> str:
    count = len(quality.names)
    if count == 1:
        return "1 picture"
    name, value = quality.worst
    return f"mean of {count} pictures; lowest {_decibels(value)}, {name}"


def _decibels(values: float) -> str:
    return f"{values:.2f}"
