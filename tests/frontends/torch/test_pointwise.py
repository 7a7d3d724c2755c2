"""Arithmetic, activations, comparisons and casts of torch.export programs against eager PyTorch."""

from __future__ import annotations

import pytest
import torch
import tvm
from quick_network import compiled
from rows_compare import compare
from torch import nn
from torch.nn import functional as F
from torch_rows import TOLERANCE, Table, floats, integers, row, t

X = floats(3, 4, 5)
SPECIAL = t(float("nan"), float("inf"), -float("inf"), -0.0, 0.0, 1.5, -2.5, 0.5, -0.5, 1e30)
LONG, SHORT, BYTE = (integers(2, 6, low=-7, dtype=d) for d in ("int64", "int32", "int8"))
UNSIGNED = integers(2, 6, dtype="uint8")
BOOL = integers(2, 6) > 4
NONZERO = integers(2, 6, low=1, high=4)

ARITHMETIC = [
    *[row(text, (3, 4, 5), (4, 1)) for text in ("x + y", "x - y", "x * y", "x / y", "2 - x + y")],
    row("torch.add(x, y, alpha=2.5)", (3, 4), (4,)),
    row("torch.sub(x, y, alpha=3)", (3, 4), (4,)),
    row("torch.rsub(x, y, alpha=2)", (3, 4), (4,)),
    # Promotion: a tensor with axes decides over one without, a float over an integer.
    row("x + y", LONG, (2, 6)),
    row("x * 2.5", LONG),
    row("x + y", SHORT, LONG),
    row("x + y", BYTE, UNSIGNED),
    row("x * y", (2, 3), torch.tensor(3, dtype=torch.int64)),
    row("x + y", floats(2, 3, dtype="float16"), torch.tensor(0.1, dtype=torch.float64)),
    row("x + y", floats(2, 3), floats(2, 3, dtype="float64")),
    row("x + 1", BOOL),
    row("x * y", BOOL, SHORT),
    row("x / y", LONG, NONZERO),
    *[
        row(f"torch.div(x, y, rounding_mode={mode!r})", *operands)
        for mode in ("floor", "trunc")
        for operands in [(LONG, NONZERO), (X, t(0.1, 0.7, -3.0, 2.0, -0.5))]
    ],
    row("x // y", LONG, NONZERO),
    row("x % y", LONG, NONZERO),
    row("x % -3", LONG),
    row("x % y", floats(2, 3), t(0.7, -0.3, 2.0)),
    row("torch.fmod(x, y)", floats(2, 3) * 5, t(0.7, -0.3, 2.0)),
    row("torch.fmod(x, 3)", LONG),
    row("x ** 2", (2, 3)),
    row("x ** 3", LONG),
    row("x.abs() ** y", (2, 3), (3,)),
    row("2 ** x", (2, 3)),
    row("torch.atan2(x, y)", (4, 5), (4, 5)),
    row("torch.maximum(x, y)", (4, 5), (5,)),
    row("torch.minimum(x, y)", LONG, SHORT),
    row("torch.clamp(x, -0.5, 0.7)", X),
    row("torch.clamp(x, min=0.1)", X),
    row("torch.clamp(x, max=2)", LONG),
    row("torch.clamp(x, min=-1.5)", LONG),
    row("torch.clamp(x, y, y + 1)", (3, 4), (4,)),
    row("torch.clamp(x, max=y)", (3, 4), (4,)),
    row("torch.clamp(x, 1, -1)", X),
    row("torch.lerp(x, y, 0.3)", (3, 4), (3, 4)),
    row("torch.addcmul(x, y, z, value=0.5)", (3, 4), (3, 4), (4,)),
    row("torch.addcdiv(x, y, z, value=0.5)", (3, 4), (3, 4), t(0.5, 2.0, -3.0, 1.0)),
    row("x & y", LONG, SHORT),
    row("x | 5", LONG),
    row("x ^ y", BOOL, ~BOOL),
    row("~x", SHORT),
    row("~x", BOOL),
    row("x << 2", SHORT),
    row("x >> 1", LONG),
]

