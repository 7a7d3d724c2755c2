"""What rules ask about a function, whichever IR it is written in, and what they build.

A rule imports no TVM: one and the same stands behind the Relax pass (TVM 0.20 and later) and behind
the Relay pass (before). ``Graph`` is a read-only view of a function, ``Builder`` makes the new
operators; each front has one of both. Tensors are the front's own expressions, of which a rule
knows only that they can be compared and hashed. Operators are ``Call`` s, in the vocabulary of
``operators``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence, Set
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, runtime_checkable

import numpy as np

from tvm_deconv.algebra import geometry
from tvm_deconv.algebra.volumes import ConvTranspose3d

# An expression of the front's IR. It is computed by an operator, or a parameter or a constant.
Tensor: TypeAlias = Any
# A dimension: an int, or what the front has for one that is free.
Dim: TypeAlias = Any

_OUTPUT = "the function's output"


@dataclass(frozen=True)
class Refused:
    """Why a candidate is left alone: the operand and the number, in words."""

    reason: str


@dataclass(frozen=True, eq=False)
class Call:
    """An operator applied to ``args``: tensors, and whatever else it takes.

    ``attrs`` has the fields of Relax's attributes of that operator; of one that is emitted again as
    it is, the front's own. ``inner`` are tensors that are a part of this call and of nothing else
    (the tuple of which a batch norm's result is the first).
    """

    op: str
    args: tuple[Any, ...]
    attrs: Any = None
    inner: tuple[Tensor, ...] = ()


@dataclass(frozen=True)
class Interpolated:
    """A tensor that is ``data`` enlarged linearly (half_pixel), by whole ``factors``.

    ``factors`` are one for each axis. ``resize`` is the operator's result, which is the tensor
    itself or differs from it by its type only.
    """

    resize: Tensor
    data: Tensor
    factors: tuple[int, ...]


@dataclass(frozen=True)
class Repeated:
    """A tensor whose sample o copies sample o div ``factors`` of ``data``, along each axis.

    The last sample of an axis may have fewer copies: the shapes say so.
    """

    data: Tensor
    factors: tuple[int, ...]


def begin_of_slice(
    sizes: Sequence[Dim], axes: Sequence[int], begins: Sequence[int]
) -> tuple[int, ...] | None:
    """``attrs.begin`` of a ``SLICE`` of a tensor of ``sizes`` that begins so along ``axes``.

    None where one is counted from the end of a free size.
    """
    found = [0] * len(sizes)
    for axis, begin in zip(axes, begins, strict=True):
        size = sizes[axis]
        if isinstance(size, int):
            begin = min(max(begin + size if begin < 0 else begin, 0), size)
        elif begin < 0:
            return None
        found[axis] = begin
    return tuple(found)


class Graph(ABC):
    """One function. Matching never changes it: a rule that finds nothing leaves no trace.

    ``order`` are the computed tensors, each after its operands; ``live`` those that the result
    depends on; ``users`` who reads one of them; ``outputs`` what the function returns.
    """

    order: list[Tensor]
    live: frozenset[Tensor]
    users: dict[Tensor, list[Tensor]]
    outputs: frozenset[Tensor]
    position: dict[Tensor, int]

    # Whether the front's convolutions are computed with fewer products than they have taps.
    has_winograd = False

    # How the front's users make constants of parameters, for a refusal.
    bind_parameters: str

    @abstractmethod
    def call(self, tensor: Tensor) -> Call | None:
        """The operator that computes ``tensor``; None if none of the vocabulary does."""

    @abstractmethod
    def is_tensor(self, argument: Any) -> bool:
        """Whether an argument of a call is a tensor: computed, a parameter or a constant."""

    @abstractmethod
    def is_variable(self, argument: Any) -> bool:
        """Whether an argument is a tensor that may be the source of a pattern: no literal."""

    @abstractmethod
    def constant(self, tensor: Tensor) -> np.ndarray | None:
        """Value of a tensor that depends on constants only, or None."""

    @abstractmethod
    def shape(self, tensor: Tensor) -> tuple[Dim, ...] | None:
        """Dimensions of a tensor; None if not known."""

    @abstractmethod
    def dtype(self, tensor: Tensor) -> str:
        """``float32``, for example."""

    @abstractmethod
    def same(self, a: Dim, b: Dim) -> bool:
        """Whether two dimensions are provably equal."""

    @abstractmethod
    def text(self, dim: Dim) -> str:
        """A dimension as one writes it: ``h * 2``."""

    @abstractmethod
    def name(self, tensor: Tensor) -> str:
        """The model's name of the layer that made a tensor, or the IR's."""

    @abstractmethod
    def describe(self, tensor: Tensor) -> str:
        """``relax.add (/up/Add)``, ``parameter x``: a tensor in the words of a report."""

    @abstractmethod
    def spell(self, op: str) -> str:
        """What the front's IR calls an operator of the vocabulary."""

    def resampled(self, tensor: Tensor) -> str | None:
        """Which resampling ``tensor`` is of those that no rule knows; the words for a report."""
        return None

    def interpolated(self, tensor: Tensor) -> Interpolated | None:
        """What ``tensor`` is a linear resize of; None where it is none, or none that we fold.

        Nobody can fold one without a ``BorderBuilder``.
        """
        return None

    def repeated(self, tensor: Tensor) -> Repeated | None:
        """What the function ``tensor`` repeats, where no operator of the vocabulary does."""
        return None

    def is_line(self, tensor: Tensor) -> bool:
        """Whether the layer ``tensor`` is one-dimensional in the model, though not in the IR."""
        return False

    def sizes_text(self, tensor: Tensor, *sizes: int) -> str:
        """``3x5``, or ``5`` for a layer of one dimension."""
        return f"{sizes[-1]}" if self.is_line(tensor) else "x".join(map(str, sizes))

    def operator(self, tensor: Tensor) -> str | None:
        """The name of ``call``, or None."""
        call = self.call(tensor)
        return None if call is None else call.op

    def same_shape(self, a: Sequence[Dim] | None, b: Sequence[Dim] | None) -> bool:
        """True if both shapes are known and provably equal."""
        if a is None or b is None or len(a) != len(b):
            return False
        return all(self.same(x, y) for x, y in zip(a, b, strict=True))

    def shape_text(self, shape: Sequence[Dim]) -> str:
        return f"[{', '.join(map(self.text, shape))}]"

    def readers_text(self, tensor: Tensor) -> str:
        """All who read ``tensor``, in words."""
        names = [self.describe(user) for user in self.users.get(tensor, ())]
        return ", ".join([*names, *[_OUTPUT] * (tensor in self.outputs)])

    def outside_reader(self, tensor: Tensor, inside: Set[Tensor]) -> str | None:
        """Somebody outside ``inside`` who reads ``tensor``, in words, or None."""
        if tensor in self.outputs:
            return _OUTPUT
        for user in self.users.get(tensor, ()):
            if user not in inside:
                return self.describe(user)
        return None


class Convolution(Protocol):
    """How a convolution of stride 1 reads its input."""

    @property
    def axes(self) -> tuple[geometry.ConvAxis, ...]: ...

    @property
    def groups(self) -> int: ...


# A transposed convolution, of two axes or of three.
Transposed: TypeAlias = geometry.ConvTranspose2d | ConvTranspose3d


class Builder(Protocol):
    """Emits operators on NCHW tensors; each method returns the front's expression.

    One whose ``Graph`` has convolutions over volumes also emits on NCDHW tensors.
    """

    def constant(self, values: np.ndarray) -> Any:
        """The array, of its own dtype."""

    def apply(self, op: str, args: Sequence[Any], attrs: Any = None) -> Any:
        """A pointwise operator of the vocabulary, with attributes as ``Graph.call`` gave them."""

    def leaky_relu(self, x: Any, slope: float) -> Any: ...

    def prelu(self, x: Any, slope: np.ndarray) -> Any:
        """One slope for each channel."""

    def transpose(self, x: Any, axes: Sequence[int]) -> Any: ...

    def pad(self, x: Any, widths: Sequence[int], mode: str) -> Any:
        """Begin and end of each axis; ``constant`` (zeros), ``replicate``, ``reflect``, ..."""

    def nearest(self, x: Any, factor: tuple[int, int]) -> Any:
        """Every pixel ``factor`` times along height and width."""

    def concat(self, parts: Sequence[Any]) -> Any:
        """One behind the other along the channels."""

    def conv(self, x: Any, weight: np.ndarray, op: Convolution) -> Any:
        """Of stride 1; ``weight`` is OIHW or OIDHW, of the dtype of ``x``."""

    def conv_transpose(self, x: Any, weight: np.ndarray, op: Transposed) -> Any:
        """``weight`` is IOHW or IODHW, of the dtype of ``x``."""

    def split_phases(self, x: Any, dims: tuple[Dim, ...]) -> Any:
        """(N, O, H*r_h, W*r_w) as ``dims`` = (N, O, H, r_h, W, r_w); of volumes, with D and r_d."""

    def merge_phases(self, x: Any, dims: tuple[Dim, ...]) -> Any:
        """Inverse of ``split_phases``."""


@runtime_checkable
class BorderBuilder(Builder, Protocol):
    """A ``Builder`` that can also enlarge a map linearly, and correct the border of one.

    ``algebra.bilinear`` and ``algebra.outside`` say how.
    """

    def linear(self, x: Any, factor: tuple[int, int]) -> Any:
        """``x`` enlarged linearly (half_pixel) along height and width."""

    def border_faces(
        self,
        x: Any,
        axis: int,
        ends: tuple[bool, bool],
        factors: Sequence[int],
        copies: Sequence[tuple[int, int]],
        linear: bool,
    ) -> Any:
        """The first and the last (as ``ends`` says) face of ``x`` along ``axis``, enlarged.

        Of a picture (N, C, H, W) a row (``axis`` 2) or a column (3), as (N, S*C, 1, L); of a volume
        a slice across depth, height or width, as (N, S*C, L_1, L_2). The first stands before the
        last. Along the other axes they are enlarged by ``factors``, linearly or by copying, and go
        on with their edge for ``copies`` samples at begin and end, or are cropped where those are
        negative.
        """

    def add_border(self, y: Any, faces: dict[int, Any], counts: Sequence[tuple[int, int]]) -> Any:
        """``y`` with ``faces`` added to its outermost rows and columns, or slices.

        ``counts`` says to how many of each axis, at (begin, end). ``faces`` has a tensor (N, S*O*D,
        1, L) or (N, S*O*D, L_1, L_2) for each axis of which a count is not 0: S sides that have
        one, begin first, D the larger of both counts; channel (s*O + o)*D + p is added to the p-th
        from that side.
        """


def is_same(a: Any, b: Tensor) -> bool:
    """Whether ``a`` is the tensor ``b``; the Python objects that stand for one may differ."""
    return type(a) is type(b) and bool(a == b)
