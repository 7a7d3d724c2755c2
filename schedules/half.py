"""Variants with sums of float16, of which a register holds twice as many: where a caller asks.

Input and weights are rounded to float16, and so is every sum that is added to. It is for machines
that multiply and add twice as many of them at a time: ``in_half`` of ``CpuMachine``, and of
``GpuMachine``, is what they are then, and None for the others.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from tvm_deconv.algebra.geometry import ConvTranspose2d

from .costs import Cost
from .variant import HALF, Sizes, Space, Variant


def in_half(variant: Variant, **changes: Any) -> Variant:
    """``variant`` with sums of float16, chosen for such a machine; ``changes`` are of its fields.

    Its weights are float16, from which it sees of what its sums are to be, unless ``changes`` say
    how it computes.
    """

    def choose(conv: ConvTranspose2d, sizes: Sizes, machine: Any) -> Any:
        return variant.choose(conv, sizes, machine.in_half)

    def cycles(conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any) -> float:
        return variant.cycles(conv, sizes, parameters, machine.in_half)

    return replace(
        variant,
        summary=f"{variant.summary}, sums of {HALF}",
        space=_HalfSpace(variant.space),
        choose=choose,
        cycles=cycles,
        weight_dtype=_weight_dtype,
        accumulate=HALF,
        **changes,
    )


def _weight_dtype(dtype: str) -> str:
    return HALF


@dataclass(frozen=True)
class _HalfSpace:
    """That of ``whole``, on such a machine."""

    whole: Space

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: Any, machine: Any
    ) -> dict[str, set[int]]:
        return self.whole.fields(conv, sizes, own, machine.in_half)

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any
    ) -> str | None:
        return self.whole.refusal(conv, sizes, parameters, machine.in_half)

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any
    ) -> list[Cost]:
        return self.whole.costs(conv, sizes, parameters, machine.in_half)