CHOICES = [
    *[
        row(f"torch.{name}(x, y)", X, X.flip(0).clone())
        for name in ("eq", "ne", "lt", "le", "gt", "ge")
    ],
    row("x > 2.5", LONG),
    row("x == 300", BYTE),
    row("torch.where(x > 0, x, y)", (3, 4), (4,)),
    row("torch.where(x, y, 0.5)", BOOL, (2, 6)),
    row("torch.where(x > 0, y, z)", (3, 4), integers(3, 4), floats(4)),
    row("x.masked_fill(y, -inf)", (2, 6), BOOL),
    row("x.masked_fill(y, 3)", LONG, BOOL),
    row("torch.logical_and(x, y)", LONG, BOOL),
    row("torch.logical_or(x, y)", X, X - 1),
    row("torch.logical_xor(x, y)", LONG, BOOL),
    row("torch.isnan(x)", LONG),
    row("x.bool()", t(256, 0, 1)),
    row("x.int()", X * 3),
    row("x.long().float()", X * 3),
    row("x.half().float()", X),
    row("x.double()", X),
    row("x.to(torch.uint8)", NONZERO),
    row("x.float()", BOOL),
    row("x.type_as(y)", LONG, (1,)),
]

FUNCTIONS = [
    *[
        row(f"torch.{name}(x)", X)
        for name in [
            *["abs", "neg", "sign", "ceil", "floor", "trunc", "round", "frac", "square", "exp"],
            *["expm1", "exp2", "sin", "cos", "tan", "atan", "sinh", "cosh", "tanh", "asinh", "erf"],
            *["erfc", "sigmoid", "relu", "reciprocal"],
        ]
    ],
    *[row(f"torch.{name}(x)", X.tanh() * 0.9) for name in ("asin", "acos", "atanh", "logit")],
    *[
        row(f"torch.{name}(x)", X.abs() + 1e-3)
        for name in ("log", "log2", "log10", "log1p", "sqrt", "rsqrt")
    ],
    row("torch.acosh(x)", X.abs() + 1),
    row("torch.expm1(x)", X * 1e-5),
    row("torch.log1p(x)", X * 1e-5),
    row("torch.sinh(x)", X * 1e-4),
    row("torch.round(x, decimals=1)", X * 3),
    row("torch.round(x)", t(0.5, 1.5, 2.5, -0.5, -1.5)),
    *[row(f"torch.{name}(x)", LONG) for name in ("abs", "neg", "sign", "exp", "sqrt", "ceil")],
    *[row(f"torch.{name}(x)", UNSIGNED) for name in ("neg", "sign", "relu")],
    row("torch.sigmoid(x)", BOOL),
]

ACTIVATIONS = [
    *[
        row(f"nn.{text}", (2, 3, 5))
        for text in [
            "ReLU()",
            "ReLU6()",
            "LeakyReLU()",
            "LeakyReLU(-0.3)",
            "PReLU()",
            "PReLU(3)",
            "RReLU()",
            "ELU(0.7)",
            "CELU(0.4)",
            "SELU()",
            "GELU()",
            "GELU('tanh')",
            "SiLU()",
            "Mish()",
            "Softplus()",
            "Softplus(3, 2)",
            "Softsign()",
            "Softshrink(0.3)",
            "Hardshrink(0.3)",
            "Tanhshrink()",
            "LogSigmoid()",
            "Hardtanh(-0.3, 0.8)",
            "Hardsigmoid()",
            "Hardswish()",
            "Threshold(0.1, 2)",
            "Dropout(0.5)",
            "Identity()",
        ]
    ],
    row("nn.GLU(1)", (2, 4, 5)),
    row("nn.PReLU()", (5,)),
    row("nn.Hardswish()", t(-9.0, -3.0, 0.0, 3.0, 50.0)),
    row("nn.Softplus()", t(-90.0, -3.0, 0.0, 19.9, 20.1, 200.0)),
    row("nn.ELU()", t(-200.0, -1e-6, 0.0, 1e-6, 200.0)),
    row("nn.LogSigmoid()", t(-90.0, -3.0, 0.0, 3.0, 90.0)),
    row("F.relu(x + 1, inplace=True)", (2, 3)),
    row("F.hardtanh(x, -2, 3)", LONG),
]

OTHER_TYPES = [
    row(text, (2, 3, 5), dtype=dtype)
    for dtype in ("float16", "float64")
    for text in [
        "x * 1.1 + 0.3",
        "x / 3",
        "torch.exp(x)",
        "torch.tanh(x)",
        "x.abs() ** 0.5",
        "F.gelu(x)",
        "F.gelu(x, approximate='tanh')",
        "F.silu(x)",
        "F.mish(x)",
        "F.selu(x)",
        "F.celu(x, 0.4)",
        "F.elu(x)",
        "F.hardswish(x)",
        "F.leaky_relu(x, 0.1)",
        "F.softplus(x)",
        "torch.clamp(x, -0.3, 0.7)",
        "nn.PReLU(3)",
        "x.sigmoid() > 0.4",
        "torch.where(x > 0, x, 0.1)",
    ]
]

