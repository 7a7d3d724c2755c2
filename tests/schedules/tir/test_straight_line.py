"""Matrices and shuffles as straight-line code, run on vectors of floats and counted."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
from kernel import HOST
from tvm import tirx
from tvm.s_tir import SBlock, SBlockRealize

from tvm_deconv.algebra.cook_toom import MAX_POINTS, transforms
from tvm_deconv.schedules.tir.lagrange import lagrange
from tvm_deconv.schedules.tir.straight_line import StraightLine

LANES = 4
# Of AVX-512; vectors of them are interleaved otherwise.
WIDE = 16


def run(inputs, make):
    """Rows of ``inputs`` as vectors through ``make(code, vectors)``; its results as rows."""
    code, lanes = StraightLine(), inputs.shape[1]

    def vector(buffer, row):
        base = tirx.Ramp(tirx.IntImm("int32", 0), tirx.IntImm("int32", 1), lanes)
        return [tirx.IntImm("int32", row), base]

    x = tirx.decl_buffer(inputs.shape, "float32", "x")
    values = [code.name(tirx.BufferLoad(x, vector(x, row))) for row in range(len(inputs))]
    results = make(code, values)
    y = tirx.decl_buffer((len(results), lanes), "float32", "y")
    stores = [tirx.BufferStore(y, v, vector(y, row)) for row, v in enumerate(results)]
    body = tirx.SeqStmt([*code.statements, *stores])
    root = SBlockRealize([], True, SBlock([], [], [], "root", body))
    func = tirx.PrimFunc([x, y], root).with_attr("global_symbol", "main")
    func = func.with_attr("s_tir", True)
    out = tvm.runtime.empty((len(results), lanes), "float32")
    tvm.compile(tvm.IRModule({"main": func}), target=HOST)["main"](tvm.runtime.tensor(inputs), out)
    return out.numpy(), code


@pytest.mark.parametrize("part", ["data", "inverse"])
@pytest.mark.parametrize("size", [(2, 2), (4, 2), (5, 2), (4, 3), (6, 3)])
def test_combining_is_multiplying_by_the_matrix(part, size):
    matrix = getattr(transforms(*size), part)
    before = matrix.copy()
    inputs = np.random.default_rng(0).standard_normal((matrix.shape[1], LANES)).astype("float32")
    got, _ = run(inputs, lambda code, values: code.combine(matrix, values))
    np.testing.assert_allclose(got, matrix @ inputs, rtol=0, atol=1e-5)
    # The matrix is shared by all callers.
    np.testing.assert_array_equal(matrix, before)


def test_even_and_odd_parts_are_computed_once():
    # F(6, 3): three pairs of rows share their parts; 8 rows of 3 to 6 terms would be 40 operations.
    inputs = np.ones((8, LANES), "float32")
    _, code = run(inputs, lambda code, values: code.combine(transforms(6, 3).data, values))
    text = "\n".join(str(statement) for statement in code.statements)
    assert text.count("+") + text.count(" - ") + text.count("*") < 60


@pytest.mark.parametrize("points", range(2, MAX_POINTS + 1))
def test_the_input_transform_is_the_product_with_its_matrix(points):
    found = transforms(points - 1, 2)
    inputs = np.random.default_rng(0).standard_normal((points, LANES)).astype("float32")
    got, _ = run(inputs, lambda code, values: lagrange(code, found.points, values))
    expected = found.data @ inputs
    np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6 * np.abs(expected).max())


@pytest.mark.parametrize(("outputs", "operations"), [(2, 4), (4, 12), (5, 21), (6, 26)])
def test_rows_share_what_the_products_of_their_factors_have_in_common(outputs, operations):
    found = transforms(outputs, 3)
    inputs = np.ones((outputs + 2, LANES), "float32")
    _, code = run(inputs, lambda code, values: lagrange(code, found.points, values))
    assert len(code.statements) - len(inputs) == operations


@pytest.mark.parametrize("lanes", [LANES, WIDE])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 12, 15])
def test_interleaving_takes_one_element_of_each_in_turn(count, lanes):
    inputs = np.arange(count * lanes, dtype="float32").reshape(count, lanes)
    got, _ = run(inputs, lambda code, values: code.interleave(values))
    np.testing.assert_array_equal(got.ravel(), inputs.T.ravel())


@pytest.mark.parametrize("lanes", [LANES, WIDE])
@pytest.mark.parametrize("count", [1, 2, 3, 4, 5, 6, 7, 8, 12, 15, 17])
def test_dealing_out_is_the_inverse_of_interleaving(count, lanes):
    inputs = np.arange(count * lanes, dtype="float32").reshape(count, lanes)
    got, _ = run(inputs, lambda code, values: code.deinterleave(values))
    np.testing.assert_array_equal(got, inputs.ravel().reshape(lanes, count).T)


@pytest.mark.parametrize("count", [3, 5])
@pytest.mark.parametrize("deal", [StraightLine.interleave, StraightLine.deinterleave])
def test_an_odd_number_of_wide_vectors_is_blended_lane_by_lane(count, deal):
    inputs = np.zeros((count, WIDE), "float32")
    _, code = run(inputs, deal)
    orders = [
        [int(lane) for lane in statement.value.indices]
        for statement in code.statements
        if isinstance(statement.value, tirx.Shuffle)
    ]
    blends = [order for order in orders if all(e % WIDE == i for i, e in enumerate(order))]
    assert len(blends) == count * (count - 1)
    assert len(orders) == count * count
    assert len({tuple(order) for order in blends}) == count - 1
