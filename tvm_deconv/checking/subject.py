"""What is checked: a model that its own runtime runs, and that can be cut behind any layer.

One class for each kind of model, in a module of its own; ``subjects`` has them all.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from tvm_deconv.importer import Model


@dataclass(frozen=True)
class Layer:
    """A tensor that a model computes: ``name`` and ``operator`` are those of its node.

    ``key`` is the tensor's own name, ``sources`` are the keys of the layers that it is computed
    from.
    """

    key: str
    name: str
    operator: str
    sources: tuple[str, ...]

    def __str__(self) -> str:
        tensor = "" if self.name == self.key else f", tensor {self.key!r}"
        return f"{self.operator} {self.name!r}{tensor}"


class Subject(Protocol):
    """A model, and the runtime that its results are held against.

    ``model`` is what ``tvm_deconv.compile`` takes, ``reference`` the runtime with its version;
    ``outputs`` are the keys of the layers that are returned, in order.
    """

    model: Model
    reference: str
    outputs: tuple[str, ...]

    @property
    def dtypes(self) -> frozenset[str]:
        """All types of floating-point tensors in it."""

    def run(self, inputs: Sequence[np.ndarray]) -> list[np.ndarray]:
        """The reference's results, in the order of ``outputs``; raises ReferenceRefusal."""

    def nearby(self, seed: int) -> Subject:
        """The model with every weight moved by at most one rounding error."""

    def layers(self) -> list[Layer]:
        """What is computed from the inputs; what only constants make is not among it."""

    def cut(self, key: str) -> Subject:
        """The model less all that this layer does not need; the layer is its only output."""


class ReferenceRefusal(Exception):
    """The reference does not run the model, or not for these inputs; the text is its reason."""
