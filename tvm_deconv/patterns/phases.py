"""Constants of a transposed convolution that were per channel before the shuffle.

Each becomes a value per phase: ``source[o, f...]`` is the channel whose value phase f of output
channel o has, of pictures (f_h, f_w) as of volumes (f_d, f_h, f_w).
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from . import pointwise
from .graph import Builder, Dim


@dataclass(frozen=True)
class ChannelForm:
    """Constants whose phases agree: the first phase's value stands for all, as (1, O, 1, 1)."""

    source: np.ndarray

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        values = first_phases(self.source, values)
        axes = self.source.ndim - 1
        return builder.constant(values.reshape(1, -1, *[1] * axes) if values.ndim else values)

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        if self.source.ndim == 3:
            return builder.prelu(x, first_phases(self.source, slope))
        return pointwise.prelu_of(self, builder, x, slope)


@dataclass(frozen=True)
class PhaseForm:
    """Constants per phase, (1, O, 1, r_h, 1, r_w), for a tensor (N, O, H, r_h, W, r_w).

    Of volumes with D and r_d before these.
    """

    source: np.ndarray

    def constant(self, builder: Builder, values: np.ndarray) -> Any:
        if values.ndim:
            channels, *factor = self.source.shape
            sizes = [size for r in factor for size in (1, r)]
            values = values[self.source].reshape(1, channels, *sizes)
        return builder.constant(values)

    def prelu(self, builder: Builder, x: Any, slope: np.ndarray) -> Any:
        # A phase is several axes.
        return pointwise.prelu_of(self, builder, x, slope)


def first_phases(source: np.ndarray, values: np.ndarray) -> np.ndarray:
    """Of values per channel those of each output channel's first phase; a scalar as it is."""
    return values[source.reshape(len(source), -1)[:, 0]] if values.ndim else values


def differ(source: np.ndarray, constants: Iterable[np.ndarray]) -> bool:
    """Whether one of the constants per channel differs from phase to phase."""
    phases = source.reshape(len(source), -1)
    return any(bool((values[phases] != values[phases[:, :1]]).any()) for values in constants)


def view(source: np.ndarray, n: Dim, sizes: Sequence[Dim]) -> tuple[Dim, ...]:
    """(N, O, H, r_h, W, r_w) for the ``sizes`` of the convolution, or with D and r_d."""
    channels, *factor = source.shape
    return (n, channels, *(dim for pair in zip(sizes, factor, strict=True) for dim in pair))
