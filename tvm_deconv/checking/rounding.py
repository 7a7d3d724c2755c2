"""How far a right result may be off.

Two right programs differ by rounding, and how much depends on the model: on the lengths of its sums
and on what lies behind them. So it is tried: the reference also runs with all inputs and weights
moved by at most one rounding error of their type, which changes each product by as much as its own
rounding does, and with scales of quantization moved a little. A result may be off by ``_MARGIN``
times the largest change that this makes in the output, and by a part of the output's largest
element for what it does not reach: sums in another order, other approximations of exp, and
Winograd's algorithm, which rounds more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np

_MARGIN = 8
# Of the largest element. ONNX Runtime resizes in float32 whatever the type of the tensor is.
_PARTS = {"float64": 1e-6, "float32": 2e-5, "float16": 1e-2, "bfloat16": 8e-2}
# Several layers of Winograd's algorithm, one behind the other; tests/fuzz found none beyond it.
_WINOGRAD = 1e-4
# Tensors with fewer elements may be scales, bounds or shapes.
_FEW = 8
# By how much a scale of quantization is moved: a value in the middle of two integers may become
# either, by how a sum was rounded before. So does this for one out of a hundred elements.
_SCALE_STEP = 2.0**-12
# Beyond this part of the largest element, the tolerance is so wide that it says little.
VAGUE = 0.05


def nearby(values: np.ndarray, seed: int) -> np.ndarray:
    """The values, each moved by at most one rounding error of its type; integers as they are."""
    if values.dtype.kind != "f":
        return values
    moved = np.random.default_rng(seed).uniform(-1, 1, values.shape) * np.finfo(values.dtype).eps
    return (values.astype("float64") * (1 + moved)).astype(values.dtype)


def nearby_scale(scale: float, seed: int) -> float:
    """A scale of quantization, a little off; equal ones are moved alike, as kernels ask for it."""
    random = np.random.default_rng([seed, int(np.float32(scale).view(np.uint32))])
    return scale * (1 + _SCALE_STEP * random.uniform(-1, 1))


def is_weight(values: np.ndarray) -> bool:
    """Whether a constant of a model is moved: short vectors may mean something else."""
    return values.dtype.kind == "f" and (values.ndim > 1 or values.size > _FEW)


def part_of_largest(dtypes: Iterable[str], winograd: bool) -> float:
    """What a result may always be off by, as a part of its largest element.

    By the least precise of the types that the model computes in.
    """
    part = max((_PARTS[dtype] for dtype in dtypes if dtype in _PARTS), default=_PARTS["float32"])
    return max(part, _WINOGRAD) if winograd else part


@dataclass(frozen=True)
class Comparison:
    """A result and what it should be.

    ``difference`` is the largest of an element, ``largest`` the largest finite element of the
    reference, both absolute, as is ``limit``, what the difference may be. ``problem`` is "" for a
    right result, else what is wrong.
    """

    difference: float
    largest: float
    limit: float
    problem: str = ""

    @property
    def excess(self) -> float:
        """By which to find the worst of several."""
        if self.problem and self.difference <= self.limit:
            return float("inf")  # another shape, or NaN elsewhere
        return self.difference / self.limit if self.limit else float(self.difference > 0)


def compare(
    got: np.ndarray, wanted: np.ndarray, others: Sequence[np.ndarray], part: float
) -> Comparison:
    """``others`` are the reference's results from nearby inputs and weights."""
    if got.shape != wanted.shape:
        return Comparison(0.0, 0.0, 0.0, f"its shape is {got.shape}, expected {wanted.shape}")
    if got.dtype != wanted.dtype:
        return Comparison(0.0, 0.0, 0.0, f"its type is {got.dtype}, expected {wanted.dtype}")
    a, b = got.astype("float64"), wanted.astype("float64")
    finite = np.isfinite(b)
    largest = float(np.abs(b[finite]).max(initial=0.0))
    spread = max((_apart(other.astype("float64"), b, finite) for other in others), default=0.0)
    limit = _MARGIN * spread + (part * largest if wanted.dtype.kind == "f" else 0.0)
    difference = _apart(a, b, finite)
    for word, test in (("NaN", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        wrong = test(a) != test(b)
        if wrong.any():
            problem = f"{word} is in other places for {wrong.mean():.1%} of the elements"
            return Comparison(difference, largest, limit, problem)
    if difference <= limit:
        return Comparison(difference, largest, limit)
    wrong = finite & (np.abs(np.where(finite, a - np.where(finite, b, 0), 0)) > limit)
    return Comparison(difference, largest, limit, f"{wrong.mean():.1%} of the elements are off")


def _apart(a: np.ndarray, b: np.ndarray, finite: np.ndarray) -> float:
    """The largest difference where both are finite."""
    if a.shape != b.shape:
        return 0.0
    both = finite & np.isfinite(a)
    return float(np.abs(a[both] - b[both]).max(initial=0.0))
