"""Activations, normalizations and arithmetic of ONNX, attribute by attribute."""

from __future__ import annotations

import numpy as np
import pytest
from onnx_rows import Table, c, check_refused, floats, row

EDGES = [0.0, -0.0, 1, -1, 3, -3, 6, 30, -30, 90, -90, 0.5, -0.5, 1.5, -2.5, 2.5]
Z = np.concatenate([floats(64) * 2, EDGES]).astype("float32").reshape(2, 4, 10)
HALF = Z.astype("float16")
INFINITE = np.float32([[np.nan, -np.inf, np.inf, -1, 1, 0]])
UNIT = np.clip(Z / 3, -0.99, 0.99)

_ACTIVATIONS = (
    ("LeakyRelu", 13, {"alpha": 0.2}),
    ("LeakyRelu", 13, {"alpha": -1.5}),
    ("Elu", 13, {}),
    ("Elu", 13, {"alpha": -1.0}),
    ("Selu", 13, {}),
    ("Selu", 13, {"alpha": 2.0, "gamma": 0.5}),
    ("ThresholdedRelu", 13, {}),
    ("ThresholdedRelu", 13, {"alpha": -0.3}),
    ("HardSigmoid", 13, {"alpha": 0.3, "beta": 0.2}),
    ("HardSwish", 14, {}),
    ("Mish", 18, {}),
    ("Gelu", 20, {}),
    ("Gelu", 20, {"approximate": "tanh"}),
    ("Softplus", 13, {}),
    ("Softsign", 13, {}),
    ("Sigmoid", 13, {}),
    ("Tanh", 13, {}),
    ("Erf", 13, {}),
    ("Shrink", 13, {"lambd": 0.7, "bias": 0.2}),
    ("Round", 13, {}),
    ("Softmax", 13, {}),
    ("Softmax", 13, {"axis": 1}),
    ("Softmax", 11, {}),
    ("LogSoftmax", 11, {"axis": 2}),
    ("Hardmax", 13, {"axis": 1}),
)
ACTIVATIONS = [
    *(row(name, x, opset=opset, **a) for name, opset, a in _ACTIVATIONS for x in (Z, HALF)),
    *(row("Celu", Z, opset=12, **a) for a in ({}, {"alpha": 2.0}, {"alpha": -0.7})),
    *(
        row(name, UNIT.astype(kind))
        for name in ("Asin", "Acos", "Atan", "Sinh", "Cosh", "Asinh", "Atanh")
        for kind in ("float32", "float16")
    ),
    row("Swish", UNIT, opset=24, judge="standard", alpha=1.7),
    row("Relu", INFINITE),
    row("Clip", INFINITE, opset=9, min=-0.5),
    *(
        row("IsInf", INFINITE, opset=10, **{f"detect_{sign}": 0})
        for sign in ("negative", "positive")
    ),
]

_BOUNDS = (np.float32(-0.5), np.float32(1.5))
CLIPS = [
    *(row("Clip", x, opset=9, min=-0.5, max=1.5) for x in (Z, HALF)),
    row("Clip", Z, opset=9),
    row("Clip", Z, *map(c, _BOUNDS)),
    row("Clip", Z, None, c(_BOUNDS[1])),
    row("Clip", Z, *map(c, _BOUNDS[::-1])),
    row("Clip", Z, *_BOUNDS),
    row("Clip", HALF, c(-0.5, "float16"), c(1.5, "float16")),
    row("Clip", np.arange(-5, 5), c(-2), c(3)),
    row("Clip", np.arange(10).astype("uint8"), c(2, "uint8")),
]

SLOPES = [
    *(
        row("PRelu", x, c(slope, str(x.dtype)), free=free)
        for x in (Z, HALF)
        for slope, free in (
            ([0.3], ()),
            ([0.3], (1, 2)),
            (0.3, (1, 2)),
            ([[[0.3]]], (1, 2)),
            (floats(10), ()),
            (floats(4, 1), ()),
            (floats(4, 1), (2,)),
            (floats(4, 10), ()),
        )
    ),
    row("PRelu", Z, np.float32([0.3])),
    row("PRelu", Z, floats(4, 1)),
]

