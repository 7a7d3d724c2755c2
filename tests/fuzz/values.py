"""Numbers that show a mistake: none is 0, no two are equal, channels differ in magnitude."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np


def filled(shape: Sequence[int], dtype: str, seed: int, axis: int = 1) -> np.ndarray:
    """Values whose magnitude is 0.5 to 1.5 times one of five powers of two, by ``axis``.

    Whatever is read from the wrong channel, phase or place is therefore off by more than rounding.
    Integers count from 1 on.
    """
    if np.dtype(dtype).kind == "b":
        return np.random.default_rng(seed).random(shape) < 0.5
    if np.dtype(dtype).kind in "iu":
        return (1 + np.arange(math.prod(shape)) % 100).reshape(shape).astype(dtype)
    random = np.random.default_rng(seed)
    values = random.uniform(0.5, 1.5, shape) * random.choice([-1.0, 1.0], shape)
    if len(shape) > axis:
        power = 2.0 ** (np.arange(shape[axis]) * 3 % 5 - 2)
        values *= power.reshape([-1 if i == axis else 1 for i in range(len(shape))])
    return values.astype(dtype)


def weights(shape: Sequence[int], dtype: str, seed: int, terms: int) -> np.ndarray:
    """Weights of a sum of ``terms`` products, such that the sum is about as large as its terms."""
    return (filled(shape, "float64", seed, axis=0) / math.sqrt(max(terms, 1))).astype(dtype)


def nearby(values: np.ndarray, seed: int) -> np.ndarray:
    """The values with every one moved by up to one rounding error, to see what rounding does.

    It is one of float32 for float64, too: the reference may have computed in float32.
    """
    if values.dtype.kind != "f":
        return values
    step = max(np.finfo(values.dtype).eps, np.finfo("float32").eps)
    moved = np.random.default_rng(seed).uniform(-1, 1, values.shape) * step
    return (values.astype("float64") * (1 + moved)).astype(values.dtype)
