"""Constants stored without their zeros are what LiteRT makes of them."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from tflite_rows import Writer, compiled, litert, options, schema

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.tflite import from_tflite
from tvm_deconv.frontends.tflite.sparse import Level, dense

DENSE, SPARSE = "dense", "sparse"


def encoded(tensor, order, block_map, blocks, forms):
    """The levels and values of a tensor, walked as the schema says."""
    rank = tensor.ndim
    sizes = list(tensor.shape) + list(blocks)
    for axis, block in zip(block_map, blocks, strict=True):
        sizes[axis] //= block

    def at(places):
        where = list(places[:rank])
        for number, axis in enumerate(block_map):
            where[axis] = where[axis] * blocks[number] + places[rank + number]
        return tensor[tuple(where)]

    def holds(prefix):
        """Whether anything but zeros lies behind these places of the first levels."""
        rest = [range(sizes[axis]) for axis in order[len(prefix) :]]
        for tail in itertools.product(*rest):
            places = [0] * len(order)
            for axis, place in zip(order, (*prefix, *tail), strict=True):
                places[axis] = place
            if at(places):
                return True
        return False

    levels, entries = [], [()]
    for axis, form in zip(order, forms, strict=True):
        behind = [
            [(*e, i) for i in range(sizes[axis]) if form == DENSE or holds((*e, i))]
            for e in entries
        ]
        entries = list(itertools.chain.from_iterable(behind))
        if form == DENSE:
            levels.append(Level(sizes[axis]))
        else:
            segments = np.cumsum([0, *map(len, behind)])
            levels.append(Level(0, segments, np.array([e[-1] for e in entries], int)))
    values = []
    for entry in entries:
        places = [0] * len(order)
        for axis, place in zip(order, entry, strict=True):
            places[axis] = place
        values.append(at(places))
    return levels, np.array(values, tensor.dtype)


@st.composite
def sparse_tensors(draw):
    rank = draw(st.integers(1, 4))
    block_map = draw(st.permutations(range(rank)))[: draw(st.integers(0, min(rank, 2)))]
    block_map.sort()
    blocks = [draw(st.integers(1, 3)) for _ in block_map]
    shape = [draw(st.integers(1, 3)) for _ in range(rank)]
    for axis, block in zip(block_map, blocks, strict=True):
        shape[axis] *= block
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    tensor = rng.integers(1, 9, shape) * (rng.random(shape) < draw(st.sampled_from([0.1, 0.5])))
    # Blocks come last and are dense, as converters write them.
    outer = draw(st.permutations(range(rank)))
    order = [*outer, *range(rank, rank + len(block_map))]
    forms = [draw(st.sampled_from([DENSE, SPARSE])) for _ in outer] + [DENSE] * len(block_map)
    return tensor.astype("float32"), order, block_map, blocks, forms


@given(sparse_tensors())
def test_any_walk_over_levels_gives_the_tensor_back(case):
    tensor, order, block_map, *_ = case
    levels, values = encoded(*case)
    np.testing.assert_array_equal(dense(values, tensor.shape, levels, order, block_map), tensor)


def sparse_constant(net, tensor, order, block_map, blocks, forms, width):
    """A constant of the file in that form, its indices in integers of ``width`` bytes."""
    levels, values = encoded(tensor, order, block_map, blocks, forms)
    number = net.constant(values)
    table = net._tensors[number]
    table.shape = np.array(tensor.shape, np.int32)
    table.sparsity = schema.SparsityParametersT()
    table.sparsity.traversalOrder = np.array(order, np.int32)
    table.sparsity.blockMap = np.array(block_map, np.int32) if block_map else None
    table.sparsity.dimMetadata = []
    name = {1: "Uint8Vector", 2: "Uint16Vector", 4: "Int32Vector"}[width]
    for level in levels:
        meta = schema.DimensionMetadataT()
        meta.denseSize = level.size
        if level.segments is not None:
            meta.format = schema.DimensionType.SPARSE_CSR
            for field, numbers in (("Segments", level.segments), ("Indices", level.indices)):
                vector = getattr(schema, f"{name}T")()
                vector.values = numbers.astype({1: "uint8", 2: "uint16", 4: "int32"}[width])
                setattr(meta, f"array{field}", vector)
                setattr(meta, f"array{field}Type", getattr(schema.SparseIndexVector, name))
        table.sparsity.dimMetadata.append(meta)
    return number


def network(folder, dtype, *form):
    """x + DENSIFY(constant), through DEQUANTIZE if the constant is float16."""
    rng = np.random.default_rng(0)
    tensor = (rng.standard_normal((4, 6)) * (rng.random((4, 6)) < 0.4)).astype(dtype)
    net = Writer()
    x, result = net.tensor((4, 6)), net.tensor((4, 6))
    weights = net.tensor((4, 6), dtype)
    net.append("DENSIFY", [sparse_constant(net, tensor, *form)], [weights], options("Densify"))
    if dtype == "float16":
        stored, weights = weights, net.tensor((4, 6))
        net.append("DEQUANTIZE", [stored], [weights], options("Dequantize"))
    net.append("ADD", [x, weights], [result], options("Add"))
    path = folder / "sparse.tflite"
    path.write_bytes(net.finish([x], [result]))
    return path, tensor


@pytest.mark.parametrize(
    ("dtype", "form"),
    [
        ("float32", ([0, 1], [], [], [DENSE, SPARSE], 1)),
        ("float32", ([1, 0], [], [], [DENSE, SPARSE], 2)),
        ("float16", ([0, 1, 2], [1], [2], [DENSE, SPARSE, DENSE], 4)),
    ],
)
def test_a_file_with_sparse_weights_computes_what_litert_does(tmp_path, dtype, form):
    path, tensor = network(tmp_path, dtype, *form)
    x = np.random.default_rng(1).standard_normal((4, 6)).astype("float32")
    (got,), (expected,) = compiled(path)([x]), litert(path.read_bytes(), [x])
    np.testing.assert_array_equal(got, expected)
    np.testing.assert_array_equal(got, x + tensor)


def test_levels_that_contradict_the_values_are_a_damaged_file(tmp_path, monkeypatch):
    def longer(values, *rest):
        return dense(values[:-1], *rest)

    monkeypatch.setattr("tvm_deconv.frontends.tflite.read.dense", longer)
    path, _ = network(tmp_path, "float32", [0, 1], [], [], [DENSE, SPARSE], 1)
    with pytest.raises(ModelError, match="is a damaged TFLite model"):
        from_tflite(path)


@pytest.mark.parametrize(
    ("levels", "order"),
    [
        ([Level(2)], [0]),
        ([Level(2), Level(3)], [0, 2]),
        ([Level(2), Level(10**12)], [0, 1]),
        ([Level(2), Level(0, np.array([0, 2, 1]), np.array([0, 1]))], [0, 1]),
        ([Level(2), Level(0, np.array([0, 1, 2]), np.array([0, -1]))], [0, 1]),
        ([Level(2), Level(0, np.array([0, 1]), np.array([0]))], [0, 1]),
    ],
)
def test_what_the_levels_of_a_matrix_cannot_be_is_refused(levels, order):
    with pytest.raises((ValueError, IndexError)):
        dense(np.ones(2, "float32"), (2, 3), levels, order, [])
