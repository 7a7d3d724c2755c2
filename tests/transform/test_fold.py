"""What NumPy folds has the bits of what TVM's own folding compiles, and compiles nothing."""

from __future__ import annotations

import numpy as np
import pytest
import tvm
import tvm_ffi
from relax_helpers import constant, module
from tvm import relax
from tvm.ir.instrument import pass_instrument

from tvm_deconv.transform import FoldConstants, FoldExactly

# Rounding to even, to a denormal, to infinity, and zeros of both signs.
SPECIAL = [0.0, -0.0, 1e-7, -3e-5, 0.1, 1 / 3, 2049.0, 6e4, np.inf]


def operands(dtype):
    """Two arrays with every pair of special values, and random ones."""
    pairs = np.stack(np.meshgrid(SPECIAL, SPECIAL))
    random = np.random.default_rng(0).standard_normal((2, 96, len(SPECIAL)))
    return list(np.concatenate([pairs, random], axis=1).astype(dtype))


def folded_both_ways(expression):
    """`main` returns x and a constant: what TVM folds alone, and what it makes of what we fold."""

    def body(builder, x):
        return builder.emit(relax.Tuple([x, builder.emit(expression(builder))]))

    mod = module(body, (1,))
    ours = FoldExactly()(mod)
    assert not ours.same_as(mod)
    fold = relax.transform.FoldConstant()
    return fold(mod), fold(ours)


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64"])
@pytest.mark.parametrize("name", ["add", "subtract", "multiply", "divide", "sqrt", "negative"])
def test_arithmetic_has_the_bits_that_tvm_computes(name, dtype):
    arrays = [np.abs(a) if name == "sqrt" else a for a in operands(dtype)]
    count = 1 if name in ("sqrt", "negative") else 2
    operator = getattr(relax.op, name)
    wanted, got = folded_both_ways(lambda builder: operator(*map(constant, arrays[:count])))
    ((a, b),) = zip(constants_of(wanted), constants_of(got), strict=True)
    np.testing.assert_array_equal(a, b)
    number = ~np.isnan(a)
    np.testing.assert_array_equal(np.signbit(a[number]), np.signbit(b[number]))
    assert a.dtype == b.dtype == dtype


COMPARISONS = ["equal", "less", "less_equal", "greater", "greater_equal"]


@pytest.mark.parametrize("dtype", ["float16", "float32", "float64", "int8", "int64", "uint8"])
@pytest.mark.parametrize("name", COMPARISONS)
def test_what_is_compared_is_true_where_tvm_says_so(name, dtype):
    one, other = (
        [np.append(a, [[np.nan] * len(SPECIAL)], 0).astype(dtype) for a in operands("float64")]
        if dtype.startswith("float")
        else (integers(dtype), integers(dtype)[::-1])
    )
    operator = getattr(relax.op, name)
    wanted, got = folded_both_ways(lambda builder: operator(constant(one), constant(other)))
    assert tvm_ffi.structural_equal(wanted, got)


@pytest.mark.parametrize("name", ["logical_and", "logical_or", "logical_not"])
def test_what_is_true_or_false_is_combined_as_by_tvm(name):
    arrays = [constant(np.array(a)) for a in ([[True], [False]], [True, False])]
    operator, count = getattr(relax.op, name), 1 if name == "logical_not" else 2
    wanted, got = folded_both_ways(lambda builder: operator(*arrays[:count]))
    assert tvm_ffi.structural_equal(wanted, got)


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("float16", "float32"),
        ("float32", "float64"),
        ("int8", "int32"),
        ("uint8", "int64"),
        ("bool", "float32"),
        ("bool", "int64"),
        ("int32", "float64"),
    ],
)
def test_a_type_that_holds_every_value_gets_those_of_tvm(given, wanted):
    made = operands("float64")[0].astype(given) if given[0] in "fb" else integers(given)
    theirs, ours = folded_both_ways(lambda builder: relax.op.astype(constant(made), wanted))
    assert tvm_ffi.structural_equal(theirs, ours)


def test_a_cast_that_cuts_off_is_left_to_tvm():
    values = constant(integers("int32"))
    mod = module(lambda builder, x: builder.emit(relax.op.astype(values, "int8")), (1,))
    assert FoldExactly()(mod).same_as(mod)


def integers(dtype, shape=(6, 3, 5)):
    """Random ones, and the least and the greatest."""
    bounds = np.iinfo(dtype)
    drawn = np.random.default_rng(0).integers(bounds.min, bounds.max, shape, dtype, endpoint=True)
    drawn[0, 0, :2] = bounds.min, bounds.max
    return drawn


WHOLE = ["int8", "int16", "int32", "int64", "uint8", "uint16", "uint32"]
PARAMETERS = {
    "one": ((), 0),
    "one of an axis": ((1,), 0),
    "one a channel": ((6,), 0),
    "one a row": ((3,), 1),
    "one a column, counted from the end": ((5,), -1),
}


@pytest.mark.parametrize("dtype", WHOLE)
def test_integers_become_the_floats_of_tvm(dtype):
    values = constant(integers(dtype))
    wanted, got = folded_both_ways(lambda builder: relax.op.astype(values, "float32"))
    assert tvm_ffi.structural_equal(wanted, got)


