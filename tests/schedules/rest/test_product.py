"""Products of matrices: every edge of a tile, every kind of operand, against float64."""

from __future__ import annotations

import math

import numpy as np
import pytest
import tvm
import tvm_ffi
from default_schedules import (
    HOST,
    arrays_of,
    built,
    compare_all,
    functions_of,
    loops_of,
    module_of,
    scheduled,
)
from onnx import numpy_helper
from onnx_net import Net
from quick_network import compiled, unoptimised
from tvm import relax, tirx
from tvm.relax.op import add, matmul, multiply, permute_dims
from tvm.relax.op.nn import gelu, relu

from tvm_deconv.schedules.cpu.machine import cpu_machine
from tvm_deconv.schedules.rest.product.pack import Packing
from tvm_deconv.schedules.rest.product.tile import Panels
from tvm_deconv.targets import resolve_target
from tvm_deconv.transform.transposed_products import ReadTransposed

SSE = resolve_target({"kind": "llvm", "mcpu": "nehalem", "mtriple": "x86_64-linux-gnu"})


def constant(shape, seed=7, dtype="float32"):
    return np.random.default_rng(seed).standard_normal(shape).astype(dtype)


def times_constant(weight):
    return lambda _builder, x: matmul(x, relax.const(weight)), lambda x: x @ weight.astype("f8")


# Rows, depth and columns: below, at and beyond whole tiles of 4, 8 and 16 lanes.
SIZES = [
    (1, 1, 4), (1, 65, 131), (2, 3, 5), (3, 40, 16), (7, 17, 15), (9, 8, 48), (10, 5, 49),
    (13, 19, 33), (16, 2, 64), (29, 23, 100), (64, 64, 24), (40, 31, 40), (33, 18, 10),
]  # fmt: skip


@pytest.mark.parametrize("target", [None, SSE], ids=["host", "sse"])
def test_constants_of_any_size_are_right(target):
    pairs = [times_constant(constant((k, n))) for _, k, n in SIZES]
    emits, references = zip(*pairs, strict=True)
    compare_all(emits, references, [[(m, k)] for m, k, _ in SIZES], target)


OPERANDS = {
    "two maps": (matmul, np.matmul, [(13, 20), (20, 37)]),
    "heads": (matmul, np.matmul, [(2, 3, 13, 20), (2, 3, 20, 24)]),
    "one matrix for all": (matmul, np.matmul, [(3, 5, 20), (20, 17)]),
    "a matrix for each of many": (matmul, np.matmul, [(20, 17), (3, 17, 19)]),
    "repeated": (matmul, np.matmul, [(2, 1, 6, 20), (1, 3, 20, 18)]),
    "a vector": (matmul, np.matmul, [(20,), (20, 37)]),
    "a matrix by a vector": (matmul, np.matmul, [(37, 20), (20,)]),
    "few columns": (matmul, np.matmul, [(37, 20), (20, 3)]),
    "an outer product": (matmul, np.matmul, [(37, 1), (1, 20)]),
    "transposed": (
        lambda a, b: matmul(a, permute_dims(b)),
        lambda a, b: a @ b.T,
        [(40, 19), (37, 19)],
    ),
    "transposed heads": (
        lambda a, b: matmul(a, permute_dims(b, [0, 1, 3, 2])),
        lambda a, b: a @ b.swapaxes(-1, -2),
        [(1, 3, 33, 29), (1, 3, 35, 29)],
    ),
    "few rows by a transposed one": (
        lambda a, b: matmul(a, permute_dims(b)),
        lambda a, b: a @ b.T,
        [(2, 40), (37, 40)],
    ),
    "both transposed": (
        lambda a, b: matmul(permute_dims(a), permute_dims(b)),
        lambda a, b: a.T @ b.T,
        [(19, 40), (37, 19)],
    ),
    "rows that collide in a cache": (matmul, np.matmul, [(41, 300), (300, 1024)]),
    "rows that collide in the level-1 cache": (matmul, np.matmul, [(2, 67, 24), (2, 24, 1025)]),
    "few rows by a large transposed one": (
        lambda a, b: matmul(a, permute_dims(b, [0, 2, 1])),
        lambda a, b: a @ b.swapaxes(-1, -2),
        [(2, 19, 97), (2, 101, 97)],
    ),
}


def test_operands_of_every_kind_are_right():
    cases = OPERANDS.values()
    emits = [
        lambda builder, *args, emit=emit: emit(
            *[builder.emit(a) if not isinstance(a, relax.Var) else a for a in args]
        )
        for emit, _, _ in cases
    ]
    compare_all(emits, [r for _, r, _ in cases], [s for _, _, s in cases])