X = floats(2, 4, 6, 7)
# Its squares, and sums of few of its elements, are infinite in float16.
LARGE = (X + 1500).astype("float16")
FOUR = [c(floats(4)) for _ in range(3)] + [c(np.abs(floats(4)) + 0.1)]
NORMS = [
    *(row("BatchNormalization", X, *FOUR, opset=o, epsilon=1e-3) for o in (7, 9, 14, 15)),
    row("BatchNormalization", X, *FOUR, opset=9, momentum=0.5, free=(0, 2, 3)),
    row("BatchNormalization", floats(3, 4), *FOUR, opset=15),
    row("InstanceNormalization", X, *FOUR[:2], epsilon=1e-2),
    row("InstanceNormalization", X, *FOUR[:2], free=(2, 3)),
    row("InstanceNormalization", floats(2, 4, 9), *FOUR[:2]),
    *(
        row(
            "GroupNormalization",
            x,
            *(c(floats(n), str(x.dtype)) for _ in range(2)),
            opset=o,
            num_groups=2,
            free=f,
        )
        for o, n in ((18, 2), (21, 4))
        for x, f in ((X, ()), (X.astype("float16"), ()), (X, (2, 3)))
    ),
    row(
        "GroupNormalization",
        X.astype("float64") + 100,
        *(c(floats(2), "float64") for _ in range(2)),
        opset=18,
        num_groups=2,
    ),
    *(
        row(
            "LayerNormalization",
            X.astype("float64") + 100,
            *(c(floats(7), "float64") for _ in range(n)),
            opset=17,
        )
        for n in (1, 2)
    ),
    *(
        row(
            "LayerNormalization",
            X,
            c(floats(*X.shape[a % 4 :])),
            c(floats(*X.shape[a % 4 :])),
            opset=17,
            axis=a,
            epsilon=1e-3,
        )
        for a in (-1, 1, -2, 0)
    ),
    row("LayerNormalization", X, c(floats(7)), opset=17, outputs=3),
    row("LayerNormalization", X, c(floats(7)), c(floats(1)), opset=17),
    row("LayerNormalization", X, c(floats(1, 7)), opset=17, axis=-2, free=(0, 1)),
    row("LpNormalization", X, axis=1, p=1),
    row("LpNormalization", X, p=2),
    row("InstanceNormalization", LARGE, *(c(v.array.astype("float16")) for v in FOUR[:2])),
    row("LRN", X, size=3, alpha=0.1, beta=0.5, bias=2.0),
    row("LRN", X, size=5, free=(0, 2, 3)),
    row("MeanVarianceNormalization", X, axes=[1, 2]),
    row("MeanVarianceNormalization", X, free=(0, 2)),
    row("GlobalAveragePool", LARGE, judge="standard"),
    row("Div", X, c([1.5], "float32")),
]