@pytest.mark.parametrize("form", PARAMETERS)
@pytest.mark.parametrize("dtype", ["int8", "uint8", "int16", "uint16", "int32"])
def test_quantized_weights_become_the_floats_of_tvm(dtype, form):
    shape, axis = PARAMETERS[form]
    rng = np.random.default_rng(1)
    scale = constant(np.asarray(rng.uniform(1e-3, 3, shape), "float32"))
    # A bias of int32 has none: the least less one would wrap around.
    zeros = rng.integers(0, 1 if dtype == "int32" else 100, shape)
    parameters = scale, constant(np.asarray(zeros, dtype)), axis
    values = constant(integers(dtype))
    wanted, got = folded_both_ways(lambda b: relax.op.dequantize(values, *parameters, "float32"))
    assert tvm_ffi.structural_equal(wanted, got)


def constants_of(mod):
    found = []

    def visit(node):
        if isinstance(node, tvm.ir.GenericConst):
            found.append(node.value.numpy())

    relax.analysis.post_order_visit(mod["main"], visit)
    return found


MOVES = {
    "reshape": lambda x: relax.op.reshape(x, (4, 1, 6)),
    "reshape to a size that is left out": lambda x: relax.op.reshape(x, (-1, 3)),
    "broadcast_to": lambda x: relax.op.broadcast_to(x, (3, 4, 5, 6)),
    "expand_dims": lambda x: relax.op.expand_dims(x, [0, 2]),
    "squeeze": lambda x: relax.op.squeeze(x, [1]),
    "squeeze of all": lambda x: relax.op.squeeze(x),
    "permute_dims": lambda x: relax.op.permute_dims(x, [2, 0, 1]),
    "permute_dims of all": lambda x: relax.op.permute_dims(x),
    "repeat": lambda x: relax.op.repeat(x, 3, 1),
    "repeat of all": lambda x: relax.op.repeat(x, 2),
    "where": lambda x: relax.op.where(constant(np.arange(6) % 2 == 0), x, x),
    "shape_to_tensor": lambda x: relax.op.shape_to_tensor(relax.ShapeExpr([2, 0, 7])),
}


@pytest.mark.parametrize("dtype", ["float16", "float32", "int64", "bool"])
@pytest.mark.parametrize("move", MOVES)
def test_what_moves_is_what_tvm_moves(move, dtype):
    values = constant(np.arange(24).reshape(4, 1, 6).astype(dtype))
    wanted, got = folded_both_ways(lambda builder: MOVES[move](values))
    assert tvm_ffi.structural_equal(wanted, got)


def batch_norm(builder):
    """The scale and the shift that an importer makes of a normalisation."""
    variance, mean = (constant(np.linspace(0.5, 2, 6, dtype="float32")) for _ in range(2))
    deviation = builder.emit(relax.op.sqrt(builder.emit(relax.op.add(variance, relax.const(1e-5)))))
    shift = builder.emit(relax.op.divide(builder.emit(relax.op.negative(mean)), deviation))
    return builder.emit(relax.op.reshape(shift, (1, 6, 1, 1)))


def test_a_chain_of_operators_is_folded_and_nothing_compiled():
    mod = module(lambda builder, x: builder.emit(relax.Tuple([x, batch_norm(builder)])), (1,))
    passes = []

    @pass_instrument
    class Listen:
        def run_before_pass(self, mod, info):
            passes.append(info.name)

    with tvm.transform.PassContext(instruments=[Listen()]):
        got = relax.transform.FoldConstant()(FoldExactly()(mod))
    assert set(passes) == {"tvm_deconv.FoldExactly", "FoldConstant"}
    assert tvm_ffi.structural_equal(relax.transform.FoldConstant()(mod), got)


@pytest.mark.parametrize(
    "expression",
    [
        lambda x, c: relax.op.add(x, relax.op.multiply(x, c)),
        lambda x, c: relax.op.add(c, relax.op.exp(c)),
        lambda x, c: relax.op.divide(*(relax.op.astype(c, "int32") for _ in range(2))),
        lambda x, c: relax.op.maximum(c, c),
    ],
    ids=["of a variable", "rounded by TVM", "of integers", "with a rule for NaN"],
)
def test_anything_else_is_left_as_it_is(expression):
    c = constant(np.ones(1, "float32"))
    mod = module(lambda builder, x: builder.emit(expression(x, c)), (1,))
    assert FoldExactly()(mod).same_as(mod)


def test_only_what_is_constant_is_shown_to_tvm():
    values = constant(np.arange(6, dtype="float32").reshape(2, 3))

    def body(builder, x):
        number = builder.emit(relax.op.exp(values))
        plain = builder.emit(relax.op.tanh(builder.emit(relax.op.sum(number, axis=[1]))))
        sized = builder.emit(relax.op.zeros(x.ty.shape, "float32"))
        return builder.emit(relax.op.add(builder.emit(relax.op.add(x, sized)), plain))

    mod = module(body, ("n", 2))
    ours = FoldConstants()(mod)
    operators = [
        b.value.op.name
        for block in ours["main"].body.blocks
        for b in block.bindings
        if isinstance(b.value, relax.Call)
    ]
    assert operators == ["relax.zeros", "relax.add", "relax.add"]
    *_, folded = constants_of(ours)
    np.testing.assert_allclose(folded, np.tanh(np.exp(values.value.numpy()).sum(1)), rtol=1e-6)


def test_a_module_in_which_nothing_is_constant_is_handed_back_untouched():
    mod = module(lambda builder, x: builder.emit(relax.op.tanh(x)), (3,))
    assert FoldConstants()(mod).same_as(mod)