def test_rows_and_batches_may_be_free():
    n, m = (tirx.Var(name, "int64") for name in "nm")
    weight = constant((20, 37))
    linear = lambda _b, x: relu(matmul(x, relax.const(weight)))  # noqa: E731
    emits = [linear, linear, linear, lambda _b, a, b: matmul(a, b)]
    references = [lambda x: np.maximum(x @ weight.astype("f8"), 0)] * 3 + [np.matmul]
    shapes = [[(m, 20)], [(n, 13, 20)], [(n, m, 20)], [(n, 13, 20), (n, 20, 18)]]
    sizes = [
        [[(j, 20)], [(i, 13, 20)], [(i, j, 20)], [(i, 13, 20), (i, 20, 18)]]
        for i, j in ((1, 1), (5, 3), (2, 40), (31, 9))
    ]
    compare_all(emits, references, shapes, sizes=sizes)


def test_the_depth_of_the_left_operand_may_be_free_beside_a_constant():
    """It is compared when the network runs; until then nobody knows what to pack."""
    net = Net((1, 4, 5, 8), dims=[1, 4, "h", "w"])
    model = net.model(net("MatMul", "x", net.constant(8, 4)))
    x = constant(net.shape)
    (weight,) = map(numpy_helper.to_array, model.graph.initializer)
    got = compiled(model)(tvm.runtime.tensor(x)).numpy()
    np.testing.assert_allclose(got, x @ weight.astype("f8"), rtol=0, atol=1e-5)


def _gelu(x):
    return x * 0.5 * (1 + np.vectorize(math.erf)(x / 2**0.5))


