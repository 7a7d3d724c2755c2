"""The paper's headline from the counts, as a function of what it leaves open.

Colbert, Kreutz-Delgado, Das, IEEE Access 2021 (abstract): REVD2 lowers the time of the PyTorch
super-resolution network 2.1 times against sub-pixel and 2.8 times against resize convolution, and
its energy 2.1 and 2.7 times. The abstract names no device. What a device has to do with a ratio is
one number, its balance: the operations that cost as much as a byte, in time or in energy. So
``ratios`` takes the balance, and ``balances_for`` asks which ones would give the paper's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Literal

from .counts import Algorithm, Counts, convolution_counts, counts
from .operators import upsampling
from .roofline import Work

# (in, out, kernel) of the layers before the last one, which has r² outputs: 32 -> 9 for r = 3.
BODY = ((1, 64, 5), (64, 64, 3), (64, 32, 3))
LAST, KERNEL, FACTOR = 32, 3, 3
SIZE = 224

PAPER: dict[str, tuple[float, float]] = {"time": (2.1, 2.8), "energy": (2.1, 2.7)}
"""Against sub-pixel and against resize convolution, from the abstract."""

Resource = Literal["time", "energy"]


@dataclass(frozen=True)
class Assumption:
    """What is compared: ``whole`` network or last layer only, and the last layer's channels.

    ``equal`` counts it with as many outputs as inputs, 32, which is all that the authors' public
    functions can count; the network has one output channel there.
    """

    whole: bool
    equal: bool

    def __str__(self) -> str:
        scope = "all four layers" if self.whole else "the last layer"
        return f"{scope}, {LAST} -> {LAST if self.equal else 1} channels in the last"


ASSUMPTIONS = tuple(Assumption(w, e) for w in (True, False) for e in (False, True))


def ratios(assumption: Assumption, resource: Resource, balance: float) -> tuple[float, float]:
    """Cost before over cost after, (sub-pixel, resize), for an image of ``SIZE`` x ``SIZE``.

    ``balance`` is in floating-point operations for each byte of float32. Time is that of one step
    after the other, shuffle and resize being steps of their own; energy leaves out constant power,
    with which it would come nearer to time.
    """
    cost = _time if resource == "time" else _energy
    subpixel, resize = (
        cost(before, balance) / cost(after, balance) for before, after in _steps(assumption)
    )
    return subpixel, resize


def balances_for(assumption: Assumption, resource: Resource) -> tuple[float, float] | None:
    """The least and largest balance with the paper's ratios to one decimal; None if none has them.

    Balances from 0.01 to 100 000 are tried, 1 % apart.
    """
    tried = [0.01 * 1.01**n for n in range(1620)]
    found = [
        b
        for b in tried
        if tuple(round(ratio, 1) for ratio in ratios(assumption, resource, b)) == PAPER[resource]
    ]
    return (found[0], found[-1]) if found else None


@cache
def _steps(assumption: Assumption) -> list[tuple[list[Work], list[Work]]]:
    """Before and after, for sub-pixel and for resize."""
    body = [
        convolution_counts(i, o, (k, k), (SIZE, SIZE), (SIZE, SIZE)) for i, o, k in BODY
    ] * assumption.whole
    outputs = LAST if assumption.equal else 1
    cases: list[tuple[Literal["subpixel", "nearest"], Algorithm]]
    cases = [("subpixel", "subpixel"), ("nearest", "resize")]
    pairs = []
    for origin, algorithm in cases:
        layer = upsampling(origin, LAST, outputs, KERNEL, FACTOR, SIZE)
        before, after = ([*body, counts(layer, name)] for name in (algorithm, "revd2"))
        pairs.append((_passes(before), _passes(after)))
    return pairs


def _passes(found: Sequence[Counts]) -> list[Work]:
    """Convolutions, and the shuffle or resize as a step of its own."""
    convolutions = [
        Work(one.multiply_adds, one.weight_bytes + one.activation_bytes) for one in found
    ]
    return [*convolutions, Work(0, found[-1].processing_bytes)]


def _time(steps: Sequence[Work], balance: float) -> float:
    """In units of what a byte takes."""
    return sum(max(step.flop / balance, step.bytes) for step in steps)


def _energy(steps: Sequence[Work], balance: float) -> float:
    return sum(step.flop / balance + step.bytes for step in steps)
