"""What the kernels of a layer are checked against: random operands and the output in float64.

A case is a folder that every candidate for the layer shares: ``x.npy`` (NCHW) and ``weight.npy``
(IOHW) in the layer's dtype, ``expected.npy`` (NCHW, float64) and ``case.json``. Of a layer over a
volume x and y are volumes (NCDHW), and weights those of its picture (``algebra.volumes``). Bytes
have to be equal (``byte_case``).
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tvm_deconv.algebra.known_weights import obeying
from tvm_deconv.measure.reference import TOLERANCE, transposed_convolution

from . import byte_case

if TYPE_CHECKING:
    from tvm_deconv.logs.layer import Layer

X, WEIGHT, EXPECTED, FACTS = "x.npy", "weight.npy", "expected.npy", "case.json"


class Case(NamedTuple):
    """Operand ``x`` and the output that it must give, within ``tolerance`` of its largest value."""

    x: np.ndarray
    expected: np.ndarray
    tolerance: float

    def unwritten(self) -> np.ndarray:
        """An output of x's dtype of which no element is what it must be: NaN, or other bytes."""
        if self.x.dtype.kind == "f":
            return np.full(self.expected.shape, np.nan, self.x.dtype)
        return (self.expected.astype("int64") ^ 128).astype(self.x.dtype)


def case_folder(cases: str | os.PathLike, layer: Layer) -> Path:
    """The folder of a layer's case, by its content, in the folder of all cases."""
    return Path(cases) / hashlib.sha256(str(layer).encode()).hexdigest()[:16]


def write_case(layer: Layer, folder: Path, seed: int) -> None:
    """Fill the folder, made if need be, with a case for the layer; the same seed gives the same."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    conv = layer.conv
    if layer.is_of_bytes:
        x, weight = byte_case.draw(layer, random)
    else:
        x, weight = (
            random.standard_normal(shape, "float32").astype(layer.dtype)
            for shape in (layer.shapes[0], conv.weight_shape)
        )
    weight = obeying(conv, weight)
    np.save(folder / X, x)
    np.save(folder / WEIGHT, weight)
    if layer.is_of_bytes:
        expected, tolerance = byte_case.expected(layer, x, weight), 0.0
    else:
        numbers = conv.strides, conv.padding, conv.output_padding, conv.dilation, conv.groups
        expected = transposed_convolution(_picture(layer, x), weight, *numbers)
        expected, tolerance = _of_volume(layer, expected), TOLERANCE[layer.dtype]
    np.save(folder / EXPECTED, expected)
    facts = {"dtype": layer.dtype, "tolerance": tolerance}
    (folder / FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def _picture(layer: Layer, x: np.ndarray) -> np.ndarray:
    """``x``, or where it is a volume the picture of its slices that the layer reads."""
    stack, slices = layer.stack, layer.conv.slices
    if stack is None or slices is None:
        return x
    _, channels, rows, _ = layer.input_shape
    channel, row = np.arange(channels)[:, None], np.arange(rows)[None]
    c, k, i = np.broadcast_arrays(*stack.source(channel, row, slices.height))
    inside = (k >= 0) & (k < slices.depth) & (i < slices.height)
    picture = np.zeros(layer.input_shape, x.dtype)
    picture[:, inside] = x[:, c[inside], k[inside], i[inside]]
    return picture


def _of_volume(layer: Layer, y: np.ndarray) -> np.ndarray:
    """``y``, or where it is a picture of a volume's slices the volume."""
    stack, slices = layer.stack, layer.conv.slices
    if stack is None or slices is None:
        return y
    volume = np.zeros(layer.shapes[1], y.dtype)
    k, i = stack.target(np.arange(y.shape[2]), slices.height)
    inside = i < volume.shape[3]
    volume[:, :, k[inside], i[inside]] = y[:, :, inside]
    return volume


def read_case(folder: Path) -> Case:
    """What ``write_case`` wrote, without the weights, which the builder packs."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Case(np.load(folder / X), np.load(folder / EXPECTED), facts["tolerance"])
