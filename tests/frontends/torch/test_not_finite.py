"""NaN and infinities in maxima, orders, bounds and comparisons: as eager PyTorch treats them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch_rows import Table, row, t

NAN = float("nan")


def strange(*shape: int, often: float = 0.15, dtype: str = "float32") -> torch.Tensor:
    """Few different numbers, so that some are equal, with NaN of both signs, infinities and zeros
    of both signs among them; the first row is -inf, the last inf."""
    rng = np.random.default_rng(len(shape))
    x = rng.integers(-3, 4, shape).astype(dtype)
    for value in (NAN, -NAN, np.inf, -np.inf, -0.0):
        x[rng.random(shape) < often / 4] = value
    x[0], x[-1] = -np.inf, np.inf
    return torch.from_numpy(x)


LINES = strange(5, 4, 33)
MAP = strange(3, 2, 9, 11)
VOLUME = strange(3, 2, 5, 6, 7)
A, B = strange(7, 12, often=0.5), strange(7, 12, often=0.5).flip(1).contiguous()
BOUND = t(0.5, NAN, -1.0, 2.0, float("inf"), -float("inf"), NAN, 0.0, 1.0, -2.0, 3.0, 1.5)

REDUCTIONS = [
    *[row(f"torch.{name}(x, {dim})", LINES) for name in ("amax", "amin") for dim in (0, 1, 2)],
    row("torch.amax(x, (1, 2))", LINES),
    row("torch.amax(x, (0, 2), keepdim=True)", LINES),
    *[row(f"torch.{name}(x)", LINES[1:3]) for name in ("max", "min", "amax", "argmax", "argmin")],
    *[row(f"torch.{name}(x, {d})", LINES) for name in ("max", "min") for d in (0, 1, 2)],
    *[row(f"torch.{name}(x, {d}, True)", LINES) for name in ("argmax", "argmin") for d in (0, 2)],
    row("torch.aminmax(x, dim=2)", LINES),
    row("torch.linalg.vector_norm(x, inf, 2)", LINES),
    row("torch.linalg.vector_norm(x, -inf, 2)", LINES),
    row("torch.any(x, 2)", LINES),
    row("torch.all(x, 2)", LINES),
    row("torch.logsumexp(x, 2)", LINES),
    row("torch.softmax(x, 2)", LINES),
    row("torch.amax(x, 2)", LINES.double()),
    row("torch.amax(x, 2)", LINES.half()),
    row("torch.max(x, 2)", LINES.half()),
]

POOLS = [
    *[
        row(f"F.max_pool2d(x, {arguments})", MAP)
        for arguments in [
            "2",
            "3, 1, 1",
            "3, 2, 1",
            "3, 2, 1, ceil_mode=True",
            "2, 3, ceil_mode=True",
            "(1, 3), 1, (0, 1)",
            "2, 1, dilation=2",
            "3, 2, 1, return_indices=True",
        ]
    ],
    row("F.max_pool1d(x, 3, 2, 1)", LINES),
    row("F.max_pool1d(x, 5, 1)", LINES),
    row("F.max_pool3d(x, 2)", VOLUME),
    row("F.max_pool3d(x, 3, 2, 1, ceil_mode=True)", VOLUME),
    row("F.max_pool2d(x, 3, 2, 1)", MAP.half()),
    row("F.max_pool2d(x, 3, 2, 1)", MAP.double()),
    *[row(f"F.adaptive_max_pool2d(x, {size})", MAP) for size in (1, 3, (4, 5))],
    row("F.adaptive_max_pool1d(x, 4)", LINES),
    row("F.adaptive_max_pool3d(x, 2)", VOLUME),
    row("-F.max_pool2d(-x, 3, 1, 1)", MAP),
]

CHOICES = [
    *[row(f"torch.{name}(x, y)", A, B) for name in ("maximum", "minimum", "fmax", "fmin")],
    row("torch.maximum(x, y)", A, BOUND),
    row("torch.maximum(x, torch.tensor([nan]))", A),
    row("torch.minimum(torch.tensor([1.0, nan] * 6), x)", A),
    row("torch.clamp(x, -1, 1)", A),
    row("torch.clamp(x, min=nan)", A),
    row("torch.clamp(x, -1, nan)", A),
    row("torch.clamp(x, min=-inf)", A),
    row("torch.clamp(x, y, y + 1)", A, B),
    row("torch.clamp(x, max=y)", A, BOUND),
    row("torch.clamp(x, -1, 1)", A.half()),
    *[
        row(f"F.{name}(x)", A)
        for name in [
            *["relu", "relu6", "hardtanh", "hardsigmoid", "hardswish", "leaky_relu", "elu", "selu"],
            *["celu", "silu", "mish", "softplus", "hardshrink", "softshrink", "tanhshrink"],
            *["logsigmoid", "softsign"],
        ]
    ],
    row("F.threshold(x, 0.5, 2)", A),
    row("nn.PReLU()", A),
    row("nn.PReLU(12)", A),
    row("torch.relu(x) + torch.maximum(x, y)", A, B),
    row("torch.relu(torch.amax(x, 2))", LINES),
    row("torch.nan_to_num(x, 1, 2, 3)", A),
    row("torch.heaviside(x, y)", A, B),
    row("torch.sign(x)", A),
    row("x * 0", A),
    row("0 / x", A),
]

COMPARISONS = [
    *[row(f"x {operator} y", A, B) for operator in ("<", "<=", ">", ">=", "==", "!=")],
    *[row(f"~(x {operator} y)", A, B) for operator in ("<", "<=", ">", ">=", "==", "!=")],
    row("torch.logical_not(x)", A),
    row("torch.logical_not(x > 0)", A),
    row("torch.logical_xor(x > 0, y > 0)", A, B),
    row("torch.logical_or(~(x > 0), ~(y > 0))", A, B),
    row("torch.where(~(x > y), x, y)", A, B),
    row("torch.where(x > y, x, y)", A, B),
    row("torch.isclose(x, y)", A, B),
    row("x.masked_fill(~(x >= 0), 5)", A),
    *[row(f"~(x {operator} x)", A) for operator in ("<=", ">=", "==", "!=")],
    row("torch.where(x != x, 0.5, x)", A),
    row("torch.isposinf(x)", A),
    row("torch.isneginf(x)", A),
    row("(x > 0).float() - (x <= 0).float()", A),
]

ORDERS = [
    row("torch.sort(x, dim=2, stable=True)", LINES),
    row("torch.sort(x, dim=2, descending=True, stable=True)", LINES),
    row("torch.sort(x, dim=0, stable=True)", LINES.double()),
    row("torch.sort(x, dim=1, stable=True)[0]", LINES.half()),
    row("torch.topk(x, 5)[0]", LINES),
    row("torch.topk(x, 5, largest=False)[0]", LINES),
    row("torch.kthvalue(x, 3, 2)[0]", LINES),
    row("torch.median(x, 2)[0]", LINES),
    row("torch.median(x)", LINES[1:3]),
    row("torch.bucketize(x, y)", A, t(-1.0, 0.0, 2.0)),
    row("torch.bucketize(x, y, right=True)", A, t(-1.0, 0.0, 2.0)),
    row(
        "torch.scatter_reduce(x, 1, y, z, 'amax')",
        A,
        torch.arange(84).reshape(7, 12) % 3,
        B,
    ),
    row(
        "torch.scatter_reduce(x, 1, y, z, 'amin')",
        A,
        torch.arange(84).reshape(7, 12) % 3,
        B,
    ),
]


ROWS = [*REDUCTIONS, *POOLS, *CHOICES, *COMPARISONS, *ORDERS]
TABLE = Table(ROWS, scheduled=True)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)
