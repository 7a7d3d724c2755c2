"""What every deconvolution algorithm offers: the functions that make and describe its kernel.

A variant is one way to compute any ``ConvTranspose2d`` on one kind of machine: NCHW input, IOHW
weights packed at compile time, output in the input's dtype, sums in ``ACCUMULATE_DTYPE`` or, where
a caller asks for it and the variant has such a form, in ``HALF``. Its parameters (a frozen
dataclass of its own, which has ``lanes``: how many output columns a vector store writes) may come
from ``choose`` or from a tuner: the other functions treat them alike.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, fields
from math import prod
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing

from .costs import Cost

if TYPE_CHECKING:
    from tvm import te


class Sizes(NamedTuple):
    """Batch, height and width of the input; ``None`` for one that only the run time knows."""

    batch: int | None
    height: int | None
    width: int | None

    @property
    def is_free(self) -> bool:
        """Whether it is a picture of any size; a batch says nothing of that."""
        return self.height is None or self.width is None


# What kernels sum in, whatever the dtype of the tensors, where nobody asks for less.
ACCUMULATE_DTYPE = "float32"
# Twice as many sums in a register, of 11 bits each: some variants can, where a caller asks for it.
HALF = "float16"


def never_refuses(conv: ConvTranspose2d, accumulate: str) -> str | None:
    """The ``refusal`` of a variant that computes every layer."""
    return None


def always_accumulate_dtype(dtype: str) -> str:
    """The ``weight_dtype`` of a variant whose weights are as precise as its sums."""
    return ACCUMULATE_DTYPE


def direct_multiply_adds(conv: ConvTranspose2d, parameters: Any) -> float:
    """The ``multiply_adds`` of a variant that multiplies each tap by what it reads."""
    taps = conv.h.useful_taps * conv.w.useful_taps
    return conv.group_inputs * taps / (conv.h.stride * conv.w.stride)


class Space(Protocol):
    """What a tuner may try of a variant's parameters; ``space`` has what all spaces share."""

    def fields(
        self, conv: ConvTranspose2d, sizes: Sizes, own: Any, machine: Any
    ) -> dict[str, set[int]]:
        """Values of each field of a point, besides those of ``own``, the variant's own choice."""

    def refusal(
        self, conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any
    ) -> str | None:
        """Why the schedule or the machine cannot do these parameters, in words; None if it can."""

    def costs(
        self, conv: ConvTranspose2d, sizes: Sizes, parameters: Any, machine: Any
    ) -> list[Cost]:
        """What they cost; for a layer, the list is as long for all parameters."""


class Tunable(Protocol):
    """What a tuner and a log know of a way to compute a layer; as ``Algorithm`` says."""

    @property
    def name(self) -> str: ...

    @property
    def parameters(self) -> type: ...

    @property
    def space(self) -> Space: ...

    @property
    def choose(self) -> Callable[[ConvTranspose2d, Sizes, Any], Any]: ...

    def cannot(self, conv: ConvTranspose2d, /) -> str | None: ...

    def __hash__(self) -> int: ...


@dataclass(frozen=True, kw_only=True)
class Algorithm:
    """One algorithm on one kind of machine, before a schedule makes loops of it.

    ``parameters`` is the class of its parameters, ``space`` what a tuner may try of them.

    ``choose(conv, sizes, machine)`` gives the parameters that the machine model prefers, and
    ``cycles(conv, sizes, parameters, machine)`` that model's estimate for them: processor cycles
    of the busiest thread. ``packing(conv, parameters)`` says how IOHW weights are packed for it.
    ``compute(conv, parameters, x, packed)`` is the algorithm as tensor expressions.
    ``refusal(conv, accumulate)`` says in words why the algorithm cannot compute a layer with sums
    of that dtype, or is None.
    ``choose_each(conv, sizes, machine)``, of a variant whose weights take more space than the
    layer's own, gives the parameters that the model prefers for each size that they can have.
    ``multiply_adds(conv, parameters)`` are those of an output, borders counted as if fully inside
    the input: those of a form of fewer products, and none of the transforms around it.
    ``has_steps`` says that it computes every second output, say, of a layer with a ``step``; others
    compute none of those.
    ``for_volumes`` says that its loop nest can be one over volumes (``tir.stacks``), ``of_groups``
    that it is for layers of several groups, so that nobody wonders why it does not compute others.
    ``maps_input`` says that the tensor that it reads may be a pointwise operator of another, which
    is then computed on the way into its scratch.
    ``accumulate`` is the dtype of its sums.
    ``weight_dtype(dtype)`` is that of the packed weights for a layer of ``dtype``: what
    ``pack_weights`` gives has to be converted to it.
    """

    name: str
    summary: str
    parameters: type
    space: Space
    # The machine is one of the kind that the variant is for.
    choose: Callable[[ConvTranspose2d, Sizes, Any], Any]
    cycles: Callable[[ConvTranspose2d, Sizes, Any, Any], float]
    packing: Callable[[ConvTranspose2d, Any], Packing]
    compute: Callable[[ConvTranspose2d, Any, te.Tensor, te.Tensor], te.Tensor]
    refusal: Callable[[ConvTranspose2d, str], str | None] = never_refuses
    choose_each: Callable[[ConvTranspose2d, Sizes, Any], tuple[Any, ...]] | None = None
    weight_dtype: Callable[[str], str] = always_accumulate_dtype
    multiply_adds: Callable[[ConvTranspose2d, Any], float] = direct_multiply_adds
    has_steps: bool = False
    for_volumes: bool = True
    of_groups: bool = False
    maps_input: bool = False
    accumulate: str = ACCUMULATE_DTYPE

    def cannot(self, conv: ConvTranspose2d, accumulate: str = ACCUMULATE_DTYPE) -> str | None:
        """Why the algorithm cannot compute a layer, in words; None if it can."""
        if conv.step != (1, 1) and not self.has_steps:
            return f"it computes all outputs, not those of strides {conv.step[0]}x{conv.step[1]}"
        return self.refusal(conv, accumulate)

    def packed_shape(self, conv: ConvTranspose2d, parameters: Any) -> tuple[int, ...]:
        """Shape of the packed weights."""
        return self.packing(conv, parameters).shape

    def packed_size(self, conv: ConvTranspose2d, parameters: Any) -> int:
        """Elements of the packed weights, those that fill up tiles with zeros among them."""
        return prod(self.packed_shape(conv, parameters))

    def pack_weights(
        self, weights: np.ndarray, conv: ConvTranspose2d, parameters: Any
    ) -> np.ndarray:
        """IOHW weights packed, float32."""
        return self.packing(conv, parameters).pack(weights)


@dataclass(frozen=True, kw_only=True)
class Variant(Algorithm):
    """An algorithm with its loop nest.

    ``schedule(func, conv, parameters)`` schedules a function made of ``compute`` and pointwise
    consumers: a function of TensorIR to one. Variants of ``schedules.te`` take the last tensor and
    the input's shape instead, and give a schedule of TE.
    """

    schedule: Callable[..., Any]


def scheduled(algorithm: Algorithm, schedule: Callable[..., Any]) -> Variant:
    """The variant that computes ``algorithm`` in the loop nest of ``schedule``."""
    return Variant(
        **{field.name: getattr(algorithm, field.name) for field in fields(algorithm)},
        schedule=schedule,
    )