def test_sums_of_great_depth_lie_in_memory_between_blocks():
    """256 KiB of level-2 cache hold no ten tiles of 1203 steps."""
    weight, bias = constant((1203, 97)), constant((97,))

    def emit(_b, x):
        return relu(add(matmul(x, relax.const(weight)), relax.const(bias)))

    def reference(x):
        return np.maximum(x @ weight.astype("f8") + bias, 0)

    mod = compare_all([emit], [reference], [[(101, 1203)]], SSE)
    (func,) = functions_of(mod)
    blocks = [
        loop
        for loop in loops_of(func, tirx.ForKind.SERIAL)
        if tvm_ffi.structural_equal(loop.extent, tirx.IntImm("int64", -(-1203 // 256)))
    ]
    assert blocks


def test_what_follows_is_part_of_the_store():
    weight, bias = constant((20, 37)), constant((37,), 8)
    emits = [
        lambda _b, x, y: add(relu(add(matmul(x, relax.const(weight)), relax.const(bias))), y),
        lambda _b, x: gelu(add(matmul(x, relax.const(weight)), relax.const(bias))),
        lambda _b, a, b, mask: add(multiply(matmul(a, b), relax.const(0.25, "float32")), mask),
    ]
    w, c = weight.astype("f8"), bias.astype("f8")
    references = [
        lambda x, y: np.maximum(x @ w + c, 0) + y,
        lambda x: _gelu(x @ w + c),
        lambda a, b, mask: a @ b * 0.25 + mask,
    ]
    shapes = [
        [(3, 13, 20), (3, 13, 37)],
        [(29, 20)],
        [(2, 13, 20), (2, 20, 19), (1, 13, 19)],
    ]
    mod = compare_all(emits, references, shapes)
    assert len(functions_of(mod)) == 3


@pytest.mark.parametrize("dtype", ["float16", "float64"])
def test_other_types_are_as_exact_as_before(dtype):
    weight = constant((40, 21), dtype=dtype)
    emits = [
        lambda _b, x: matmul(x, relax.const(weight, dtype)),
        lambda _b, a, b: matmul(a, b),
    ]
    references = [lambda x: x @ weight.astype("f8"), lambda a, b: a @ b]
    compare_all(emits, references, [[(13, 40)], [(13, 20), (20, 18)]], dtype=dtype)


def test_a_constant_is_packed_once_and_for_all():
    weight = constant((20, 40))
    mod = scheduled(module_of(lambda x: matmul(x, relax.const(weight)), [(30, 20)]))
    (call,) = [binding.value for block in mod["main"].body.blocks for binding in block.bindings][:1]
    packed = call.args[1].fields[1].value.numpy()
    assert packed.ndim == 1 and set(weight.reshape(-1)) == set(packed)
    (func,) = functions_of(mod)
    assert [len(param.ty.shape) for param in func.params] == [2, 1, 2]


def test_a_constant_that_is_added_too_is_not_packed():
    square, builder = constant((24, 24)), relax.BlockBuilder()
    x, w = (relax.Var(name, relax.TensorType((24, 24), "float32")) for name in "xw")
    with builder.function("main", [x, w]):
        with builder.dataflow():
            result = builder.emit_output(add(builder.emit(matmul(x, w)), w))
        builder.emit_func_output(result)
    bind = relax.transform.BindParams("main", {w: tvm.runtime.tensor(square)})
    _, call = built(bind(builder.get()), unoptimised())
    (given,) = arrays_of([(24, 24)])
    result = call(tvm.runtime.tensor(given)).numpy()
    np.testing.assert_allclose(result, given @ square + square, rtol=1e-4, atol=1e-4)


def test_a_function_of_a_constant_and_of_a_map_packs_neither():
    """Two calls of one function, of which only one has a constant."""
    builder, weight = relax.BlockBuilder(), constant((20, 40))
    x, w = (
        relax.Var(n, relax.TensorType(s, "float32")) for n, s in (("x", (30, 20)), ("w", (20, 40)))
    )
    with builder.function("main", [x, w]):
        with builder.dataflow():
            one, two = builder.emit(matmul(x, w)), builder.emit(matmul(x, relax.const(weight)))
            result = builder.emit_output(relax.Tuple([one, two]))
        builder.emit_func_output(result)
    _, call = built(builder.get(), unoptimised())
    given, other = arrays_of([(30, 20), (20, 40)])
    results = call(tvm.runtime.tensor(given), tvm.runtime.tensor(other))
    for result, factor in zip(results, (other, weight), strict=True):
        np.testing.assert_allclose(result.numpy(), given @ factor, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("columns, vectors", [(64, 2), (37, 2), (7, 1), (5, 4), (10, 3)])
def test_a_panel_holds_its_columns_step_by_step(columns, vectors):
    panels = Panels(columns, 4, min(vectors, -(-columns // 4)))
    values = constant((2, 3, columns))
    packed = Packing((2, 3, columns), ((1, 0, 0), (0, 1, 0), (0, 0, 1)), (0, 0, 0), panels)(values)
    in_panels = [
        [min(start, columns - 4) for start in range(first, min(first + panels.width, columns), 4)]
        for first in range(0, columns, panels.width)
    ]
    expected = [
        np.concatenate([values[place, :, start : start + 4] for start in starts], axis=1)
        for place in range(2)
        for starts in in_panels
    ]
    np.testing.assert_array_equal(packed, np.concatenate([part.reshape(-1) for part in expected]))


def test_a_large_product_is_shared_evenly():
    machine = cpu_machine(HOST)
    (func,) = functions_of(scheduled(module_of(matmul, [(512, 64), (64, 512)])))
    *_, loop = loops_of(func, tirx.ForKind.PARALLEL)
    pieces = int(loop.extent)
    assert -(-pieces // machine.threads) * machine.threads / pieces < 1.3


@pytest.mark.parametrize(
    "shapes, is_turned",
    [
        ([(1, 19, 97), (1, 101, 97)], True),
        ([(1, 97, 19), (1, 99, 19)], False),  # q k^T
        ([(1, 40, 97), (1, 101, 97)], False),  # the result is no smaller
        ([(1, 8, 97), (1, 101, 97)], False),  # no square of vectors
        ([(3, 19, 97), (1, 101, 97)], False),  # b is packed once for three
    ],
)
def test_the_larger_operand_stands_on_the_left_where_packing_it_costs_most(shapes, is_turned):
    def emit(a, b):
        builder = relax.BlockBuilder.current()
        return matmul(a, builder.emit(permute_dims(b, [0, 2, 1])))

    mod = ReadTransposed(HOST)(module_of(emit, shapes))
    (first, *_) = [shape for func in functions_of(mod) for shape in [func.params[0].ty.shape]]
    assert (int(first[1]) == shapes[1][1]) is is_turned


def test_no_condition_stands_in_a_sum():
    """57 x 59 divides by no tile."""
    (func,) = functions_of(scheduled(module_of(matmul, [(57, 43), (43, 59)])))
    sums = [
        loop
        for loop in loops_of(func, tirx.ForKind.SERIAL)
        if tvm_ffi.structural_equal(loop.extent, tirx.IntImm("int64", 43))
    ]
    conditions = []
    for loop in sums:
        tvm_ffi.structural_walk(loop.body, ((tirx.IfThenElse, tirx.Select), conditions.append))
    assert sums and not conditions
