"""What the kernels of a layer are checked against: random operands and the output in float64.

A case is a folder that every candidate for the layer shares: ``x.npy`` (NCHW) and ``weight.npy``
(IOHW) in the layer's dtype, ``expected.npy`` (NCHW, float64) and ``case.json``.
"""

from __future__ import annotations

import hashlib
import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from tvm_deconv.algebra.geometry import ConvTranspose2d

if TYPE_CHECKING:
    from tvm_deconv.logs.layer import Layer

X, WEIGHT, EXPECTED, FACTS = "x.npy", "weight.npy", "expected.npy", "case.json"

# How far a kernel may be off, as a share of the largest output. The benchmark counts no result
# beyond 1e-4 in float32, which Winograd's sums keep; outputs in float16 have 11 bits themselves.
TOLERANCE = {"float32": 1e-4, "float16": 5e-3}


class Case(NamedTuple):
    """Operand ``x`` and the output that it must give, within ``tolerance`` of its largest value."""

    x: np.ndarray
    expected: np.ndarray
    tolerance: float


def case_folder(cases: str | os.PathLike, layer: Layer) -> Path:
    """The folder of a layer's case, by its content, in the folder of all cases."""
    return Path(cases) / hashlib.sha256(str(layer).encode()).hexdigest()[:16]


def write_case(layer: Layer, folder: Path, seed: int) -> None:
    """Fill the folder, made if need be, with a case for the layer; the same seed gives the same."""
    folder.mkdir(parents=True, exist_ok=True)
    random = np.random.default_rng(seed)
    conv = layer.conv
    x = random.standard_normal(layer.input_shape, "float32").astype(layer.dtype)
    weight = random.standard_normal(conv.weight_shape, "float32").astype(layer.dtype)
    weight[:, :, sorted(conv.h.zero_taps)] = 0
    weight[:, :, :, sorted(conv.w.zero_taps)] = 0
    np.save(folder / X, x)
    np.save(folder / WEIGHT, weight)
    np.save(folder / EXPECTED, reference_output(conv, x, weight))
    facts = {"dtype": layer.dtype, "tolerance": TOLERANCE[layer.dtype]}
    (folder / FACTS).write_text(json.dumps(facts) + "\n", encoding="utf-8")


def read_case(folder: Path) -> Case:
    """What ``write_case`` wrote, without the weights, which the builder packs."""
    facts = json.loads((folder / FACTS).read_text(encoding="utf-8"))
    return Case(np.load(folder / X), np.load(folder / EXPECTED), facts["tolerance"])


def reference_output(conv: ConvTranspose2d, x: np.ndarray, weight: np.ndarray) -> np.ndarray:
    """The transposed convolution (float64, NCHW) by its definition: one product for each tap.

    Input sample i goes through tap k to sample s*i + d*k of the full output, whose padding is
    then cut off. Shapes: ``x`` NCHW, ``weight`` IOHW.
    """
    n, _, height, width = x.shape
    groups, h, w = conv.groups, conv.h, conv.w
    # One row and column for each sample that the largest index, or an output padding, asks for.
    rows = max(h.stride * (height - 1) + h.extent, h.pad_begin + h.output_size(height))
    columns = max(w.stride * (width - 1) + w.extent, w.pad_begin + w.output_size(width))
    full = np.zeros((n, groups, conv.group_outputs, rows, columns))
    x = x.astype("float64").reshape(n, groups, conv.group_inputs, height * width)
    weight = weight.astype("float64").reshape(
        groups, conv.group_inputs, conv.group_outputs, h.kernel, w.kernel
    )
    for kh in set(range(h.kernel)) - h.zero_taps:
        for kw in set(range(w.kernel)) - w.zero_taps:
            term = weight[..., kh, kw].transpose(0, 2, 1) @ x
            top, left = h.dilation * kh, w.dilation * kw
            full[
                ...,
                top : top + h.stride * (height - 1) + 1 : h.stride,
                left : left + w.stride * (width - 1) + 1 : w.stride,
            ] += term.reshape(n, groups, conv.group_outputs, height, width)
    _, _, rows, columns = shape = conv.output_shape(n, height, width)
    top, left = h.pad_begin, w.pad_begin
    return full[..., top : top + rows, left : left + columns].reshape(shape)
