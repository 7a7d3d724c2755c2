"""Operators of torch.export programs that move elements: shapes, parts, joins, indices, orders."""

from __future__ import annotations

import pytest
import torch
from torch_rows import Table, floats, integers, row, t

X = floats(2, 3, 4, 5)
FREE = ("n", 3, "h", "w")
# Different values throughout: where two are equal PyTorch promises no order.
DISTINCT = torch.randperm(60, generator=torch.Generator().manual_seed(0)).reshape(3, 4, 5).float()
TIES = integers(3, 8, high=4)

SHAPES = [
    row("x.view(6, -1)", X),
    row("x.view(2, 3, 4, 5) + 1", X),
    row("x.reshape(4, 5, 6)", X),
    row("x.transpose(1, 3).reshape(2, 60)", X),
    row("x.flatten(1)", X),
    row("x.flatten()", floats(4)),
    row("x.reshape(1)", torch.tensor(3.0)),
    row("x.unflatten(1, (3, -1))", (2, 6)),
    row("x.squeeze()", (1, 3, 1, 2)),
    row("x.squeeze(0).squeeze(0)", (1, 3, 2)),
    row("x.squeeze((0, 2))", (1, 3, 1)),
    row("x.unsqueeze(-1).unsqueeze(0)", (2, 3)),
    row("x.permute(0, 2, 3, 1)", X),
    row("x.permute(-1, 0, 2, 1)", X),
    row("x.transpose(-1, 1)", X),
    row("x.t()", (2, 3)),
    row("x.mT + x.movedim(0, 1).movedim(0, 1).mT", X),
    row("torch.swapaxes(x, 0, 1)", X),
    row("x.expand(2, 3, 4)", (3, 1)),
    row("x.expand(-1, 5)", (3, 1)),
    row("x.expand_as(y)", (3, 1), (2, 3, 4)),
    row("torch.broadcast_to(x, (2, 3))", (3,)),
    row("x.repeat(2, 1, 3)", (2, 3)),
    row("x.repeat_interleave(3, 1)", (2, 3)),
    row("torch.tile(x, (2, 2))", (2, 3)),
    row("x.contiguous().clone().detach()", X),
    row("x.as_strided((2, 2), (3, 1), 1)", (3, 3)),
]

PARTS = [
    row("torch.cat(x.split(2, 1)[::-1], 1)", (2, 5)),
    row("x.split((1, 4), 1)[1]", (2, 5)),
    row("torch.cat(x.chunk(3, -1)[::-1], -1)", (2, 7)),
    row("x.tensor_split(3, 1)[0]", (2, 7)),
    row("x.unbind(1)[1]", (2, 3, 2)),
    row("x[:, 1:3]", X),
    row("x[:, :, ::2, 1::3]", X),
    row("x[..., -3:-1]", X),
    row("x[:, 5:]", X),
    row("x[1:1]", X),
    row("x[:, -1]", X),
    row("x[None, :, 0, ..., 1:]", X),
    row("x.select(2, -2)", X),
    row("x.narrow(1, 1, 2)", X),
    row("x.diagonal()", (4, 6)),
    row("x.diagonal(-1, 1, 2)", (2, 4, 3)),
    row("torch.tril(x)", (4, 6)),
    row("torch.triu(x, 1)", (2, 4, 4)),
    row("torch.slice_scatter(x, y, 1, 1, 5, 2)", (2, 6), (2, 2)),
    row("torch.select_scatter(x, y, 0, -1)", (2, 6), (6,)),
]

JOINS = [
    row("torch.cat((x, y), 1)", (2, 3), (2, 1)),
    row("torch.cat((x, y), -1)", integers(2, 3), (2, 1)),
    row("torch.cat((x, x.to(torch.uint8)))", integers(3)),
    row("torch.cat((x, y[:0]))", (3,), (2,)),
    row("torch.stack((x, y), 1)", (2, 3), (2, 3)),
    row("torch.stack((x, y), -1)", (2, 3), (2, 3)),
    row("torch.hstack((x, y))", (2, 3), (2, 1)),
    row("torch.vstack((x, y))", (3,), (3,)),
    row("torch.flip(x, (1, -1))", X),
    row("torch.roll(x, 2, 1)", X),
    row("torch.roll(x, (-1, 7), (2, 3))", X),
    row("torch.roll(x, 3)", (2, 4)),
    row("torch.rot90(x, 1, (2, 3))", X),
    row("torch.meshgrid(x, y, indexing='ij')[1]", (3,), (4,)),
    row("torch.zeros_like(x) + torch.ones(3)", (2, 3)),
    row("torch.full_like(x, 2.5)", (2, 3)),
    row("x + torch.arange(1, 7, 2)", (2, 3)),
    row("x + torch.linspace(0, 1, 3)", (2, 3)),
    row("x + torch.eye(3)", (3, 3)),
]

