"""Normalisations, products, reductions and blocks of torch.export programs against PyTorch."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_rows import Row, Table, floats, integers, row

from tvm_deconv.importer import load
from tvm_deconv.transform import rewrite_upsampling

X = floats(2, 3, 4, 5)
LONG = integers(2, 6, low=-7)
FREE = ("n", 4, "h", "w")

NORMALISATIONS = [
    row("nn.BatchNorm2d(3)", (2, 3, 4, 5)),
    row("nn.BatchNorm2d(3, affine=False)", (2, 3, 4, 5)),
    row("nn.BatchNorm2d(3, track_running_stats=False)", (2, 3, 4, 5)),
    row("nn.BatchNorm1d(3, eps=0.1)", (2, 3)),
    row("nn.BatchNorm3d(3)", (1, 3, 2, 3, 2)),
    row("nn.GroupNorm(2, 4)", (2, 4, 3, 5)),
    row("nn.GroupNorm(4, 4, affine=False)", (2, 4, 3)),
    row("nn.LayerNorm(5)", (2, 3, 5)),
    row("nn.LayerNorm((3, 5), eps=0.1, bias=False)", (2, 3, 5)),
    row("nn.InstanceNorm2d(3, affine=True)", (2, 3, 4, 5)),
    row("nn.InstanceNorm2d(3, track_running_stats=True)", (2, 3, 4, 5)),
    row("nn.InstanceNorm1d(3)", (2, 3, 5)),
    row("nn.RMSNorm(5)", (2, 3, 5)),
    row("nn.LocalResponseNorm(3)", (2, 6, 4, 5)),
    row("F.normalize(x, dim=1)", X),
    # Far from 0 a variance by the squares of sums has no digit left.
    row("nn.LayerNorm(4)", integers(2, 3, 4) + 16.0),
    row("nn.InstanceNorm2d(3)", integers(1, 3, 4, 4) + 16.0),
]

PRODUCTS = [
    row("nn.Linear(5, 4)", (2, 3, 5)),
    row("nn.Linear(5, 4, bias=False)", (5,)),
    row("x @ y", (3, 4), (4, 5)),
    row("x @ y", (2, 1, 3, 4), (5, 4, 2)),
    row("x @ y", (4,), (4, 5)),
    row("x @ y", (2, 3, 4), (4,)),
    row("x @ y", (4,), (4,)),
    row("torch.bmm(x, y)", (2, 3, 4), (2, 4, 5)),
    row("torch.addmm(x, y, z, beta=0.5, alpha=2)", (5,), (3, 4), (4, 5)),
    row("torch.baddbmm(x, y, z, alpha=0.1)", (2, 3, 5), (2, 3, 4), (2, 4, 5)),
    row("torch.outer(x, y)", (3,), (4,)),
    row("torch.einsum('bij,bkj->bik', x, y)", (2, 3, 4), (2, 5, 4)),
    row("torch.cdist(x, y)", (2, 3, 4), (2, 5, 4)),
    row("F.cosine_similarity(x, y)", (2, 3), (2, 3)),
    row("F.scaled_dot_product_attention(x, y, y)", (1, 2, 3, 4), (1, 2, 5, 4)),
    row("F.scaled_dot_product_attention(x, x, x, is_causal=True)", (1, 2, 3, 4)),
    row("nn.MultiheadAttention(4, 2, batch_first=True)", (2, 3, 4), (2, 5, 4), (2, 5, 4)),
    row("x @ y", integers(2, 3), integers(3, 4)),
]

REDUCTIONS = [
    *[
        row(f"torch.{name}(x, {arguments})", X)
        for name in ("sum", "mean", "amax", "amin", "logsumexp")
        for arguments in ("1", "(0, 2), keepdim=True", "-1")
    ],
    *[row(f"torch.{name}(x)", X) for name in ("sum", "mean", "max", "min", "prod", "std", "var")],
    row("torch.var(x, 1, correction=0)", X),
    row("torch.std(x, (2, 3), keepdim=True)", X),
    row("torch.var_mean(x, (2, 3), correction=0)", X),
    row("torch.prod(x, 1)", X),
    row("torch.max(x, 1)", X),
    row("torch.min(x, -1, keepdim=True)", X),
    row("torch.max(x, 1)", integers(3, 9, high=3)),
    row("torch.argmax(x, 1)", integers(3, 9, high=3)),
    row("torch.argmax(x)", X),
    row("torch.argmin(x, 2, keepdim=True)", X),
    row("torch.any(x > 1, 1)", X),
    row("torch.all(x < 1)", X),
    row("torch.any(x)", LONG),
    row("torch.sum(x)", LONG),
    row("torch.sum(x, 1)", LONG > 0),
    row("torch.mean(x, 1, dtype=torch.float32)", LONG),
    row("torch.norm(x)", X),
    row("torch.linalg.vector_norm(x, 1, 1)", X),
    row("torch.linalg.vector_norm(x, inf, (1, 2))", X),
    row("torch.linalg.vector_norm(x, 3, 1)", X),
    row("torch.cumsum(x, 1)", X),
    row("torch.cumprod(x, -1)", X),
    row("torch.cumsum(x, 0)", LONG),
    row("torch.softmax(x, 1)", X),
    row("torch.softmax(x * 1000, -1)", X),
    row("F.log_softmax(x, 2)", X),
    row("F.softmin(x, 0)", X),
    row("nn.Softmax2d()", (2, 3, 4, 5)),
    row("torch.count_nonzero(x, 1)", LONG),
]

OTHER_TYPES = [
    row(text, shape, dtype=dtype)
    for dtype in ("float16", "float64")
    for text, shape in [
        ("nn.BatchNorm2d(3)", (2, 3, 4, 5)),
        ("nn.LayerNorm(5)", (2, 3, 5)),
        ("nn.Linear(5, 4)", (2, 3, 5)),
        ("x @ x.mT", (2, 3, 5)),
        ("torch.softmax(x, -1)", (2, 3, 5)),
        ("torch.sum(x, 1)", (2, 30, 5)),
        ("torch.var(x, 1)", (2, 30, 5)),
    ]
]

FREE_SIZES = [
    row("nn.InstanceNorm2d(4)", FREE),
    row("nn.LayerNorm(5)", ("n", "h", 5)),
    row("nn.Linear(5, 4)", ("n", "h", 5)),
    row("torch.argmax(x, 2)", ("n", 3, "w")),
    row("F.scaled_dot_product_attention(x, x, x)", ("n", 2, "h", 4)),
]


class Residual(nn.Module):
    """Views and numbers that belong to no layer, and two heads."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.Conv2d(4, 8, 3, padding=1), nn.BatchNorm2d(8), nn.SiLU())
        self.second = nn.Conv2d(8, 4, 1)
        self.register_buffer("scale", torch.tensor(0.5))

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        y = x + self.scale * self.second(self.first(x))
        weights = torch.softmax(y.mean((2, 3)), 1)
        return {"map": y * weights[:, :, None, None], "weights": weights}


