"""What a model has to give, how far from it a result may be, and whether one is.

The value is ONNX Runtime's, of the graph as it stands, in float32 where it has no kernel for
float64. Where ONNX Runtime breaks the standard, it is that of onnx.reference. How much a result may
differ for rounding alone is tried: inputs and weights are moved by one rounding error.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import onnx
from onnx import helper, numpy_helper

from .runtimes import (
    run_anywhere,
    run_in_turns,
    run_onnxruntime,
    run_reference,
    uses_float64,
)
from .values import nearby

# Relative to the largest element, beside what rounding does to the reference.
_ROUNDING = {"float32": 2e-5, "float16": 1e-2}
# Convolutions in float32 may be Winograd's, one after the other.
_CONVOLVED = 1e-4
# How many times what one rounding error of each input and weight does. Winograd's transforms of a
# 7x7 kernel are off by 34 times that (root mean square over float64's, measured).
_ROUNDINGS, _CONVOLVED_ROUNDINGS = 8, 40
_CONVOLUTIONS = {"Conv", "ConvTranspose"}
_NORMALISING = {"GroupNormalization", "InstanceNormalization", "LayerNormalization"}
# What their inputs after the first are, the result is proportional to.
_SCALING = _CONVOLUTIONS | _NORMALISING | {"BatchNormalization"}
# Two convolutions of such weights exceed float32.
_HUGE = 1e18

# They only move, choose or copy elements: results are equal, bit for bit.
_MOVING = {
    *("Concat", "Expand", "Flatten", "Gather", "Identity", "Pad", "Reshape", "Slice", "Split"),
    *("DepthToSpace", "SpaceToDepth", "Squeeze", "Tile", "Transpose", "Trilu", "Unsqueeze"),
    *("Abs", "Constant", "GlobalMaxPool", "Max", "MaxPool", "Min", "Neg", "Relu", "Shape"),
}


def _attribute(node: onnx.NodeProto, name: str, default: Any) -> Any:
    found = [helper.get_attribute_value(a) for a in node.attribute if a.name == name]
    value = found[0] if found else default
    return value.decode() if isinstance(value, bytes) else value


def crops(node: onnx.NodeProto) -> bool:
    mode = _attribute(node, "coordinate_transformation_mode", "half_pixel")
    return node.op_type == "Resize" and mode == "tf_crop_and_resize"


def _is_copied(node: onnx.NodeProto) -> bool:
    """Whether ONNX Runtime copies where the sizes stay what they are, whatever the scale is."""
    return node.op_type in ("Resize", "Upsample")


def _crops_antialiased(node: onnx.NodeProto, opset: int) -> bool:
    return bool(_attribute(node, "antialias", 0)) and crops(node)


def _strides_beyond_its_kernel(node: onnx.NodeProto) -> bool:
    strides = _attribute(node, "strides", [])
    # Where the attribute is left out, the weights say how large it is.
    kernel = _attribute(node, "kernel_shape", [1] * len(strides))
    is_same = str(_attribute(node, "auto_pad", "")).startswith("SAME")
    return node.op_type == "Conv" and is_same and any(map(int.__gt__, strides, kernel))


# Where ONNX Runtime 1.32 does something else than the standard says: (what it does, which nodes).
DEVIATIONS: tuple[tuple[str, Callable[[onnx.NodeProto, int], bool]], ...] = (
    ("a resize that is antialiased and crops samples elsewhere", _crops_antialiased),
)


def deviation(model: onnx.ModelProto) -> str | None:
    """The first thing in the model that ONNX Runtime computes differently from the standard."""
    opset = max((found.version for found in model.opset_import), default=1)
    for node in model.graph.node:
        for words, applies in DEVIATIONS:
            if applies(node, opset):
                return f"{node.op_type}: {words}"
    return None


@dataclass(frozen=True)
class Expected:
    """The results, and for each how far a right one may be off."""

    arrays: list[np.ndarray]
    limits: list[float]


def expected(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> Expected:
    """The reference's results for these inputs.

    Raises Refused.
    """
    run = run_reference if deviation(model) else run_anywhere
    arrays = run(model, inputs)
    exact = [moved and not uses_float64(model) for moved in _moved_only(model)]
    if all(exact):
        return Expected(arrays, [0.0] * len(arrays))
    others = [run(_nearby_model(model, i), _nearby(inputs, i)) for i in (1, 2)]
    relative = _rounding(model)
    times = _CONVOLVED_ROUNDINGS if _convolves(model) else _ROUNDINGS
    limits = [
        0.0 if only_moved else _limit(array, [other[i] for other in others], relative, times)
        for i, (array, only_moved) in enumerate(zip(arrays, exact, strict=True))
    ]
    return Expected(arrays, limits)


def standard_opinion(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]
) -> list[np.ndarray] | None:
    """The results where ONNX Runtime may break the standard, and onnx.reference keeps it.

    A resize that crops: ONNX Runtime 1.32 ignores roi along an axis whose scale is 1, and
    altogether where the output has the sizes of the input. Any other: where it has them, ONNX
    Runtime copies, whatever the scale is. A convolution with SAME padding: where that
    would be negative, ONNX Runtime crops. MeanVarianceNormalization: the variance of one element,
    a difference of equal squares, it takes for less than 0, and its root for NaN. None for models
    without any.

    Raises Refused.
    """
    if not any(_may_stray(node) for node in model.graph.node):
        return None
    return run_in_turns(model, inputs, _may_stray, _strays)


def _may_stray(node: onnx.NodeProto) -> bool:
    varies = node.op_type == "MeanVarianceNormalization"
    return _is_copied(node) or _strides_beyond_its_kernel(node) or varies


def _strays(
    node: onnx.NodeProto, values: Mapping[str, np.ndarray], results: Sequence[np.ndarray]
) -> bool:
    """A resize only where a size stays: of others onnx.reference is no better judge, it has aligned
    corners meet at the scaled size, not at the output's."""
    if not _is_copied(node):
        return True
    before, after = np.shape(values[node.input[0]]), np.shape(results[0])
    rank = len(before)
    # Batch and channels, wherever they stand, stay at a scale of 1, which is a copy.
    return sum(map(operator.ne, before, after)) < (rank - 2 if rank > 2 else rank)


