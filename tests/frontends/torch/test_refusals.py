"""Programs of PyTorch that are refused: the error names the operator and says what to do."""

from __future__ import annotations

import warnings

import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch_rows import floats, integers

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load


class Changed(nn.Module):
    """Counts its calls in a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("calls", torch.zeros(1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        self.calls += 1
        return x * self.calls


IMAGE, LONG = floats(1, 4, 6, 6), integers(4, 3, high=4)

# What is run, its inputs, words of the error.
REFUSED = [
    (nn.Dropout(), (IMAGE,), "operator aten.dropout.default .*after .eval()"),
    (nn.RReLU(), (IMAGE,), "training draws random slopes: export the module after .eval()"),
    (nn.BatchNorm2d(4), (IMAGE,), "changes its buffer .*export the module after .eval()"),
    (Changed(), (IMAGE,), "changes its buffer 'calls' whenever it runs"),
    (lambda x: x.add_(1), (IMAGE,), "changes its input .* in place: let it work on a copy"),
    (torch.rand_like, (IMAGE,), "operator aten.rand_like.default .*it draws random numbers"),
    (lambda x: torch.fft.fft(x).real, (IMAGE,), "aten._fft_r2c.default .*there is no converter"),
    (lambda x: x.to(torch.bfloat16), (IMAGE,), "dtype bfloat16 is not supported, only bool"),
    (lambda x: x.abs(), (IMAGE.to(torch.complex64),), "dtype complex64 is not supported"),
    (
        lambda x: torch.view_as_real(
            torch.view_as_complex(x) * torch.polar(x[0, 0, 0], x[0, 0, 0])
        ),
        (floats(1, 3, 2, 2),),
        "aten.view_as_complex.default .*its result is complex: compute with real and imaginary",
    ),
    (lambda x: torch.linalg.svd(x)[1], (IMAGE,), "aten._linalg_svd.default .*no converter"),
    (lambda x: torch.searchsorted(x, x), (floats(5),), "aten.searchsorted.Tensor .*no converter"),
    (
        F.bilinear,
        (floats(2, 3), floats(2, 4), floats(5, 3, 4)),
        "aten._trilinear.default .*no conv",
    ),
    (torch.nonzero, (IMAGE,), "aten.nonzero.default .*a size that depends on data"),
    (lambda x: x[x > 0], (IMAGE,), "aten.index.Tensor .*a size that depends on data"),
    (lambda x: (x, 3), (IMAGE,), "output 1 is 3, not a tensor: return tensors only"),
    (lambda x: None, (IMAGE,), "the program returns no tensor"),
    (lambda x: x**x, (LONG,), "an integer power needs a fixed exponent: compute it in floats"),
    (lambda x: x // 0, (LONG,), "aten.floor_divide.default .*integer division by zero"),
    (
        lambda x, i: torch.scatter_reduce(x, 0, i, x, "mean"),
        (floats(4, 3), LONG),
        "aten.scatter_reduce.two .*reduce='mean' with include_self=True is not supported",
    ),
]


def exported(function, inputs):
    class Wrapped(nn.Module):
        def forward(self, *arguments):
            return function(*arguments)

    module = function if isinstance(function, nn.Module) else Wrapped()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return torch.export.export(module, inputs, strict=False)


@pytest.mark.parametrize(("function", "inputs", "words"), REFUSED)
def test_what_is_not_computed_is_one_line_that_names_it(function, inputs, words):
    program = exported(function, inputs)
    with pytest.raises(ModelError, match=words) as caught:
        load(program)
    assert "\n" not in str(caught.value)


def test_weights_without_values_are_refused_by_name():
    module = nn.Conv2d(4, 2, 3, device="meta")
    program = exported(module, (torch.empty(1, 4, 6, 6, device="meta"),))
    with pytest.raises(ModelError, match="weight has no values: export the module with its real"):
        load(program)


def test_antialiasing_of_a_free_size_needs_a_scale():
    class Smaller(nn.Module):
        def forward(self, x):
            return F.interpolate(x, size=(3, 3), mode="bilinear", antialias=True)

    program = torch.export.export(
        Smaller(), (IMAGE,), dynamic_shapes=({2: torch.export.Dim("h", min=4, max=99)},)
    )
    with pytest.raises(ModelError, match="antialias of a free size needs scale_factor"):
        load(program)


def test_a_group_for_each_sample_of_a_free_batch_is_refused():
    class Modulated(nn.Module):
        def forward(self, x):
            n, c, h, w = x.shape
            weight = torch.ones(1, 1, 3, 3).repeat(n * c, 1, 1, 1)
            return F.conv2d(x.reshape(1, n * c, h, w), weight, groups=n * c)

    program = torch.export.export(
        Modulated(),
        (torch.zeros(2, *IMAGE.shape[1:]),),
        dynamic_shapes=({0: torch.export.Dim("n")},),
    )
    with pytest.raises(ModelError, match=r"aten.conv2d.default .*groups is .*, a free size"):
        load(program)