INDICES = [
    row("x[y]", X, t(1, 0, -1)),
    row("x[:, y]", X, t(2, -3, 0)),
    row("x[:, :, y, z]", X, t(0, 3), t(4, -1)),
    row("x[y, :, z]", X, t(0, 1), t(3, 1)),
    row("x[y[:, None], z]", X, t(0, 1), t(2, 1, 0)),
    row("torch.index_select(x, 2, y)", X, t(3, 0, 0)),
    row("torch.gather(x, 1, y)", (3, 4), integers(3, 6, high=4)),
    row("torch.take_along_dim(x, y, 0)", (3, 4), integers(2, 4, high=3)),
    row("F.embedding(y, x)", (5, 3), integers(2, 4, high=5)),
    row("nn.Embedding(5, 3, padding_idx=1)", integers(2, 4, high=5)),
    row("F.one_hot(x, 5)", integers(2, 3, high=5)),
    row("torch.scatter(x, 1, y, z)", (2, 5), t(0, 3).reshape(2, 1), (2, 1)),
    row("torch.scatter(x, 1, y, 7.0)", (2, 5), t(0, 3).reshape(2, 1)),
    row("torch.scatter_add(x, 0, y, z)", (4, 2), integers(6, 2, high=4), (6, 2)),
    row("torch.scatter_reduce(x, 0, y, z, 'amax')", (4, 2), integers(6, 2, high=4), (6, 2)),
    row("torch.index_put(x, (y,), z)", (4, 3), t(2, 0), (2, 3)),
    row("torch.index_put(x, (y,), z, accumulate=True)", (4, 3), t(2, 2, 0), (3, 3)),
    row("torch.index_add(x, 0, y, z)", (4, 3), t(2, 2), (2, 3)),
]

ORDERS = [
    row("torch.sort(x, -1)", DISTINCT),
    row("torch.sort(x, 1, descending=True)", DISTINCT),
    row("torch.sort(x, stable=True)", TIES),
    row("torch.sort(x, stable=True, descending=True)", TIES),
    row("torch.argsort(x, 0)", DISTINCT),
    row("torch.topk(x, 2)", DISTINCT),
    row("torch.topk(x, 3, 1, largest=False)", DISTINCT),
    row("torch.kthvalue(x, 2)", DISTINCT),
    row("torch.median(x, 1)", DISTINCT),
    row("torch.median(x)", DISTINCT),
    row("torch.bucketize(x, y)", DISTINCT, t(3.0, 10.0, 30.0)),
    row("torch.bucketize(x, y, right=True)", DISTINCT, t(3.0, 10.0, 30.0)),
]

OTHER_TYPES = [
    row(text, operand)
    for operand in (floats(2, 4, 6, dtype="float16"), integers(2, 4, 6), integers(2, 4, 6) > 4)
    for text in ["x.transpose(1, 2).reshape(2, 24)[:, ::5]", "torch.cat((x, x.flip(0)), 1)"]
]

FREE_SIZES = [
    row("x.flatten(2)", FREE),
    row("x.view(x.shape[0], -1)", FREE),
    row("x.permute(0, 2, 3, 1)", FREE),
    row("x.unsqueeze(1).squeeze(1)", FREE),
    row("x.expand(-1, 4, -1, -1)", ("n", 1, "h", "w")),
    row("x.repeat(1, 2, 1, 2)", FREE),
    row("torch.cat((x, y), 1)", FREE, FREE),
    row("torch.stack((x, y), 2)", ("n", "h"), ("n", "h")),
    row("x[:, :, 1:, :-2]", FREE),
    row("x[:, :, ::2, 1::2]", FREE),
    row("x[:, 1, -1]", FREE),
    row("x[:, :, : x.shape[2] // 2]", FREE),
    row("torch.cat(x.chunk(2, 1)[::-1], 1)", ("n", 4, "w")),
    row("torch.flip(x, (2,))", FREE),
    row("torch.roll(x, (1, -2), (2, 3))", FREE),
    row("x + torch.arange(x.shape[3])", FREE),
    row("x + torch.zeros(x.shape[2], 1)", FREE),
    row("torch.tril(x)", (2, "h", "w")),
    row("x[:, [2, 0, -1]]", FREE),
    # Sizes that are formulas of formulas.
    row("x[:, :, : math.floor(math.floor(x.shape[2] * 0.7) * 0.9)]", FREE),
    row("x[:, :, : math.ceil(math.ceil(x.shape[2] * 0.7) * 0.9)] + 1", FREE),
    row("x[:, :, : round(x.shape[2] * 0.7)]", FREE),
    row("F.interpolate(F.interpolate(x, scale_factor=1.3), scale_factor=0.7)", FREE),
]

ROWS = [*SHAPES, *PARTS, *JOINS, *INDICES, *ORDERS, *OTHER_TYPES, *FREE_SIZES]
TABLE = Table(ROWS)
# What run_decompositions makes of them.
DECOMPOSED = Table([*SHAPES[:12], *PARTS, *INDICES], decomposed=True)


@pytest.mark.parametrize("one", ROWS, ids=str)
def test_it_is_what_eager_pytorch_computes(one):
    TABLE.check(one)


@pytest.mark.parametrize("one", DECOMPOSED.rows, ids=str)
def test_a_decomposed_program_computes_the_same(one):
    DECOMPOSED.check(one)