def is_second_opinion_wrong(model: onnx.ModelProto) -> bool:
    """Whether onnx.reference 1.22 breaks the standard.

    It takes -0.5 for the one sample of ``pytorch_half_pixel``, where the standard says 0. A resize
    that crops, it divides by what is scaled and not by the length of the output. Of a softmax that
    is too small for its type it takes the logarithm, which is -inf.
    """
    if any(node.op_type == "LogSoftmax" for node in model.graph.node):
        return True
    mode = "coordinate_transformation_mode"
    if any(_attribute(n, mode, "") == "pytorch_half_pixel" for n in model.graph.node):
        return True
    return any((scales % 1 != 0).any() for scales in _scales_of_crops(model))


def nobody_is_right(model: onnx.ModelProto) -> bool:
    """Whether both break it, or there is nothing to be right about.

    A crop by a fraction along one axis and by 1 along another; weights that flipped bits have made
    so large that the order of the sums decides what overflows, or infinite, of which a product with
    a padding's zero is NaN, where there is one; and a variance in float64 or float16, whose
    function has constants of float32: both refuse it, unless ONNX Runtime computes it in float32
    as a difference of squares.
    """
    types = {value.type.tensor_type.elem_type for value in model.graph.input}
    if types - {onnx.TensorProto.FLOAT} and any(
        node.op_type == "MeanVarianceNormalization" for node in model.graph.node
    ):
        return True
    cropped = _scales_of_crops(model)
    return any((s % 1 != 0).any() and (s == 1).any() for s in cropped) or any(
        _is_huge(tensor) for tensor in model.graph.initializer
    )


def _is_huge(tensor: onnx.TensorProto) -> bool:
    try:
        array = numpy_helper.to_array(tensor)
    except ValueError:  # damaged on purpose
        return False
    return array.dtype == np.float32 and not bool((np.abs(array) <= _HUGE).all())


def _scales_of_crops(model: onnx.ModelProto) -> list[np.ndarray]:
    weights = {tensor.name: tensor for tensor in model.graph.initializer}
    names = [n.input[2] for n in model.graph.node if crops(n) and len(n.input) > 2]
    return [numpy_helper.to_array(weights[name]) for name in names if name in weights]


def normalised_opinion(
    model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]
) -> list[np.ndarray]:
    """The results where normalisations are onnx.reference's, which takes the mean away first.

    ONNX Runtime scales the input and adds what the mean makes of it: of a map of one element, whose
    normalisation is 0, what is left are rounding errors, divided by the root of epsilon.

    Raises Refused.
    """
    return run_in_turns(
        model, inputs, lambda node: node.op_type in _NORMALISING, lambda *_node: True
    )


