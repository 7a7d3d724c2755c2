"""Weights of a network's kernels within a budget: which layers get a form of fewer weights.

Winograd's form has 4 to 7 times the weights of a 3x3 kernel, direct forms have the layer's own. The
*growth* of a network is the sum of the weights that its kernels read, over that of the weights that
its model has for the same convolutions. Where the fastest choices exceed what is allowed, layers
step down to smaller forms, first where the machine model says that the fewest cycles are lost for
each weight that is saved, until the sum fits.

A layer's *forms* are the choice that it would get alone, Winograd's for each size of tile, and the
fastest direct form, which is the smallest: its weights are moved only, and zeros fill up register
tiles and phases of unequal taps. A layer that may be left unfolded behind a resize has both kinds
of forms (``transform.alternatives``). Of all these those that no other betters in weights and
cycles are taken in turn, down the sides of their convex hull: a step counts as the side that it is
on, so that a cheap one is not kept waiting by a dear one before it. The order of steps does not
depend on the budget: a larger one means no less weights and no more cycles.
"""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, TypeVar

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Direct
from tvm_deconv.errors import VariantError

from .choice import AUTO, Choice, Preferences, own_parameters
from .variant import Sizes, Variant

if TYPE_CHECKING:
    from .machines import Machine

# By default what F(4x4, 3x3) takes, and F(2x2) of a 3x3 kernel folded with a resize by 2: 4, and
# zeros that fill up register tiles (4.004 with 256 channels). Against no limit, on a busy Intel
# Xeon, 2 threads, by the tenth percentile of calls in turn: EDSR has 4.0 in place of 6.9 times the
# model's weights and takes 1.01 times as long, the VAE decoder 4.0 in place of 5.1 and 0.97. A
# limit of 3 costs EDSR 17 %, RRDBNet (3.0 in place of 4.3) 2 %, the VAE decoder nothing; one of 2
# costs RRDBNet 19 %.
_GROWTH = 4.1
# And weights that matter little: 32 MiB, a thirtieth of the memory of a board with 1 GiB. On Zen 5
# EDSR's 27.8 MiB in place of 21.3 take 0.88 of the time (one thread, least CPU time in turns; 0.91
# with two); of the other networks of the benchmark none that is held back would gain 5 %.
_FREE = 8 << 20


# What ``max_weight_growth`` may be.
Growth: TypeAlias = float | str | None


@dataclass(frozen=True)
class Budget:
    """Weights that kernels may have: ``growth`` times the model's, and at least ``free``."""

    growth: float
    free: int = 0

    def most(self, model: int) -> float:
        """How many, where the model has ``model``."""
        return max(self.growth * model, self.free)


NO_LIMIT = Budget(math.inf)


def budget_of(growth: Any) -> Budget:
    """The budget for a ``max_weight_growth``: a number, None for no limit, or ``"auto"``.

    That is 4.1 times the model's weights, and never less than 32 MiB of float32.

    Raises VariantError for anything else and for a number below 1.
    """
    if growth is None:
        return NO_LIMIT
    if isinstance(growth, str) and growth == AUTO:
        return Budget(_GROWTH, _FREE)
    is_number = isinstance(growth, Real) and not isinstance(growth, bool)
    if not is_number or not growth >= 1:
        raise VariantError(
            f"max_weight_growth is {growth!r}: give a number of at least 1, None for no limit, or "
            f"{AUTO!r}"
        )
    return Budget(float(growth))


class Weighed(Protocol):
    """Something that computes a layer: the weights that it reads, and its cycles."""

    @property
    def weights(self) -> int: ...

    @property
    def cycles(self) -> float: ...


@dataclass(frozen=True)
class Form:
    """A choice for a layer, the weights that its kernel reads, and the cycles it is to take."""

    choice: Choice
    weights: int
    cycles: float


def forms_of(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: Machine,
    preferences: Preferences,
    choice: Choice,
    *,
    volumes: bool = False,
) -> tuple[Form, ...]:
    """The forms of a layer that has ``choice`` where there is no budget, that one first.

    ``volumes`` says that the layer is one over the slices of volumes.
    A variant that the caller has named has no others: what is asked for is done.
    """

    def form(variant: Variant, parameters: Any) -> Form:
        weights = variant.packed_size(conv, parameters)
        cycles = variant.cycles(conv, sizes, parameters, machine)
        return Form(Choice(variant, parameters, choice.reason), weights, cycles)

    first = replace(form(choice.variant, choice.parameters), choice=choice)
    is_named = preferences.variant == choice.variant.name
    if is_named or isinstance(choice.variant.packing(conv, choice.parameters), Direct):
        return (first,)
    direct: list[Form] = []
    others: list[Form] = []
    variants = preferences.variants_for(machine)
    for name, variant in variants.items():
        if preferences.refusal(name, conv, variants, volumes) is not None:
            continue
        for parameters in _tried(variant, conv, sizes, machine):
            is_direct = isinstance(variant.packing(conv, parameters), Direct)
            (direct if is_direct else others).append(form(variant, parameters))
    if direct:
        others.append(min(direct, key=lambda one: one.cycles))
    return chain_of(first, others)


def _tried(
    variant: Variant, conv: ConvTranspose2d, sizes: Sizes, machine: Machine
) -> Iterator[Any]:
    """Parameters to weigh, which the machine can do."""
    if variant.choose_each is None:
        parameters, refusal = own_parameters(variant, conv, sizes, machine)
        if refusal is None:
            yield parameters
        return
    for parameters in variant.choose_each(conv, sizes, machine):
        if variant.space.refusal(conv, sizes, parameters, machine) is None:
            yield parameters


F = TypeVar("F", bound=Weighed)


def chain_of(first: F, others: Iterable[F]) -> tuple[F, ...]:
    """``first``, and of those with fewer weights the ones that no other betters, in turn."""
    chain: list[F] = []
    for form in sorted(others, key=lambda form: (form.weights, form.cycles)):
        if form.weights < first.weights and (not chain or form.cycles < chain[-1].cycles):
            chain.append(form)
    return (first, *reversed(chain))


def _loss(forms: Sequence[Weighed], at: int) -> float:
    """Cycles lost for each weight that is saved, on the side of the hull below step ``at``."""
    before = forms[at]
    return min(
        max(after.cycles - before.cycles, 0.0) / (before.weights - after.weights)
        for after in forms[at + 1 :]
    )


def within(layers: Sequence[Sequence[Weighed]], most: float) -> list[int]:
    """Which of each layer's forms to take so that all weights are at most ``most``, or least."""
    taken = [0] * len(layers)
    total = sum(forms[0].weights for forms in layers)
    steps = [(_loss(forms, 0), at) for at, forms in enumerate(layers) if len(forms) > 1]
    heapq.heapify(steps)
    while total > most and steps:
        _, at = heapq.heappop(steps)
        forms = layers[at]
        total -= forms[taken[at]].weights - forms[taken[at] + 1].weights
        taken[at] += 1
        if taken[at] + 1 < len(forms):
            heapq.heappush(steps, (_loss(forms, taken[at]), at))
    return taken
