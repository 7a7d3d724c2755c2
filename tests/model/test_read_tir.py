"""What is counted of TensorIR, statement by statement, held against counts by hand."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tvm import te, tirx
from tvm.s_tir import Schedule

from tvm_deconv.errors import VariantError
from tvm_deconv.model.loop_nest import Block, Branch, Event, Index, NestWork, block, branch, loop
from tvm_deconv.model.measured import measure


def tensor_function(*tensors):
    return te.create_prim_func(list(tensors), index_dtype_override="int64")


def test_a_plain_matrix_product_is_counted_with_its_initial_zeros():
    a, b = te.placeholder((5, 7), name="a"), te.placeholder((7, 3), name="b")
    k = te.reduce_axis((0, 7), "k")
    c = te.compute((5, 3), lambda i, j: te.sum(a[i, k] * b[k, j], axis=k), name="c")
    found = measure(tensor_function(a, b, c))
    assert found.multiply_adds == 105
    assert found.parameters == ((105, 0), (105, 0), (105, 105 + 15))
    assert found.scratch == {}


@pytest.mark.parametrize(("choice", "loads"), [(tirx.if_then_else, 6), (tirx.Select, 10)])
def test_one_side_of_a_choice_is_loaded_and_both_sides_of_a_select(choice, loads):
    x = te.placeholder((10,), name="x")

    def element(i):
        return choice(tirx.all(i >= 2, i < 8), x[i], tirx.const(0.0))

    y = te.compute((10,), element, name="y")
    assert measure(tensor_function(x, y)).parameters == ((loads, 0), (0, 10))


def test_predicates_lanes_and_unrolled_loops_are_considered():
    x, w = te.placeholder((10, 6), name="x"), te.placeholder((6,), name="w")
    y = te.compute((10, 6), lambda i, j: x[i, j] + w[j] * w[0], name="y")
    sch = Schedule(tensor_function(x, w, y))
    i, j = sch.get_loops(sch.get_sblock("y"))
    _, i_in = sch.split(i, [None, 4])  # the last tile has two rows
    sch.vectorize(j)
    func = sch.mod["main"]
    # w[0] is one load for all lanes. 10 rows each load it, and every w[j].
    assert measure(func).parameters == ((60, 0), (10 * (6 + 1), 0), (0, 60))
    assert (measure(func).multiply_adds, measure(func).additions) == (60, 0)
    sch.unroll(i_in)
    # The predicate tells unrolled rows apart, so that they share nothing.
    assert measure(sch.mod["main"], registers=True) == measure(func)

    sch = Schedule(tensor_function(x, w, y))
    i, j = sch.get_loops(sch.get_sblock("y"))
    _, i_in = sch.split(i, [None, 5])
    sch.vectorize(j)
    sch.unroll(i_in)
    assert measure(sch.mod["main"]).parameters == measure(func).parameters
    assert measure(sch.mod["main"], registers=True).parameters[1] == (2 * (6 + 1), 0)


def test_a_word_that_the_loop_writes_is_loaded_each_time():
    x = te.placeholder((4,), name="x")
    k = te.reduce_axis((0, 4), "k")
    y = te.compute((1,), lambda i: te.sum(x[k], axis=k), name="y")
    sch = Schedule(tensor_function(x, y))
    block = sch.get_sblock("y")
    _, k = sch.get_loops(block)
    sch.unroll(k)
    sch.decompose_reduction(block, k)
    assert measure(sch.mod["main"], registers=True).output == (4, 5)


def test_a_loop_may_begin_anywhere():
    y = tirx.decl_buffer((9,), name="y")
    i = tirx.Var("i", "int64")
    store = tirx.IfThenElse(i < 7, tirx.BufferStore(y, tirx.const(0.0), [i]), None)
    begin, extent = tirx.IntImm("int64", 4), tirx.IntImm("int64", 5)
    loop = tirx.For(i, begin, extent, tirx.ForKind.SERIAL, store)
    assert measure(tirx.PrimFunc([y], loop)).output == (0, 3)


def test_threads_that_fetch_together_are_the_same_threads():
    x, w = te.placeholder((64, 16), name="x"), te.placeholder((16,), name="w")
    k = te.reduce_axis((0, 16), "k")
    y = te.compute((64,), lambda i: te.sum(x[i, k] * w[k], axis=k), name="y")
    sch = Schedule(tensor_function(x, w, y))
    block = sch.get_sblock("y")
    group, thread = sch.split(sch.get_loops(block)[0], [None, 8])
    sch.bind(group, "blockIdx.x")
    sch.bind(thread, "threadIdx.x")
    shared = sch.cache_read(block, 1, "shared")
    sch.compute_at(shared, thread)
    _, fetching = sch.split(sch.get_loops(shared)[-1], [None, 8])
    sch.bind(fetching, "threadIdx.x")
    found = measure(sch.mod["main"])
    assert found.multiply_adds == 64 * 16
    # Each of the eight groups copies the weights once: each of its threads two of them.
    assert found.weights == (8 * 16, 0)
    assert found.scratch["w_shared"] == (64 * 16, 8 * 16)


def test_buffers_of_the_same_name_are_told_apart():
    x = te.placeholder((4,), name="x")
    y = te.compute((4,), lambda i: x[i] + x[0], name="x")
    assert measure(tensor_function(x, y)).parameters == ((8, 0), (0, 4))


def test_control_flow_that_depends_on_data_is_an_error():
    x, where = te.placeholder((9,), name="x"), te.placeholder((4,), "int64", name="where")
    y = te.compute((4,), lambda i: x[where[i]], name="y")
    with pytest.raises(VariantError, match=r"the value of where\[.*\] without running the kernel"):
        measure(tensor_function(x, where, y))
    body = tirx.While(tirx.const(1, "bool"), tirx.Evaluate(0))
    with pytest.raises(VariantError, match="a statement of While"):
        measure(tirx.PrimFunc([], body))


def names(*found):
    return frozenset(found)


@st.composite
def nests(draw, around=()):
    """A random nest under loops of the variables ``around``, at most three deep."""

    def index(choices):
        name = draw(st.sampled_from(choices))
        return Index(
            f"({draw(st.sampled_from(['{0}', '{0} % 2', '1 - {0}']))})".format(name), names(name)
        )

    kind = draw(st.sampled_from(["work", "block", "branch", "loop", "loop"]))
    if kind == "block":
        return block([draw(nests(around)) for _ in range(draw(st.integers(0, 2)))])
    if kind == "branch" and around:
        conditions = [index(around) for _ in range(draw(st.integers(0, 2)))]
        return branch(conditions, draw(nests(around)), draw(nests(around)))
    if kind == "loop" and len(around) < 3:
        inside = (*around, f"v{len(around)}")
        extent = Index("3") if draw(st.booleans()) or not around else index(around)
        return loop(inside[-1], extent, draw(nests(inside)))
    event = Event(draw(st.sampled_from(["load", "store", "multiply_add"])), "x")
    return NestWork({event: draw(st.integers(1, 3))})


def walked(nest, values):
    """The same counts by taking every step."""
    if isinstance(nest, NestWork):
        return Counter(nest.events)
    if isinstance(nest, Block):
        return sum((walked(part, values) for part in nest.parts), Counter())
    if isinstance(nest, Branch):
        return walked(nest.then if nest.condition.value(values) else nest.otherwise, values)
    turns = range(nest.extent.value(values))
    return sum((walked(nest.body, {**values, nest.name: turn}) for turn in turns), Counter())


@settings(max_examples=100)
@given(nests())
def test_counting_a_nest_is_walking_it_step_by_step(nest):
    assert Counter(nest.count({})) == walked(nest, {})
