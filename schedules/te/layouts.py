"""Tensors that lie in memory as NHWC, for kernels that compute NCHW.

The input is transposed where a strip of it is copied into scratch, the output where it is stored,
so that neither costs a pass over a map.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tvm import te

NCHW, NHWC = "NCHW", "NHWC"


def permuted(values: Sequence[Any], before: str, after: str) -> tuple[Any, ...]:
    """What belongs to the axes of one layout, in the order of another."""
    return tuple(values[before.index(name)] for name in after)


@dataclass(frozen=True)
class _Seen:
    """An NHWC tensor as an NCHW one."""

    tensor: te.Tensor

    @property
    def shape(self) -> tuple[Any, ...]:
        return permuted(self.tensor.shape, NHWC, NCHW)

    @property
    def dtype(self) -> str:
        return self.tensor.dtype

    def __getitem__(self, indices: tuple[Any, ...]) -> Any:
        return self.tensor[permuted(indices, NCHW, NHWC)]


def as_nchw(x: te.Tensor, layout: str) -> Any:
    """What a variant's ``compute`` takes for an input of ``layout``."""
    return x if layout == NCHW else _Seen(x)


def from_nchw(y: te.Tensor, layout: str) -> te.Tensor:
    """What a variant's ``compute`` gave, as a tensor of ``layout``."""
    if layout == NCHW:
        return y
    shape = permuted(y.shape, NCHW, layout)
    return te.compute(shape, lambda *at: y[permuted(at, layout, NCHW)], name="transposed")
