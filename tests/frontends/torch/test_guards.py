"""Sizes that an exported program refuses are refused by what is compiled of it, in words."""

from __future__ import annotations

import io
import re
import warnings

import pytest
import torch
import tvm
from quick_network import compiled
from torch import nn
from torch.export import Dim

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load
from tvm_deconv.size_errors import in_words

# The inputs, each of which the network requires something of, at sizes that it runs at.
GOOD = {"x": (4, 6), "pair_0": (8,), "pair_1": (6, 9), "named_k": (7,), "key": (8, 10)}


class Choosy(nn.Module):
    """Takes another way at other sizes, which its export does not know."""

    def forward(self, x, pair, named, *, key):
        first, second = pair
        (third,) = named.values()
        y = x.sum() if x.shape[1] % 3 == 0 else x.mean()
        y = y + (first.sum() if first.shape[0] != 6 else first.mean())
        if second.shape[0] < second.shape[1] and second.shape[1] % (second.shape[0] // 2) == 0:
            y = y + second.sum()
        torch._check(3 * third.shape[0] > 20)
        near = key.shape[0] / key.shape[1] < 0.9 or key.shape[1] == 3
        return y + third.sum() + (key.sum() if near else key.mean())


def exported(how):
    half, auto = Dim("half", min=2, max=32), Dim.AUTO
    free = {
        "x": {0: Dim("rows", min=4, max=9), 1: auto},
        "pair": [{0: 2 * half}, {0: auto, 1: auto}],
        "named": {"k": {0: auto}},
        "key": {0: auto, 1: auto},
    }
    x, first, second, third, key = (torch.zeros(shape) for shape in GOOD.values())
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        program = torch.export.export(
            Choosy(),
            (x, [first, second], {"k": third}),
            {"key": key},
            dynamic_shapes=free,
            strict=how == "strict",
        )
        if how == "decomposed":
            return program.run_decompositions()
        if how == "saved":
            file = io.BytesIO()
            torch.export.save(program, file)
            file.seek(0)
            return torch.export.load(file)
    return program


@pytest.fixture(scope="module", params=["traced", "strict", "saved", "decomposed"])
def network(request):
    program = exported(request.param)
    return program.module(), compiled(program)


OTHERS = [
    ("x", (9, 9), None),
    ("x", (3, 6), "input 'x' has the size 3 along axis 0 and has to be at least 4"),
    ("x", (10, 6), "input 'x' has the size 10 along axis 0 and has to be at most 9"),
    ("x", (4, 7), "input 'x' has the size 7 along axis 1 and has to be a multiple of 3"),
    ("pair_0", (4,), None),
    ("pair_0", (2,), "input 'pair_0' has the size 2 along axis 0 and has to be at least 4"),
    ("pair_0", (6,), "input 'pair_0' has the size 6 along axis 0 and .*"),
    ("pair_0", (66,), "input 'pair_0' has the size 66 along axis 0 and has to be at most 64"),
    ("pair_1", (4, 6), None),
    ("pair_1", (9, 6), "input 'pair_1' .* only for sizes with pair_1_axis0 < pair_1_axis1"),
    ("pair_1", (6, 8), r"input 'pair_1' .* only for sizes with .*pair_1_axis1 % .* == 0"),
    ("pair_1", (1, 8), r"input 'pair_1' .*"),
    ("named_k", (6,), r"input 'named_k' has the size 6 .* sizes with 3 \* named_k_axis0 > 20"),
    ("key", (8, 8), r"input 'key' .* only for sizes with .*key_axis0 / .* < 0.9"),
    ("key", (5, 8), None),
]


@pytest.mark.parametrize(("name", "shape", "words"), OTHERS)
def test_what_the_program_refuses_is_refused_in_words(network, name, shape, words):
    program, main = network
    inputs = [torch.ones(shape) for shape in {**GOOD, name: shape}.values()]
    x, first, second, third, key = inputs
    arguments = [tvm.runtime.tensor(value.numpy()) for value in inputs]
    if words is None:
        expected = program(x, [first, second], {"k": third}, key=key)
        torch.testing.assert_close(torch.from_numpy(main(*arguments).numpy()), expected)
        return
    with pytest.raises(Exception, match=r"Guard failed|modulo by zero"):
        program(x, [first, second], {"k": third}, key=key)
    with pytest.raises(RuntimeError, match="match_cast error") as raised:
        main(*arguments)
    assert re.fullmatch(words, in_words(raised.value))


class Halved(nn.Module):
    def forward(self, x):
        return x * 2 if x.shape[0] % 4 == 0 else x


def test_an_odd_size_of_twice_a_dimension_is_refused():
    """PyTorch itself lets it pass, though no integer is the half of it."""
    x = torch.zeros(8)
    program = torch.export.export(nn.ReLU(), (x,), dynamic_shapes=({0: 2 * Dim("half")},))
    with pytest.raises(RuntimeError) as raised:
        compiled(program)(tvm.runtime.tensor(torch.zeros(7).numpy()))
    words = "input 'input' has the size 7 along axis 0 and has to be a multiple of 2"
    assert in_words(raised.value) == words


def test_assertions_in_the_graph_are_asked_as_well():
    program = torch.export.export(
        Halved(),
        (torch.zeros(8),),
        dynamic_shapes=({0: Dim("n")},),
        prefer_deferred_runtime_asserts_over_guards=True,
    )
    with pytest.raises(RuntimeError) as raised:
        compiled(program)(tvm.runtime.tensor(torch.zeros(6).numpy()))
    assert in_words(raised.value).endswith("along axis 0 and has to be a multiple of 4")


def test_what_always_holds_is_not_asked():
    program = torch.export.export(nn.ReLU(), (torch.zeros(8),), dynamic_shapes=({0: Dim.AUTO},))
    assert "match_cast" not in load(program).script()


@pytest.mark.parametrize("guard", ["L['x'].stride()[0] == 1", "L['y'].size()[0] == 1", "f(3) > 2"])
def test_a_guard_that_cannot_be_read_is_an_error_that_shows_it(guard):
    program = torch.export.export(nn.ReLU(), (torch.zeros(8),), dynamic_shapes=({0: Dim.AUTO},))
    program._guards_code = [guard]
    with pytest.raises(
        ModelError, match=r"the program requires .*, which cannot be asked"
    ) as raised:
        load(program)
    assert guard in str(raised.value)
