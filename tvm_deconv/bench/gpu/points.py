"""More parameters to try on a card: points of the tuner's space, drawn before anything is timed."""

from __future__ import annotations

import random

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.schedules.machines import Machine
from tvm_deconv.schedules.space import fields, parameters_of, tuning_refusal
from tvm_deconv.schedules.variant import Sizes, Variant

# Feasible points are rare in some spaces, and drawing one takes well under a millisecond.
_TRIES = 20_000
# As many are drawn for each that is kept.
_CROWD = 20


def points(
    variant: Variant, conv: ConvTranspose2d, sizes: Sizes, machine: Machine, count: int
) -> list[dict[str, int]]:
    """``count`` feasible points, or fewer: half those that the machine model likes, half random.

    The same for the same layer. The default is not among them, unless it is drawn.
    """
    if not count:
        return []
    values = fields(variant, conv, sizes, machine)
    rng = random.Random(0)
    drawn: dict[tuple[int, ...], dict[str, int]] = {}
    for _ in range(_TRIES):
        point = {name: rng.choice(choices) for name, choices in values.items()}
        parameters = parameters_of(variant, point)
        if tuning_refusal(variant, conv, sizes, parameters, machine) is None:
            drawn.setdefault(tuple(point.values()), point)
        if len(drawn) >= count * _CROWD:
            break
    found = list(drawn.values())
    liked = sorted(
        found, key=lambda p: variant.cycles(conv, sizes, parameters_of(variant, p), machine)
    )[: (count + 1) // 2]
    others = [point for point in found if point not in liked]
    return liked + others[: count - len(liked)]
