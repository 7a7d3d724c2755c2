"""Sizes by conditions on free sizes, as exporters pad to a multiple, and by quotients of them."""

from __future__ import annotations

import pytest
from onnx import TensorProto, helper
from onnx_net import Net
from onnx_runtime import assert_same_as_onnx_runtime
from tvm import sym, tirx

from tvm_deconv.frontends.onnx.elementwise import ELEMENTWISE
from tvm_deconv.frontends.onnx.formulas import simplified

SIZES = [(2, 4, 6, 10), (1, 4, 4, 5), (3, 4, 8, 12)]


def vector(n, *axes):
    return n("Gather", n("Shape", "x"), n.integers(*axes), axis=0)


def padded(n, begin_or_end, mode="constant"):
    zeros = n.integers(0, 0)
    return n("Pad", "x", n("Concat", zeros, begin_or_end, zeros, zeros, axis=0), mode=mode)


def to_a_multiple(n, condition, is_rest=False):
    left_over = n("Mod", vector(n, 2, 3), n.integers(4))
    rest = n("Sub", n.integers(4), left_over)
    branches = (rest, n.integers(0)) if is_rest else (n.integers(0), rest)
    return padded(n, n("Where", condition(n, left_over), *branches), "edge")


def at_most_five_rows(n):
    height = vector(n, 2)
    end = n("Where", n("Greater", height, n.integers(5)), n.integers(5), height)
    return n("Slice", "x", n.integers(0), end, n.integers(2))


def a_row_more_of_high_or_wide_maps(n):
    high = n("GreaterOrEqual", vector(n, 2), n.integers(8))
    wide = n("Not", n("LessOrEqual", vector(n, 3), n.integers(5)))
    both, one = n("And", high, wide), n("Or", high, wide)
    more = [n("Cast", condition, to=TensorProto.INT64) for condition in (both, one)]
    return padded(n, n("Concat", *more, axis=0))


def a_condition_that_does_not_depend_on_sizes(n):
    ones = n("Greater", n("Concat", vector(n, 1), vector(n, 2), axis=0), n.integers(4, 0))
    return padded(n, n("Where", ones, n.integers(1, 2), n.integers(3, 4)))


def a_condition_as_numbers(n):
    holds = n("Equal", vector(n, 2, 3), n.integers(6, 5))
    return n("Mul", "x", n("ReduceMax", n("Cast", holds, to=TensorProto.FLOAT)))


def a_quotient_of_what_may_be_nothing(n):
    """As windows are joined: their number by that of one image, which is 0 for small ones."""
    area = n("Mul", vector(n, 2), vector(n, 3))
    count = n("Div", n("Mul", vector(n, 0), area), n("Div", area, n.integers(4)))
    return n("Reshape", "x", n("Concat", count, n.integers(-1), axis=0))


WAYS = (
    a_quotient_of_what_may_be_nothing,
    lambda n: to_a_multiple(n, lambda n, rest: n("Equal", rest, n.integers(0))),
    lambda n: to_a_multiple(n, lambda n, rest: n("Less", rest, n.integers(1))),
    lambda n: to_a_multiple(n, lambda n, rest: n("Greater", rest, n.integers(0)), is_rest=True),
    lambda n: to_a_multiple(
        n, lambda n, rest: n("Not", n("Equal", rest, n.integers(0))), is_rest=True
    ),
    # Another condition than that for a multiple: 4 where there is nothing left over.
    lambda n: to_a_multiple(n, lambda n, rest: n("Equal", rest, n.integers(1))),
    at_most_five_rows,
    a_row_more_of_high_or_wide_maps,
    a_condition_that_does_not_depend_on_sizes,
    a_condition_as_numbers,
)


def test_sizes_chosen_by_conditions_are_those_of_onnx_runtime():
    net = Net(SIZES[0], dims=("n", 4, "h", "w"))
    results = [way(net) for way in WAYS]
    proto = net.model(results[0])
    del proto.graph.output[:]
    proto.graph.output.extend(helper.make_empty_tensor_value_info(name) for name in results)
    assert_same_as_onnx_runtime(proto, *SIZES, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("width", [4, 7])
def test_padding_to_a_multiple_has_one_form_however_it_is_written(width):
    """Of which it is known to be a multiple, so that a shuffle of the padded map fits."""
    size = tirx.Var("h", "int64")
    analyzer = sym.Analyzer()
    rest = size % width
    chosen = ELEMENTWISE["Where"](analyzer, tirx.EQ(rest, tirx.IntImm("int64", 0)), 0, width - rest)
    padded_size = simplified(analyzer, size + chosen)
    assert analyzer.can_prove_equal(tirx.floormod(padded_size, tirx.IntImm("int64", width)), 0)
