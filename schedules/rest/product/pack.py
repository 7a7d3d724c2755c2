"""The right operand of a product in panels, packed when a network is compiled.

    [places of b's outer axes][panel][k][column of the panel]

is one stream in the order of use, whatever the order of the operand's own dimensions.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from tvm_deconv.schedules.rest.stage import StageAxis, static_value

from .read import Product
from .tile import Panels


@dataclass(frozen=True)
class Packing:
    """Packs an array whose dimension d is read at ``bases[d] + sum of steps[d][i] * axis i``.

    The axes are b's outer ones, k and n, of ``sizes``.
    """

    sizes: tuple[int, ...]
    steps: tuple[tuple[int, ...], ...]
    bases: tuple[int, ...]
    panels: Panels

    def __call__(self, values: np.ndarray) -> np.ndarray:
        """The panels, in one dimension."""
        places = np.ogrid[tuple(slice(size) for size in self.sizes)]
        at = tuple(
            base + sum(step * place for step, place in zip(own, places, strict=True))
            for own, base in zip(self.steps, self.bases, strict=True)
        )
        *_, depth, columns = self.sizes
        matrices = np.broadcast_to(values[at], self.sizes).reshape(-1, depth, columns)
        count, full, width = len(matrices), self.panels.full, self.panels.width
        parts = matrices[:, :, : full * width].reshape(count, depth, full, width).swapaxes(1, 2)
        at_edge = np.add.outer(self.panels.starts_at_the_edge, np.arange(self.panels.lanes))
        edge = matrices[:, :, at_edge.reshape(-1).astype(int)]
        flat = [part.reshape(count, part.size // count) for part in (parts, edge)]
        return np.ascontiguousarray(np.concatenate(flat, axis=1)).reshape(-1)


# What packs the constants that are given for a parameter, by its position.
Packings: TypeAlias = Mapping[int, Callable[[np.ndarray], np.ndarray]]


def packing_of(product: Product, panels: Panels) -> Packing | None:
    """How the right operand is packed, if it is a constant.

    None where the depth is a free size of the left one, which only the run can show to be the
    constant's.
    """
    axes = [*outer_of(product), product.depth, product.columns]
    sizes, bases = [axis.size for axis in axes], [static_value(base) for base in product.b.bases]
    steps = tuple(tuple(step.get(axis, 0) for axis in axes) for step in product.b.steps)
    known = [value for value in (*sizes, *bases) if value is not None]
    if len(known) < len(sizes) + len(bases):
        return None
    return Packing(tuple(known[: len(sizes)]), steps, tuple(known[len(sizes) :]), panels)


def outer_of(product: Product) -> Sequence[StageAxis]:
    """The outer axes that the right operand depends on."""
    return [axis for axis in product.outer if axis in product.b.axes]
