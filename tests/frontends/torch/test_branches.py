"""``torch.cond``: the branch that buffers and constants choose, and what is refused."""

from __future__ import annotations

import warnings

import numpy as np
import pytest
import quick_network
import torch
import tvm
from torch import nn

import tvm_deconv
from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load


class Either(nn.Module):
    """A sub-pixel convolution in one branch, and a resize in the other, by a buffer's value."""

    def __init__(self, fast):
        super().__init__()
        self.conv = nn.Conv2d(3, 12, 3, padding=1)
        self.register_buffer("level", torch.tensor(0.25 if fast else 0.75))

    def forward(self, x):
        return torch.cond(self.level < 0.5, self.shuffled, self.resized, (x,))

    def shuffled(self, x):
        return torch.pixel_shuffle(self.conv(x), 2) + 1

    def resized(self, x):
        return nn.functional.interpolate(nn.functional.hardswish(x), scale_factor=2)


class Nested(Either):
    def forward(self, x):
        def outer(x):
            return torch.cond(self.level > 0.9, self.resized, self.shuffled, (x,)) * 2

        return torch.cond(torch.tensor([1, 2]).sum() == 3, outer, self.resized, (x,)) + 1


class Mutating(Either):
    """A branch that works in place, and of operators that are decomposed."""

    def resized(self, x):
        y = torch.nn.functional.logsigmoid(x.clone().mul_(2))
        return y.repeat_interleave(2, dim=2).repeat_interleave(2, dim=3)


def exported(module, x, free=False):
    height = {2: torch.export.Dim("h", min=2, max=64)}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shapes = (height,) if free else None
        return torch.export.export(module, (x,), dynamic_shapes=shapes)


@pytest.mark.parametrize("make", [Either, Nested, Mutating])
@pytest.mark.parametrize("fast", [True, False])
@pytest.mark.parametrize("free", [True, False])
def test_the_branch_that_a_buffer_chooses_is_computed(make, fast, free):
    torch.manual_seed(0)
    module, x = make(fast).eval(), torch.randn(1, 3, 5, 6)
    program = exported(module, x, free)
    graph = str(program.graph)
    main = quick_network.compiled(program)
    expected = module(x).detach().numpy()
    found = main(tvm.runtime.tensor(x.numpy())).numpy()
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6 * np.abs(expected).max())
    assert str(program.graph) == graph, "the caller's program has changed"


def test_a_layer_in_a_branch_is_rewritten():
    module = Either(True).eval()
    report = tvm_deconv.explain(exported(module, torch.zeros(1, 3, 5, 6)), log=None)
    assert len(report.rewritten) == 1, report


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (
            lambda x: torch.cond(x.sum() > 0, lambda x: x + 1, lambda x: x * 2, (x,)),
            r"operator cond \(cond, .*\): which branch is taken is only known when it runs",
        ),
        (
            lambda x: torch._higher_order_ops.while_loop(
                lambda i, x: i < 3, lambda i, x: (i + 1, x * 2), (torch.tensor(0), x)
            )[1],
            r"operator while_loop \(while_loop, .*\): .*use a loop of Python",
        ),
    ],
    ids=["cond", "while_loop"],
)
def test_what_depends_on_data_is_one_line_that_names_it(function, words):
    class Wrapped(nn.Module):
        def forward(self, x):
            return function(x)

    with pytest.raises(ModelError, match=words) as caught:
        load(exported(Wrapped(), torch.ones(2, 3)))
    assert "\n" not in str(caught.value)
