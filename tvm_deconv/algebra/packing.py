"""Weights in the order in which a kernel reads them, packed at compile time. NumPy only.

A packed array has an axis for each word of its ``order``, the outermost first:

    g                groups
    o, ic            output and input channels of a group
    o/n, o%n         output channels in runs of n, the last of which is filled up with zeros
    ic/n, ic%n       input channels in runs of n, which has to divide them
    fh, th, fw, tw   a phase and its taps, along each axis; a tap that a phase lacks is 0
    kh, kw           the kernel's own indices, instead of phases and taps

and in Winograd's form, where a point (u, v) of a phase has one weight for each pair of channels,

    f                phases in height that are apart: each has weights of its own
    b                blocks of output channels, the last of which is filled up with zeros
    u, v             points; where phases share the one at 1, the products that they have together,
                     and where they have tiles of their own, those of each
    piece            pieces of the kernel, those along the width fastest
    row/n, row%n     the rows of a block in runs of n: row (o * r_h + f_h) * r_w + f_w is phase f of
                     its output channel o, or of an axis whose phases share products, are apart or
                     have tiles of their own the row of all; the last run is filled up with zeros

So ``"g kh kw o/n ic o%n"`` is [g][kh][kw][o/n][ic][o%n]. An axis of one element may be left out.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from tvm_deconv.algebra.geometry import Axis, ConvTranspose2d
from tvm_deconv.algebra.winograd import Filter, depth_filter, filters, row_phases

DTYPE = "float32"
# Of a matrix product that are taken at a time.
_COLUMNS = 1024


@dataclass(frozen=True)
class Packing(ABC):
    """How the IOHW weights of a layer are laid out: a function of them, and the result's shape.

    ``n`` is the length of the runs that ``order`` speaks of.
    """

    conv: ConvTranspose2d
    order: str
    n: int

    @property
    def shape(self) -> tuple[int, ...]:
        """Of the packed array."""
        sizes = self._sizes()
        return tuple(sizes[word] for word in self.order.split())

    def pack(self, weights: np.ndarray, dtype: str = DTYPE) -> np.ndarray:
        """IOHW weights, of ``conv.weight_shape``, as an array of ``shape``, in ``dtype``."""
        array, axes = self._arranged(weights, dtype)
        words = self.order.split()
        single = [axis for axis in axes if axis not in words]
        ordered = array.transpose([axes.index(axis) for axis in (*single, *words)])
        return np.ascontiguousarray(ordered, dtype).reshape(self.shape)

    @abstractmethod
    def _sizes(self) -> dict[str, int]:
        """Of every axis that ``order`` may name."""

    @abstractmethod
    def _arranged(self, weights: np.ndarray, dtype: str) -> tuple[np.ndarray, list[str]]:
        """All values, and what their axes are called; what is computed is in ``dtype``."""


@dataclass(frozen=True)
class Direct(Packing):
    """Weights that are only moved."""

    def place(self, **axes: Any) -> tuple[Any, ...]:
        """The indices of a weight in the packed array.

        ``axes`` are its g, o and ic, and its phases and taps or kh and kw: numbers or expressions.
        """

        def index(word: str) -> Any:
            axis = axes[word[:-2] if word[-2:] in ("/n", "%n") else word]
            if word.endswith("/n"):
                return axis // self.n
            return axis % self.n if word.endswith("%n") else axis

        return tuple(map(index, self.order.split()))

    def _sizes(self) -> dict[str, int]:
        conv, n = self.conv, self.n
        return {
            "g": conv.groups,
            "ic": conv.group_inputs,
            "o": conv.group_outputs,
            "ic/n": conv.group_inputs // n,
            "o/n": -(-conv.group_outputs // n),
            **{"ic%n": n, "o%n": n},
            **{"kh": conv.h.kernel, "kw": conv.w.kernel},
            **{"fh": conv.h.stride, "fw": conv.w.stride},
            **{"th": conv.h.max_taps, "tw": conv.w.max_taps},
        }

    def _arranged(self, weights: np.ndarray, dtype: str) -> tuple[np.ndarray, list[str]]:
        words, axes = self.order.split(), ["g", "ic", "o", "kh", "kw"]
        array = _grouped(weights, self.conv)
        if "kh" not in words:
            array, axes[3:] = _by_phase(array, self.conv), ["fh", "th", "fw", "tw"]
        split = "ic" if "ic/n" in words else "o"
        at = axes.index(split)
        axes[at : at + 1] = [f"{split}/n", f"{split}%n"]
        return _in_runs(array, at, self.n), axes


@dataclass(frozen=True)
class Winograd(Packing):
    """``G w G^T`` of every piece of every phase, taken in float64: weights of F(m, k).

    m are the ``outputs`` (rows, columns) of a tile; ``algebra.winograd`` cuts the taps of a phase.
    ``block`` is how many output channels a block has. ``shared`` is for phases that share products,
    ``apart`` for those in height that are apart, ``shifted`` for those in width that have tiles of
    their own. With ``depth`` outputs along the depth of slices
    (``algebra.winograd.depth_filter``) a piece is one of (depth, height, width), and v is a point
    of (width, depth).
    """

    outputs: tuple[int, int]
    block: int
    shared: bool = False
    apart: bool = False
    depth: int = 0
    shifted: bool = False

    def _sizes(self) -> dict[str, int]:
        conv, n = self.conv, self.n
        d = depth_filter(conv, self.depth)
        h, w = known = filters(conv, self.outputs, self.shared, self.shifted)
        rows = self.block * row_phases(conv, known, self.apart)
        return {
            "g": conv.groups,
            "ic": conv.group_inputs // (d.pieces + d.taps - 1),
            "f": conv.h.stride if self.apart else 1,
            "b": -(-conv.group_outputs // self.block),
            **{"u": h.products, "v": w.products * d.points},
            "piece": d.pieces * h.pieces * w.pieces,
            "row/n": -(-rows // n),
            "row%n": n,
        }

    def _arranged(self, weights: np.ndarray, dtype: str) -> tuple[np.ndarray, list[str]]:
        if not self.depth:
            return self._plane(weights, dtype)
        conv, d = self.conv, depth_filter(self.conv, self.depth)
        taps = d.pieces * d.taps
        inputs = conv.in_channels // taps
        plane = replace(self, conv=replace(conv, in_channels=inputs, slices=None), depth=0)
        by_tap = weights.reshape(conv.groups, taps, -1, *weights.shape[1:]).swapaxes(0, 1)
        by_tap = by_tap.reshape(taps, inputs, *weights.shape[1:])
        if d.pieces == 1:
            by_tap = np.tensordot(d.matrices.kernel, by_tap, 1)
        found = [plane._plane(one, dtype) for one in by_tap]
        arrays, axes = [array for array, _ in found], found[0][1]
        if d.pieces > 1:
            return np.concatenate(arrays, axes.index("piece")), axes
        at = axes.index("v")
        shape = arrays[0].shape
        inner = np.stack(arrays, at + 1)
        return inner.reshape(*shape[:at], shape[at] * d.points, *shape[at + 1 :]), axes

    def _plane(self, weights: np.ndarray, dtype: str) -> tuple[np.ndarray, list[str]]:
        """One matrix product, of taps that lie in the order of the result already."""
        conv, sizes = self.conv, self._sizes()
        h, w = filters(conv, self.outputs, self.shared, self.shifted)
        blocked = _in_runs(_by_phase(_grouped(weights, conv), conv), 2, self.block)
        pieces = _in_pieces(_in_pieces(blocked, 7, w), 5, h)
        # [g][ic][b][block][fh][ph][th][fw][pw][tw]
        g, ic, b, block, fh, _, _, fw, *_ = pieces.shape
        # Phases that share products, are apart or have tiles of their own are no rows, but axes:
        # [g][ic][b][block][fh][fw][ph][pw][fh that do][fw that do][th][tw]
        own = sizes["f"] * h.phases
        by_axis = pieces.reshape(
            *(g, ic, b, block, fh // own, own, h.pieces, h.taps),
            *(fw // w.phases, w.phases, w.pieces, w.taps),
        ).transpose(0, 1, 2, 3, 4, 8, 6, 10, 5, 9, 7, 11)
        by_row = by_axis.reshape(g, ic, b, -1, sizes["piece"], own, w.phases, h.taps * w.taps)
        axes = ["g", "ic", "b", "row/n", "row%n", "piece"]
        inner = [word for word in self.order.split() if word in axes]
        first = [axis for axis in axes if axis not in inner]
        order = [axes.index(axis) for axis in (*first, *inner)]
        taps = _in_runs(by_row, 3, self.n).transpose(8, 6, 7, *order)
        kernel = np.kron(h.matrices.kernel, w.matrices.kernel)
        products = _product(kernel, taps.reshape(h.taps * w.taps, -1), dtype)
        products = products.reshape(h.points, w.points, *taps.shape[1:])
        if self.shared:
            (u, fh), (v, fw) = _products_of(h), _products_of(w)
            products = products[u[:, None], v, fh[:, None], fw][:, :, None]
        elif self.shifted:
            of_phases = products.transpose(0, 3, 1, 2, *range(4, products.ndim))
            products = of_phases.reshape(h.points, w.products, own, *taps.shape[3:])
        else:
            products = products[:, :, :, 0]
        return products, ["u", "v", "f", *first, *inner]


def _products_of(known: Filter) -> np.ndarray:
    """The point of each product, and the phase; the first's of the one that they share."""
    products = np.arange(known.products)
    points = known.point(products)
    return np.stack([points, np.where(points, (products - 1) % known.sharing, 0)])