BLOCKS = [
    Row("a block of free size", Residual().eval().requires_grad_(False), (FREE,)),
    row("nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)", (2, 3, 8)),
    row("nn.Sequential(nn.Conv2d(4, 8, 3), nn.PReLU(8), nn.PixelShuffle(2))", (1, 4, 6, 7)),
]

ROWS = [*NORMALISATIONS, *PRODUCTS, *REDUCTIONS, *OTHER_TYPES, *FREE_SIZES, *BLOCKS]
TABLE = Table(ROWS)
# What run_decompositions makes of them.
DECOMPOSED = Table(
    [*NORMALISATIONS[:12], *PRODUCTS, *(r for r in BLOCKS if not r.is_free)], decomposed=True
)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("one", DECOMPOSED.rows, ids=str)
def test_a_decomposed_program_computes_the_same(one):
    DECOMPOSED.check(one)


class Spelled(nn.Module):
    """A shuffle between steps that change nothing."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 3, padding=1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        y = self.conv(x).clone()
        y = y.view(y.shape).permute(0, 1, 2, 3).expand(-1, 8, -1, -1).contiguous()
        y = F.pixel_shuffle(y, 2)
        return y.reshape(y.shape).unsqueeze(0).squeeze(0)


@pytest.mark.parametrize("free", [False, True])
@pytest.mark.parametrize("decomposed", [False, True])
def test_what_changes_nothing_hides_no_shuffle(free, decomposed):
    axes = dict.fromkeys((0, 2, 3), torch.export.Dim.AUTO) if free else None
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Spelled().eval(), (floats(2, 3, 6, 5),), dynamic_shapes=(axes,) if free else None
        )
        program = program.run_decompositions() if decomposed else program
    _, report = rewrite_upsampling(load(program))
    assert (len(report.rewritten), len(report.refused)) == (1, 0), str(report)
