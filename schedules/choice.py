"""Which variant computes a layer, with which parameters, and why.

The order of the lookup, the first that gives an answer decides:

1. *The caller.* A variant that is named computes every layer that it can. Its parameters are the
   best of this variant in the tuning log, if there are any for this layer, else from the variant's
   ``choose``. A layer that it refuses goes on to 2, since naming a variant for a network means
   "wherever it can".
2. *A tuning log.* What was measured to be fastest for this layer, these sizes and this dtype. A
   row is passed over for the next best if its variant is unknown, switched off or refuses the
   layer.
3. *The machine model.* Of all variants that do not refuse the layer, the one whose ``cycles`` are
   fewest; of equals, the first in the registry. Where the picture's size is free, typical ones
   count (``typical``), and ``winograd`` has to be ahead by more than the model can tell (``_TIE``):
   it is much code, which takes three times as long to compile there as the others'.

``winograd=False`` takes the variant ``winograd`` out of 2 and 3; naming it as well is an error.
With ``accumulate="float16"`` there is no 2: what is in a log had sums of float32.
Whatever was passed over on the way stands in the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.errors import VariantError
from tvm_deconv.option_types import check_flag, check_one_of

from .typical import of_model
from .variant import ACCUMULATE_DTYPE, HALF, Sizes, Variant

if TYPE_CHECKING:
    from .machines import Machine

AUTO = "auto"
WINOGRAD = "winograd"
# Estimates that differ by less than this factor are as good as equal.
_TIE = 1.03


class Row(NamedTuple):
    """A measured configuration: name of the variant, its parameters, and where this stands."""

    variant: str
    parameters: Any
    reason: str


class TuningLog(Protocol):
    """The measured configurations of each layer."""

    def lookup(self, conv: ConvTranspose2d, sizes: Sizes, dtype: str) -> Sequence[Row]:
        """All for a layer, best first; none for one that was not tuned."""


@dataclass(frozen=True)
class Preferences:
    """What the caller may say about the choice.

    ``variant`` is ``"auto"`` or the name of one of ``variants``: by default all that there are for
    the machine, and a name may be that of a variant for other kinds of machines. ``accumulate`` is
    what sums may be of: with ``"float16"`` variants that have such a form take it.
    Raises VariantError for another name, and for ``winograd`` where it is switched off, and
    OptionError for a ``winograd`` that is no bool and another ``accumulate``.
    """

    variant: str = AUTO
    winograd: bool = True
    log: TuningLog | None = None
    accumulate: str = ACCUMULATE_DTYPE
    variants: Mapping[str, Variant] | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        known = _names() if self.variants is None else list(self.variants)
        if self.variant not in [AUTO, *known]:  # a list: the name may be anything
            names = ", ".join([AUTO, *known])
            raise VariantError(f"unknown variant {self.variant!r}: give one of {names}")
        check_flag("winograd", self.winograd)
        check_one_of("accumulate", self.accumulate, (ACCUMULATE_DTYPE, HALF))
        if self.variant == WINOGRAD and not self.winograd:
            raise VariantError(
                f"variant {WINOGRAD!r} is asked for and switched off: "
                "leave one of the two options out"
            )

    @property
    def allow_integers(self) -> bool:
        """Whether layers of bytes may be computed in integers: variants by name are of floats."""
        return self.variant == AUTO

    def variants_for(self, machine: Machine) -> Mapping[str, Variant]:
        """The variants to choose from."""
        if self.variants is not None:
            return self.variants
        # These import TensorIR, which who brings variants of TE does not have.
        from .machines import variants_for

        return variants_for(machine, self.accumulate)

    def refusal(
        self,
        name: str,
        conv: ConvTranspose2d,
        variants: Mapping[str, Variant],
        volumes: bool = False,
    ) -> str | None:
        """Why the one of ``variants`` called ``name`` may not or cannot compute the layer."""
        if name not in variants:
            elsewhere = self.variants is None and name in _names()
            return "this kind of machine does not have" if elsewhere else "is not known"
        if name == WINOGRAD and not self.winograd:
            return "is switched off"
        if volumes and not variants[name].for_volumes:
            return "cannot: its loop nest is not one over volumes"
        refusal = variants[name].cannot(conv)
        return refusal and f"cannot: {refusal}"


def _names() -> list[str]:
    from .machines import variant_names

    return variant_names()


@dataclass(frozen=True)
class Choice:
    """A variant, parameters for it, and in words why these."""

    variant: Variant
    parameters: Any
    reason: str


def choose(
    conv: ConvTranspose2d,
    sizes: Sizes,
    dtype: str,
    machine: Machine,
    preferences: Preferences | None = None,
    *,
    volumes: bool = False,
) -> Choice:
    """The variant for a layer, by the order above.

    ``dtype`` is that of input and output; ``volumes`` says that the layer is one over the slices of
    volumes. Raises VariantError if every variant refuses the layer.
    """
    preferences = preferences or Preferences()
    variants = preferences.variants_for(machine)
    # Layers with a step are not tuned, and none was with other sums.
    is_tuned = conv.step == (1, 1) and preferences.accumulate == ACCUMULATE_DTYPE
    log = preferences.log if is_tuned else None
    rows = log.lookup(conv, sizes, dtype) if log else ()
    passed_over: dict[str, str] = {}

    wanted = preferences.variant
    if wanted != AUTO:
        refusal = preferences.refusal(wanted, conv, variants, volumes)
        if refusal is None:
            variant = variants[wanted]
            for row in rows:
                if row.variant == wanted:
                    return Choice(variant, row.parameters, f"asked for; {row.reason}")
            parameters, refusal = own_parameters(variant, conv, sizes, machine)
            if refusal is None:
                return Choice(variant, parameters, "asked for")
        passed_over[wanted] = f"asked for {wanted}, which {refusal}"

    for name, parameters, reason in rows:
        refusal = preferences.refusal(name, conv, variants, volumes)
        if refusal is None:
            variant = variants[name]
            return Choice(variant, parameters, "; ".join([*passed_over.values(), reason]))
        passed_over.setdefault(name, f"the tuning log says {name}, which {refusal}")

    return _by_model(conv, sizes, machine, preferences, passed_over, volumes)


def _by_model(
    conv: ConvTranspose2d,
    sizes: Sizes,
    machine: Machine,
    preferences: Preferences,
    passed_over: dict[str, str],
    volumes: bool,
) -> Choice:
    """The variant of fewest estimated cycles; ``passed_over`` says by name what was in the way."""
    estimates: list[tuple[float, Variant, Any]] = []
    refused = {}
    variants = preferences.variants_for(machine)
    for name, variant in variants.items():
        refusal = preferences.refusal(name, conv, variants, volumes)
        if refusal is None:
            parameters, refusal = own_parameters(variant, conv, sizes, machine)
        if refusal is not None:
            refused[name] = f"{name} {refusal}"
            continue
        estimates.append((variant.cycles(conv, sizes, parameters, machine), variant, parameters))
    if not estimates:
        raise VariantError(f"no variant computes {conv}: {'; '.join(refused.values())}")
    # The sort is stable, so equals stay in the order of the registry.
    estimates.sort(key=lambda estimate: estimate[0])
    if sizes.is_free:
        estimates = _shorter_code_first(estimates)
    _, variant, parameters = estimates[0]
    numbers = f"{of_model(sizes.is_free)}: {_numbers(estimates)}"
    # What is for layers of another kind is not worth a word.
    others = [
        note
        for name, note in refused.items()
        if name not in passed_over and (conv.groups > 1 or not variants[name].of_groups)
    ]
    return Choice(variant, parameters, "; ".join([*passed_over.values(), numbers, *others]))


def _shorter_code_first(
    estimates: list[tuple[float, Variant, Any]],
) -> list[tuple[float, Variant, Any]]:
    """``estimates``, fewest cycles first, with ``winograd`` behind the next in a tie with it."""
    (fewest, variant, _), *others = estimates
    if variant.name != WINOGRAD or not others or others[0][0] > fewest * _TIE:
        return estimates
    return [others[0], estimates[0], *others[1:]]


@lru_cache(maxsize=1024)
def own_parameters(
    variant: Variant, conv: ConvTranspose2d, sizes: Sizes, machine: Machine
) -> tuple[Any, str | None]:
    """The parameters that a variant chooses, and in words why the machine cannot do even them."""
    parameters = variant.choose(conv, sizes, machine)
    refusal = variant.space.refusal(conv, sizes, parameters, machine)
    return parameters, refusal and f"cannot: {refusal}"


def _numbers(estimates: list[tuple[float, Variant, Any]]) -> str:
    """``winograd 1.21 Mcycles, revd2 3.4``."""
    (first, fastest, _), *others = estimates
    texts = [f"{fastest.name} {_millions(first)} Mcycles"]
    texts += [f"{variant.name} {_millions(cycles)}" for cycles, variant, _ in others]
    return ", ".join(texts)


def _millions(cycles: float) -> str:
    value = cycles / 1e6
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