def _product(a: np.ndarray, b: np.ndarray, dtype: str) -> np.ndarray:
    """``a @ b`` in ``dtype``, taken in float64.

    By columns that stay in the cache: a network's products in float64 are half a gigabyte.
    """
    result = np.empty((len(a), b.shape[1]), dtype)
    for first in range(0, b.shape[1], _COLUMNS):
        part = slice(first, first + _COLUMNS)
        result[:, part] = a @ b[:, part].astype("float64")
    return result


def _grouped(weights: np.ndarray, conv: ConvTranspose2d) -> np.ndarray:
    """IOHW weights as [g][ic][o][kh][kw]."""
    return weights.reshape(conv.groups, conv.group_inputs, *weights.shape[1:])


def _by_phase(weights: np.ndarray, conv: ConvTranspose2d) -> np.ndarray:
    """[...][kh][kw] as [...][fh][th][fw][tw]."""
    before = [(0, 0)] * (weights.ndim - 2)
    with_zero = np.pad(weights, [*before, (0, 1), (0, 1)])
    return with_zero[..., kernel_indices(conv.h), :][..., kernel_indices(conv.w)]


def kernel_indices(axis: Axis) -> np.ndarray:
    """[f][t]: the kernel index of a phase's tap, the last of all for one that it lacks."""
    indices = np.full((axis.stride, axis.max_taps), -1)
    for phase in range(axis.stride):
        taps = axis.taps(phase)
        indices[phase, : len(taps)] = [tap.k for tap in taps]
    return indices