FREE = [
    row("x * 2 + y", ("n", 3, "h", "w"), (3, 1, 1)),
    row("x + y", ("n", 3, "h", "w"), ("n", 1, "h", 1)),
    row("x * x.shape[2]", (1, 3, "h", "w")),
    row("x + x.shape[2] / x.shape[3]", (1, 3, "h", "w")),
    row("nn.PReLU()", ("n", 3, "h", "w")),
    row("nn.PReLU(3)", ("n", 3, "h", "w")),
    row("F.selu(F.mish(x))", ("n", 3, "h")),
    row("torch.where(x > 0, x, y)", ("n", 3, "h"), ("h",)),
]

# Infinities and what is no number: our pipeline keeps them where TVM's does not.
SPECIAL_VALUES = [
    *[
        row(f"torch.{name}(x)", SPECIAL)
        for name in [
            *["relu", "sign", "abs", "tanh", "sigmoid", "logical_not", "isnan", "isinf"],
            *["isfinite", "nan_to_num"],
        ]
    ],
    row("torch.clamp(x, -1, 1)", SPECIAL),
    row("torch.maximum(x, y)", SPECIAL, SPECIAL.flip(0).clone()),
    row("F.leaky_relu(x, 0.1)", SPECIAL),
    row("F.hardtanh(x)", SPECIAL),
    row("F.relu6(x)", SPECIAL),
    row("x.bool()", SPECIAL),
    row("x != 0", SPECIAL),
]

ROWS = [*ARITHMETIC, *CHOICES, *FUNCTIONS, *ACTIVATIONS, *OTHER_TYPES, *FREE]
TABLE = Table(ROWS)
SCHEDULED = Table(SPECIAL_VALUES, scheduled=True)
# What run_decompositions makes of them.
DECOMPOSED = Table(ACTIVATIONS, decomposed=True)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("one", SPECIAL_VALUES, ids=str)
def test_what_is_no_finite_number_is_treated_as_by_eager_pytorch(one):
    SCHEDULED.check(one)


@pytest.mark.parametrize("one", DECOMPOSED.rows, ids=str)
def test_a_decomposed_program_computes_the_same(one):
    DECOMPOSED.check(one)


class Weighted(nn.Module):
    """As wide as its weights: of a free width that must be such that the half of it is 3."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return F.avg_pool2d(x, 2, 2, 1, ceil_mode=True) * torch.tensor([1.0, 2.0, 3.0])


@pytest.mark.filterwarnings("ignore::FutureWarning")  # PyTorch's own, inside torch.export
def test_a_free_size_beside_a_fixed_one_is_compared_when_it_runs():
    auto = torch.export.Dim.AUTO
    x = floats(1, 3, 8, 5)
    program = torch.export.export(Weighted(), (x,), dynamic_shapes=({2: auto, 3: auto},))
    main = compiled(program)
    compare(main(tvm.runtime.tensor(x.numpy())).numpy(), Weighted()(x).numpy(), TOLERANCE)
    with pytest.raises(RuntimeError, match="match_cast error"):
        main(tvm.runtime.tensor(floats(1, 3, 8, 12).numpy()))


class Doubled(nn.Module):
    """A map and one of half its size, enlarged: of one size wherever that was even."""

    def __init__(self, join) -> None:
        super().__init__()
        self.join = join

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        a = F.max_pool2d(x, 2)
        b = F.max_pool2d(a, 3, 2, 1)
        return self.join(F.interpolate(b, scale_factor=2.0), a)


@pytest.mark.filterwarnings("ignore::FutureWarning")
@pytest.mark.parametrize("join", [torch.sub, lambda a, b: torch.cat((b, a, b), 1)])
def test_maps_of_one_size_where_a_multiple_comes_in_are_compared_when_it_runs(join):
    free = torch.export.Dim.DYNAMIC
    x = floats(2, 3, 8, 12)
    program = torch.export.export(
        Doubled(join), (x,), dynamic_shapes=({0: free, 2: free, 3: free},)
    )
    main = compiled(program)
    for value in (x, floats(3, 3, 12, 8)):
        got = main(tvm.runtime.tensor(value.numpy())).numpy()
        compare(got, Doubled(join)(value).numpy(), TOLERANCE)
    with pytest.raises(RuntimeError, match="match_cast error"):
        main(tvm.runtime.tensor(floats(2, 3, 10, 12).numpy()))
