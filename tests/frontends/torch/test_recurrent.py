"""LSTM, GRU and RNN of torch.export programs against PyTorch."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from quick_network import compiled
from torch import nn
from torch_rows import Row, Table, row

from tvm_deconv.importer import load

X, ROWS = (5, 2, 6), (2, 5, 6)


class WithStates(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(6, 4).eval().requires_grad_(False)

    def forward(self, x: torch.Tensor, state: torch.Tensor, cell: torch.Tensor):
        return self.lstm(x, (state, cell))


TABLE = Table(
    [
        row("nn.LSTM(6, 20)", X),
        row("nn.LSTM(6, 20, 2, bidirectional=True, batch_first=True)", ROWS),
        row("nn.LSTM(6, 4, bias=False, dropout=0.5, num_layers=2)", X),
        Row("LSTM of states", WithStates(), (X, (1, 2, 4), (1, 2, 4))),
        row("nn.LSTM(6, 4)", (5, 6)),
        row("nn.LSTM(6, 4)", (5, "n", 6)),
        row("nn.LSTM(6, 4)", X, dtype="float64"),
        row("nn.GRU(6, 17, 2, bidirectional=True)", X),
        row("nn.GRU(6, 4, bias=False, batch_first=True)", ROWS),
        row("nn.GRU(6, 4)", X, (1, 2, 4)),
        # States of a layer are parts of those given: at free sizes, or many, no copies of them.
        row("nn.GRU(6, 4, 2)", (5, "n", 6), (2, "n", 4)),
        row("nn.RNN(6, 64, 2, bidirectional=True)", (2, 64, 6), (4, 64, 64)),
        row("nn.RNN(6, 33, bidirectional=True)", X),
        row("nn.RNN(6, 4, 2, nonlinearity='relu', batch_first=True)", ROWS),
    ]
)


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_it_is_what_eager_pytorch_computes(one: Row):
    TABLE.check(one)


@pytest.mark.filterwarnings("ignore")
def test_steps_are_not_written_out():
    """As PyTorch's decomposition does: 64 steps would be a thousand operators."""
    program = torch.export.export(nn.LSTM(6, 4).eval(), (torch.zeros(64, 1, 6),))
    text = load(program).script()
    assert text.count("R.call_tir") == 1
    assert text.count("R.matmul") == 1


@pytest.mark.filterwarnings("ignore")
def test_a_projected_state_is_left_to_the_decomposition():
    module = nn.LSTM(6, 8, proj_size=3).eval().requires_grad_(False)
    x = torch.randn(5, 2, 6)
    function = compiled(torch.export.export(module, (x,)))
    got = function(tvm.runtime.tensor(x.numpy()))
    expected, (state, cell) = module(x)
    for ours, theirs in zip(got, (expected, state, cell), strict=True):
        np.testing.assert_allclose(ours.numpy(), theirs.numpy(), atol=2e-6)
