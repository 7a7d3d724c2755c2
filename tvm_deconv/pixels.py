"""What the numbers of a network's pictures mean: range, mean, scale, order of the colours.

A network is given ``x = (v - mean) / scale`` for a pixel ``v`` in the range, with a mean and a
scale for each channel in the network's own order of channels, as PyTorch's ``Normalize`` and
OpenVINO's ``mean_values`` and ``scale_values`` have it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from tvm_deconv.errors import PixelsError
from tvm_deconv.option_types import check_flag

# Black and white.
RANGES = {
    "0..1": (0.0, 1.0),
    "0..255": (0.0, 255.0),
    "-1..1": (-1.0, 1.0),
    "-128..127": (-128.0, 127.0),
}
DEFAULT_RANGE = "0..1"
# Of a network of bytes: black is the least of its type, white the greatest.
OF_BYTES = {"uint8": "0..255", "int8": "-128..127"}


@dataclass(frozen=True)
class Pixels:
    """How a picture becomes numbers and numbers a picture; None is what nobody has said.

    ``range`` is one of ``"0..1"``, ``"0..255"``, ``"-1..1"`` and ``"-128..127"``: black and white.
    ``mean`` and ``scale`` are subtracted, and divided by, after that: a number for all channels, or
    one for each. ``bgr`` says that the network's channels are blue, green, red.

    The result is read the way the input was written, backwards: times scale, plus mean, from the
    range. ``result_range`` is for networks that are given normalised pixels and return plain
    ones: the result then has this range, and neither scale nor mean is undone.

    Raises PixelsError for a range that is not known, and for numbers that are not finite or divide
    by 0; OptionError for a ``bgr`` that is no bool.
    """

    range: str | None = None
    mean: tuple[float, ...] | None = None
    scale: tuple[float, ...] | None = None
    bgr: bool | None = None
    result_range: str | None = None

    def __post_init__(self) -> None:
        for name in ("range", "result_range"):
            value = getattr(self, name)
            if value is not None and value not in list(RANGES):  # a list: it may be anything
                raise PixelsError(
                    f"{name} of pixels {value!r} is not known: give one of {', '.join(RANGES)}"
                )
        if self.bgr is not None:
            check_flag("bgr", self.bgr)
        for name in ("mean", "scale"):
            object.__setattr__(self, name, _numbers(name, getattr(self, name)))
        if self.scale is not None and 0 in self.scale:
            raise PixelsError(f"pixels cannot be divided by scale {_list(self.scale)}: give no 0")

    def overridden_by(self, other: Pixels) -> Pixels:
        """These, less what ``other`` says."""
        said = {f.name: getattr(other, f.name) for f in fields(other)}
        return replace(self, **{name: value for name, value in said.items() if value is not None})

    def of_types(self, given: str, result: str) -> Pixels:
        """These, of a network that takes and returns numbers of two types: bytes have a range.

        It is that of the type, where nobody has said another one. A result of another range than
        the input's has neither mean nor scale.
        """
        black_to_white = self.range or OF_BYTES.get(given)
        returned = self.result_range
        if returned is None and OF_BYTES.get(result, black_to_white) != black_to_white:
            returned = OF_BYTES[result]
        return replace(self, range=black_to_white, result_range=returned)

    def check_channels(self, channels: int) -> None:
        """Raises PixelsError where these cannot be the pixels of a network of so many channels."""
        for name in ("mean", "scale"):
            values = getattr(self, name)
            if values is not None and len(values) not in (1, channels):
                raise PixelsError(
                    f"{name} has {len(values)} numbers, {_list(values)}, but the network has "
                    f"{channels} {'channel' if channels == 1 else 'channels'}: give one number, "
                    "or one for each channel"
                )
        if self.bgr and channels != 3:
            raise PixelsError(
                f"a network of {channels} channel has no order of colours: leave bgr away"
            )

    def encode(self, planes: np.ndarray) -> np.ndarray:
        """What the network is given for ``planes`` (1, channels, height, width) in [0, 1], RGB."""
        black, white = RANGES[self.range or DEFAULT_RANGE]
        values = planes[:, ::-1] if self.bgr else planes
        values = values * np.float32(white - black) + np.float32(black)
        return (values - _column(self.mean, 0)) / _column(self.scale, 1)

    def decode(self, result: np.ndarray) -> np.ndarray:
        """The planes, RGB, of a result (1, channels, height, width): in [0, 1], or a bit beyond."""
        values = result.astype(np.float32)
        if self.result_range is None:
            values = values * _column(self.scale, 1) + _column(self.mean, 0)
        black, white = RANGES[self.result_range or self.range or DEFAULT_RANGE]
        values = (values - np.float32(black)) / np.float32(white - black)
        return values[:, ::-1] if self.bgr else values


def given_pixels(pixels: Pixels | None) -> Pixels:
    """What a caller says of pixels; of None, nothing. Raises PixelsError for what is no Pixels."""
    if pixels is not None and not isinstance(pixels, Pixels):
        raise PixelsError(f"pixels is {pixels!r}: give tvm_deconv.Pixels(range=...)")
    return pixels or Pixels()


def _numbers(name: str, values: Any) -> tuple[float, ...] | None:
    if values is None:
        return None
    try:
        if isinstance(values, (str, bytes)):  # which may look like numbers
            raise TypeError
        several = isinstance(values, Sequence) or np.ndim(values) == 1
        numbers = tuple(map(float, values if several else [values]))
    except (TypeError, ValueError) as error:
        raise PixelsError(f"{name} {values!r} is not a number for each channel") from error
    if not numbers or not all(map(math.isfinite, numbers)):
        raise PixelsError(f"{name} {values!r} is not a finite number for each channel")
    return numbers


def _column(values: tuple[float, ...] | None, otherwise: float) -> np.ndarray:
    """One number a channel, to broadcast over (1, channels, height, width)."""
    return np.array(values or [otherwise], np.float32).reshape(1, -1, 1, 1)


def _list(values: Sequence[float]) -> str:
    return ",".join(f"{value:g}" for value in values)