_SIGNED = np.array([[7, -7, 5], [8, 9, -9]]), np.array([2, -3, 4])
_BASES = np.array([2, 3, 4])
TRUTHS = np.array([True, True, False, False]), np.array([True, False, True, False])
NANS = np.float32([1, np.nan]), np.float32([np.nan, 2])
ARITHMETIC = [
    *(
        row(name, *(v.astype(kind) for v in _SIGNED), opset=14)
        for name in ("Add", "Sub", "Mul", "Div")
        for kind in ("float32", "int32", "int64", "float16")
    ),
    *(row("Mod", *(v.astype(kind) for v in _SIGNED), fmod=1) for kind in ("float32", "int64")),
    row("Mod", *_SIGNED),
    *(
        row("Pow", _BASES.astype(a), c([2, 3, 0], b))
        for a, b in (
            ("float32", "float32"),
            ("float32", "int64"),
            ("int64", "int64"),
            ("int64", "float32"),
            ("float16", "float16"),
        )
    ),
    *(row("Pow", np.float32([-2, -4, 9]), c(k, "float32")) for k in (1, 2, 3, 7)),
    row("Pow", _BASES, c(5)),
    row("Equal", *TRUTHS),
    *(
        row(name, *(v.astype(kind) for v in _SIGNED))
        for name in ("Equal", "Less", "Greater")
        for kind in ("float32", "int64")
    ),
    *(
        row(name, *(v.astype("float32") for v in _SIGNED), opset=16)
        for name in ("LessOrEqual", "GreaterOrEqual")
    ),
    *(row(name, *TRUTHS) for name in ("And", "Or", "Xor")),
    row("Not", TRUTHS[0]),
    row("Where", TRUTHS[0][:, None], floats(4, 3), floats(3), opset=16),
    row("Where", TRUTHS[0][:, None], floats(4, 3), c([-1e9], "float32"), opset=16),
    *(row(name, floats(2, 3), floats(3), floats(2, 1)) for name in ("Min", "Max", "Sum", "Mean")),
    *(row(name, floats(2, 3)) for name in ("Min", "Max", "Sum", "Mean")),
    *(row(name, *NANS) for name in ("Min", "Max")),
    *(row(name, *_SIGNED) for name in ("Min", "Max")),
    *(
        row(
            "Gemm",
            floats(4, 3) if a else floats(3, 4),
            c(floats(5, 4) if b else floats(4, 5)),
            c(floats(*bias)),
            transA=a,
            transB=b,
            alpha=0.5,
            beta=2.0,
        )
        for a, b, bias in ((0, 0, (5,)), (1, 0, (3, 5)), (0, 1, (3, 1)), (1, 1, (1,)))
    ),
    row("Gemm", floats(3, 4), c(floats(4, 5))),
    row("Gemm", floats(3, 4), c(floats(4, 5)), c(np.full(5, np.nan, "float32")), beta=0.0),
    *(
        row("MatMul", floats(*a), floats(*b))
        for a, b in (
            ((3, 4), (4, 5)),
            ((2, 3, 4), (4, 5)),
            ((4,), (4, 5)),
            ((3, 4), (4,)),
            ((4,), (4,)),
        )
    ),
    *(
        row("Einsum", *(floats(*s) for s in shapes), equation=equation)
        for equation, shapes in (
            ("bij,bjk->bik", ((2, 3, 4), (2, 4, 5))),
            ("...ij,...jk->...ik", ((2, 3, 4), (2, 4, 5))),
            ("ij,jk", ((3, 4), (4, 5))),
            ("ii->i", ((3, 3),)),
            (" i j , j k -> i k", ((3, 4), (4, 5))),
        )
    ),
]

TABLE = Table([*ACTIVATIONS, *CLIPS, *SLOPES, *NORMS, *ARITHMETIC])


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_an_attribute_is_computed_as_onnx_runtime_does(one):
    TABLE.check(one)


REFUSED = [
    (row("PRelu", X, c(floats(4))), r"its slope of shape \[4\] does not broadcast to its input's"),
    (row("PRelu", X, c(floats(3, 1, 1))), r"its slope of shape \[3, 1, 1\] does not broadcast"),
    (row("PRelu", floats(4, 6), c(floats(2, 4, 6))), r"its slope of shape \[2, 4, 6\] does not"),
    (row("Celu", Z, opset=12, alpha=0.0), "alpha is 0"),
    (row("Clip", Z, c([0, 1], "float32")), r"min has the shape \[2\]: it must be a scalar"),
    (
        row("BatchNormalization", X, *FOUR, opset=15, training_mode=1, outputs=3),
        "training_mode is 1: export the model for inference",
    ),
    (row("BatchNormalization", X, *FOUR, opset=7, spatial=0), "spatial is 0"),
    (
        row("GroupNormalization", X, c(floats(4)), c(floats(4)), opset=21, num_groups=3),
        "num_groups 3 does not divide its 4 channels",
    ),
    (
        row("GroupNormalization", X, c(floats(4)), c(floats(4)), opset=18, num_groups=2),
        r"not \[2\]",
    ),
    (row("LpNormalization", X, p=3), "p is 3: computed are norms of 1 and 2"),
    (row("LRN", X, size=2), "size is 2: give an odd number"),
    (row("Gemm", floats(3, 4), c(floats(4, 5)), c(floats(4))), "not broadcastable"),
    (row("MatMul", floats(3, 4), floats(5, 6)), "Incompatible dimensions"),
    (row("Add", floats(2, 4), floats(5)), "Incompatible dimensions"),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    check_refused(one, reason)
