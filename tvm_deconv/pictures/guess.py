"""Which range of pixels a network wants, asked of the network itself.

A network from image to image returns about the same grey for a picture of one grey, if it is given
in the range that the network was trained for; in another, its biases weigh 255 times too much, or
its activations saturate. So a few greys are run in every range, and the deviations compared, as
shares of the range. Where several ranges are kept:

- A network for 0..255 does not keep 0..1, where it sees almost black pictures and its biases are
  large. If 0..1 is kept, 0..255 is not what it was trained for, though it may be kept, too, where
  the biases are small.
- A network for 0..1 need not keep what is below 0; one for -1..1 must, and keeps 0..1 with it. If
  both are kept, and 0..255 clearly less well, the network is for -1..1.
- A network that keeps all alike (an interpolation, or a residual of almost nothing) tells nothing:
  0..1 is taken.

Of a network that is given bytes the range is known, and asked is what range a result of floats has.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from tvm_deconv.pixels import DEFAULT_RANGE, Pixels

# What networks of floats are trained for.
GUESSED = ("0..1", "0..255", "-1..1")
_GREYS = (0.1, 0.35, 0.65, 0.9)
# Shares of the range: more is no picture of the same grey, and less than the second is rounding.
_SAME, _EXACT = 0.1, 0.001
# How many times as far another range must deviate to be clearly worse, and to be out of question.
_CLEARLY, _SURELY = 3, 10
# A range in which a grey comes back further off is not kept, and clearly worse than any that is.
_HOPELESS = _CLEARLY * _SAME


@dataclass(frozen=True)
class Guess:
    """A range of pixels, or of the result alone, and how sure it is, and why."""

    range: str
    reason: str
    is_result: bool = False

    def __str__(self) -> str:
        what, option = ("pixels are", "range")
        if self.is_result:
            what, option = ("the result is", "result-range")
        taken = f"{what} taken to be {self.range}, {self.reason}"
        return f"{taken}; give --{option} ({option.replace('-', '_')}=) if that is wrong"


def guess_range(
    network: Callable[[np.ndarray], np.ndarray], pixels: Pixels, shape: tuple[int, int, int]
) -> Guess:
    """The range that ``network`` wants, run on flat pictures of ``shape``.

    ``shape`` is (channels, height, width). ``network`` is a function of what ``pixels.encode``
    gives for (1, *shape), returning what ``pixels.decode`` takes; ``pixels`` holds what else is
    known.
    """
    return decide(_deviations(network, lambda name: replace(pixels, range=name), shape))


def guess_result(
    network: Callable[[np.ndarray], np.ndarray], pixels: Pixels, shape: tuple[int, int, int]
) -> Guess:
    """The range of what ``network`` returns, where ``pixels`` say what it is given.

    The other arguments are those of ``guess_range``.
    """
    found = _deviations(network, lambda name: replace(pixels, result_range=name), shape)
    best = min(found, key=lambda name: found[name])
    if found[best] <= _SAME:
        return Guess(best, f"surely: {_words(found)}", is_result=True)
    same = pixels.range or DEFAULT_RANGE
    return Guess(same, f"for want of a better guess, no range fits: {_words(found)}", True)


def decide(deviations: dict[str, float]) -> Guess:
    """The guess for how far flat pictures come back off, as a share of the range, in each range."""
    best = max(min(deviations.values()), _EXACT)
    kept = {name for name, off in deviations.items() if off <= min(_SAME, _SURELY * best)}
    words = _words(deviations)
    if len(kept) == 1:
        return Guess(kept.pop(), f"surely: {words}")
    if {"0..1", "-1..1"} <= kept:
        if deviations["0..255"] > _CLEARLY * max(deviations["-1..1"], _EXACT):
            return Guess("-1..1", f"probably, as what is below 0 is kept: {words}")
    elif "0..1" in kept:
        return Guess("0..1", f"probably: {words}")
    what = "several ranges fit alike" if kept else "no range fits"
    return Guess(DEFAULT_RANGE, f"for want of a better guess, {what}: {words}")


def _words(deviations: dict[str, float]) -> str:
    words = ", ".join(f"{_percent(off)} in {name}" for name, off in deviations.items())
    return f"flat greys come back off by {words}"


def _deviations(
    network: Callable[[np.ndarray], np.ndarray],
    pixels: Callable[[str], Pixels],
    shape: tuple[int, int, int],
) -> dict[str, float]:
    """How far greys come back off at most where ``pixels`` are those of each range."""
    return {name: _furthest(network, pixels(name), shape) for name in GUESSED}


def _furthest(
    network: Callable[[np.ndarray], np.ndarray], pixels: Pixels, shape: tuple[int, int, int]
) -> float:
    """How far greys come back off at most, or the first that is hopelessly off.

    All greys in all ranges take a large network as long as it takes to compile.
    """
    most = 0.0
    for grey in _GREYS:
        most = max(most, _deviation(network, pixels, shape, grey))
        if most > _HOPELESS:
            break
    return most


def _deviation(
    network: Callable[[np.ndarray], np.ndarray],
    pixels: Pixels,
    shape: tuple[int, int, int],
    grey: float,
) -> float:
    """How far the middle of the result is from the grey; infinite for a result that is none.

    The outer quarters are left out: there the network pads with zeros.
    """
    result = pixels.decode(network(pixels.encode(np.full((1, *shape), grey, np.float32))))
    height, width = result.shape[2:]
    middle = result[:, :, height // 4 : -(-height * 3 // 4), width // 4 : -(-width * 3 // 4)]
    off = float(np.sqrt(np.mean(np.square(middle - grey, dtype=np.float64))))
    return off if np.isfinite(off) else np.inf


def _percent(share: float) -> str:
    return f"{share:.1%}" if share < 10 else "more than 1000%"
