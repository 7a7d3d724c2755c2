"""Which forms of fewer products a layer of integers has; its weights decide, too.

They give the same integers as tap by tap.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from tvm_deconv.algebra import exact_winograd, unfolding
from tvm_deconv.algebra.geometry import ConvTranspose2d

_BITS = (8, 16)


@dataclass(frozen=True)
class Forms:
    """Winograd's form in integers, and a resize that can be taken out of the kernel.

    ``winograd`` is whether phases share products in the former, ``unfolded`` how many bits, 8 or
    16, hold the weights of the latter; None for a layer that has no such form.
    """

    winograd: bool | None = None
    unfolded: int | None = None


def forms_of(op: ConvTranspose2d, weights: np.ndarray) -> Forms:
    """Those of a layer with the IOHW integers ``weights``."""
    return Forms(_winograd_of(op, weights), _unfolded_of(op, weights))


def _winograd_of(op: ConvTranspose2d, weights: np.ndarray) -> bool | None:
    if exact_winograd.refusal(op) is not None:
        return None
    shared = exact_winograd.shares_sums(op, weights)
    return shared if exact_winograd.fits(op, weights, shared) else None


def _unfolded_of(op: ConvTranspose2d, weights: np.ndarray) -> int | None:
    kernel = None if unfolding.refusal(op) is not None else unfolding.unfolded(op, weights)
    if kernel is None:
        return None
    return next((bits for bits in _BITS if unfolding.fits(kernel, bits)), None)