def _in_runs(array: np.ndarray, at: int, n: int) -> np.ndarray:
    """An axis as two: runs of ``n``, the last filled up with zeros."""
    runs = -(-array.shape[at] // n)
    missing = runs * n - array.shape[at]
    if missing:
        widths = [(0, 0)] * array.ndim
        widths[at] = (0, missing)
        array = np.pad(array, widths)
    return array.reshape(*array.shape[:at], runs, n, *array.shape[at + 1 :])


def _in_pieces(array: np.ndarray, at: int, cut: Filter) -> np.ndarray:
    """An axis of taps as two: pieces of the kernel, and the taps of each.

    All but the last have as many taps as a tile has outputs, and zeros for more.
    """
    if cut.pieces == 1:
        widths = [(0, (cut.taps - array.shape[at]) * (axis == at)) for axis in range(array.ndim)]
        return np.expand_dims(np.pad(array, widths) if cut.nested else array, at)
    begins = np.arange(cut.pieces) * cut.outputs
    ends = np.append(begins[1:], array.shape[at])
    places = begins[:, None] + np.arange(cut.taps)
    places[places >= ends[:, None]] = -1
    widths = [(0, int(axis == at)) for axis in range(array.ndim)]
    return np.pad(array, widths).take(places, at)


_FORMS: dict[str, type[Packing]] = {"direct": Direct, "winograd": Winograd}


def as_json(packing: Packing) -> dict[str, Any]:
    """What JSON can hold of a packing: the name of its form and its numbers."""
    (form,) = (name for name, form in _FORMS.items() if type(packing) is form)
    values = asdict(packing)
    for axis in (values["conv"]["h"], values["conv"]["w"]):
        axis["zero_taps"] = sorted(axis["zero_taps"])
    return {"form": form, **values}


def of_json(values: Mapping[str, Any]) -> Packing:
    """The inverse of ``as_json``, also of what was written and read."""
    form, conv, rest = values["form"], dict(values["conv"]), dict(values)
    for name in ("h", "w"):
        conv[name] = Axis(**{**conv[name], "zero_taps": frozenset(conv[name]["zero_taps"])})
    del rest["form"]
    conv["step"] = tuple(conv.get("step", (1, 1)))
    rest["conv"] = ConvTranspose2d(**conv)
    if "outputs" in rest:
        rest["outputs"] = tuple(rest["outputs"])
    return _FORMS[form](**rest)
