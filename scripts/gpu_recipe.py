"""How a variant packs its weights, as data: a recipe that NumPy alone can follow.

Packed weights would be most of what is carried to a GPU machine, and the functions that pack them
want TVM's compiler, which is not there. But every packer is a linear map that treats all pairs of
an input and an output channel alike: an element of the packed array is 0, or one *row* of
coefficients times the taps of one *pair*. So the recipe of an array is

    packed[p] = sum over taps t of rows[row(p), t] * weights[pair(p), t]      index = (pair, row)

A copied weight is a row with a single 1; a Winograd transform has rows of its matrices. ``probe``
finds the recipe by packing a handful of chosen weights and checks it on random ones; stored as
differences, the index of a few million elements is a few kilobytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from os import PathLike

import numpy as np

Packer = Callable[[np.ndarray], np.ndarray]

# Of the largest value; packers compute in float64 or float32 and round to float32 once.
_AGREE = 1e-5
# Steps in which a sum tells rows apart: far above float32's rounding, and two sums do.
_STEPS = 1 << 18


class NotAPacking(ValueError):
    """A function that is not linear, or that treats pairs of channels differently."""


@dataclass(frozen=True)
class Recipe:
    """``index[p]`` is ``pair * len(rows) + row`` of an element, -1 where the packed array is 0."""

    shape: tuple[int, ...]
    index: np.ndarray
    rows: np.ndarray

    def pack(self, weights: np.ndarray, dtype: str) -> np.ndarray:
        """The packed array of IOHW weights, summed in float64."""
        pairs = weights.reshape(-1, self.rows.shape[1]).astype(np.float64)
        bank = np.append((pairs @ self.rows.T).reshape(-1), 0.0).astype(dtype)
        return bank[self.index].reshape(self.shape)

    def digest(self) -> str:
        """The same for the same recipe."""
        parts = (repr(self.shape).encode(), self.index.tobytes(), self.rows.tobytes())
        return hashlib.sha256(b"".join(parts)).hexdigest()[:20]

    def save(self, path: str | PathLike) -> None:
        """As ``.npz``, small because neighbours of an index differ by a few values only."""
        np.savez_compressed(
            path, shape=self.shape, steps=np.diff(self.index, prepend=0), rows=self.rows
        )

    @classmethod
    def load(cls, path: str | PathLike) -> Recipe:
        with np.load(path) as file:
            shape = tuple(int(size) for size in file["shape"])
            return cls(shape, np.cumsum(file["steps"], dtype=np.int32), file["rows"])


def probe(pack: Packer, weight_shape: tuple[int, int, int, int]) -> Recipe:
    """The recipe of ``pack``, a function of float32 IOHW weights of ``weight_shape``.

    Raises NotAPacking where random weights are packed differently.
    """
    inputs, outputs, kernel_h, kernel_w = weight_shape
    pairs, taps = inputs * outputs, kernel_h * kernel_w
    rng = np.random.default_rng(0)
    tap_values, others = rng.uniform(1, 2, (2, kernel_h, kernel_w))
    ones = np.ones(weight_shape)

    def packed(weights: np.ndarray) -> np.ndarray:
        return np.asarray(pack(weights.astype(np.float32)), np.float64)

    sums = packed(ones * tap_values)
    shape, sums = sums.shape, sums.reshape(-1)
    live = np.flatnonzero(sums)
    steps = _STEPS / np.abs(sums).max(initial=0)
    keys = [np.rint(found[live] * steps) for found in (sums, packed(ones * others).reshape(-1))]
    _, row = np.unique(keys[0] * _STEPS * 4 + keys[1], return_inverse=True)

    numbers = [np.arange(1, count + 1) for count in (inputs, outputs)]
    of_input = ones * numbers[0][:, None, None, None] * tap_values
    of_output = ones * numbers[1][:, None, None] * tap_values
    channels = [
        np.rint(packed(values).reshape(-1)[live] / sums[live]).astype(np.int64) - 1
        for values in (of_input, of_output)
    ]
    if any(
        found.size and not 0 <= found.min() <= found.max() < count
        for found, count in zip(channels, (inputs, outputs), strict=True)
    ):
        raise NotAPacking("elements are not sums of the taps of one pair of channels")
    pair = channels[0] * outputs + channels[1]

    rows = np.zeros((int(row.max(initial=-1)) + 1, taps))
    for first in range(0, taps, pairs):
        of_pair = (np.arange(pairs) + first) % taps
        single = np.zeros((pairs, taps))
        single[np.arange(pairs), of_pair] = 1
        rows[row, of_pair[pair]] = packed(single.reshape(weight_shape)).reshape(-1)[live]

    index = np.full(sums.size, -1, np.int32)
    index[live] = pair * len(rows) + row
    recipe = Recipe(shape, index, rows)
    weights = rng.standard_normal(weight_shape).astype(np.float32)
    wanted, found = packed(weights), recipe.pack(weights, "float64")
    if not np.abs(wanted - found).max(initial=0) <= _AGREE * np.abs(wanted).max(initial=0):
        raise NotAPacking("random weights are packed differently: the packing is not linear")
    return recipe