def second_opinion(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """The results of the other one, onnx.reference. Raises Refused."""
    return run_reference(_with_dense_weights(model), inputs)


def optimized_opinion(model: onnx.ModelProto, inputs: Mapping[str, np.ndarray]) -> list[np.ndarray]:
    """ONNX Runtime's own with its optimizations, as users run it. Raises Refused."""
    return run_onnxruntime(model, inputs, optimized=True)


def _with_dense_weights(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model without sparse weights, which onnx.reference cannot read, or as it is.

    ONNX Runtime takes those of double for floats.
    """
    if not model.graph.sparse_initializer:
        return model
    dense = onnx.ModelProto()
    dense.CopyFrom(model)
    for sparse in model.graph.sparse_initializer:
        values, places = map(numpy_helper.to_array, (sparse.values, sparse.indices))
        array = np.zeros(sparse.dims, values.dtype)
        if places.ndim != 1 or (places >= array.size).any():
            return model
        array.reshape(-1)[places] = values
        dense.graph.initializer.append(numpy_helper.from_array(array, sparse.values.name))
    del dense.graph.sparse_initializer[:]
    return dense


def _nearby(inputs: Mapping[str, np.ndarray], seed: int) -> dict[str, np.ndarray]:
    return {name: nearby(array, seed) for name, array in inputs.items()}


def _nearby_model(model: onnx.ModelProto, seed: int) -> onnx.ModelProto:
    """The model with other weights; tensors of few elements may be scales or bounds and stay."""
    moved = onnx.ModelProto()
    moved.CopyFrom(model)
    factors = {name for n in model.graph.node if n.op_type in _SCALING for name in n.input}
    for tensor in moved.graph.initializer:
        try:
            array = numpy_helper.to_array(tensor)
        except ValueError:  # damaged on purpose
            continue
        if array.ndim > 1 or array.size > 8 or tensor.name in factors:
            tensor.CopyFrom(numpy_helper.from_array(nearby(array, seed), tensor.name))
    return moved


def _limit(array: np.ndarray, others: Sequence[np.ndarray], relative: float, times: int) -> float:
    if array.dtype.kind != "f" or not array.size:
        return 0.0
    values = array.astype("float64")
    finite = np.isfinite(values)
    if not finite.any():
        return 0.0
    largest = float(np.abs(values[finite]).max())
    with np.errstate(all="ignore"):
        apart = [np.abs(other.astype("float64") - values)[finite] for other in others]
    spread = max(float(np.nanmax(a[np.isfinite(a)], initial=0.0)) for a in apart)
    return relative * largest + times * spread


def _rounding(model: onnx.ModelProto) -> float:
    """By the least precise float in the model, and by whether it convolves."""
    narrow = {int(onnx.TensorProto.FLOAT16): "float16", int(onnx.TensorProto.FLOAT): "float32"}
    types = [value.type.tensor_type.elem_type for value in model.graph.input]
    types += [_attribute(node, "to", 0) for node in model.graph.node if node.op_type == "Cast"]
    # Where ONNX Runtime has no kernel for float64, it is in float32, too.
    least = next((name for number, name in narrow.items() if number in types), "float32")
    return max(_ROUNDING[least], _CONVOLVED if _convolves(model) else 0.0)


def _convolves(model: onnx.ModelProto) -> bool:
    return any(node.op_type in _CONVOLUTIONS for node in model.graph.node)


def _moved_only(model: onnx.ModelProto) -> list[bool]:
    """For each output, whether nothing has been computed on the way to it."""
    computed: set[str] = set()
    before = -1
    while len(computed) > before:  # again and again: the nodes may stand in any order
        before = len(computed)
        for node in model.graph.node:
            moves = node.op_type in _MOVING or (
                node.op_type in ("Resize", "Upsample")
                and _attribute(node, "mode", "nearest") == "nearest"
            )
            if not moves or computed & set(node.input):
                computed |= set(node.output)
    return [value.name not in computed for value in model.graph.output]


def difference(got: np.ndarray, wanted: np.ndarray, limit: float) -> str | None:
    """In words what is wrong with a result, or None."""
    if got.shape != wanted.shape:
        return f"shape {got.shape}, expected {wanted.shape}"
    if got.dtype != wanted.dtype:
        return f"type {got.dtype}, expected {wanted.dtype}"
    if not got.size or wanted.dtype.kind not in "fiub":
        return None
    a, b = got.astype("float64"), wanted.astype("float64")
    for what, test in (("NaN", np.isnan), ("inf", np.isposinf), ("-inf", np.isneginf)):
        if (wrong := test(a) != test(b)).any():
            place = tuple(map(int, np.argwhere(wrong)[0]))
            return f"{what} misplaced in {wrong.mean():.1%}, first {_at(a, b, place)}"
    finite = np.isfinite(b)
    apart = np.where(finite, np.abs(np.where(finite, a, 0) - np.where(finite, b, 0)), 0)
    if (wrong := apart > limit).any():
        place = tuple(map(int, np.unravel_index(int(apart.argmax()), apart.shape)))
        return (
            f"{wrong.mean():.1%} of the elements off by up to {apart.max():.3g} "
            f"(allowed {limit:.3g}), most {_at(a, b, place)}"
        )
    return None


def _at(got: np.ndarray, wanted: np.ndarray, place: tuple[int, ...]) -> str:
    return f"at {place}: got {got[place]:.6g}, expected {wanted[place]:.6g}"
