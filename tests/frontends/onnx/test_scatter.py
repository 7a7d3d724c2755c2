"""Writing into a slice, ``x[a:b, c:d] = v``, as both exporters of PyTorch write it down."""

from __future__ import annotations

from collections.abc import Callable
from itertools import cycle

import numpy as np
import pytest
import tvm
from onnx_net import Net
from onnx_rows import Table, c, floats, model_of, row
from onnx_runtime import assert_same_as_onnx_runtime
from quick_network import compiled

from tvm_deconv.errors import ModelError
from tvm_deconv.importer import load

SIZES = [(2, 4, 6, 10), (1, 4, 5, 5), (3, 4, 7, 9)]
END = 2**63 - 1


def size(n, x, axis):
    return n("Gather", n("Shape", x), n.given(np.array(axis)), axis=0)


def steps(n, x, axis, begin=0, end=END, step=1):
    """range(x.shape[axis])[begin:end:step]"""
    zero, one = n.given(np.array(0)), n.given(np.array(1))
    whole = n("Range", zero, size(n, x, axis), one)
    if (begin, end, step) == (0, END, 1):
        return whole
    bounds = [n.integers(value) for value in (begin, end, 0, step)]
    return n("Slice", whole, *bounds)


def sliced(n, x, slices):
    for axis, (begin, end, step) in slices.items():
        x = n("Slice", x, *(n.integers(value) for value in (begin, end, axis, step)))
    return x


def by_tracing(n, x, slices, value, rank=4, **attributes):
    """As the tracing exporter writes it: places along all axes, each expanded to all of them."""
    ranges = [
        n("Reshape", steps(n, x, a, *slices.get(a, ())), n.integers(-1, *[1] * (rank - 1 - a)))
        for a in range(rank)
    ]
    total = ranges[0]
    for one in ranges[1:]:
        total = n("Add", total, one)
    whole = n("Shape", total)
    kept = n("Where", n("Equal", whole, n.integers(*[-1] * rank)), n.integers(*[1] * rank), whole)
    columns = [n("Unsqueeze", n("Expand", one, kept), n.integers(-1)) for one in ranges]
    new = n("Reshape", value(n, sliced(n, x, slices)), whole)
    return n("ScatterND", x, n("Concat", *columns, axis=-1), new, **attributes)


def by_dynamo(n, x, slices, value, rank=4, **attributes):
    """As the dynamo exporter does: one axis after the other, each in front while it is written."""
    (axis, bounds), *inner = slices.items()
    part = sliced(n, x, {axis: bounds})
    new = by_dynamo(n, part, dict(inner), value, rank) if inner else value(n, part)
    front = [axis, *(a for a in range(rank) if a != axis)]
    places = n("Unsqueeze", steps(n, x, axis, *bounds), n.integers(-1))
    data, updates = (n("Transpose", y, perm=front) for y in (x, new))
    written = n("ScatterND", data, places, updates, **attributes)
    return n("Transpose", written, perm=list(np.argsort(front)))


def constant(n, part):
    return n("Expand", n.given(np.float32(5)), n("Shape", part))


def tensor(n, part):
    return n("Mul", part, n.given(np.float32(-2)))


SLICES = {
    "at the end, by negative bounds": {2: (-4, -2, 1), 3: (-2, END, 1)},
    "less the borders": {2: (1, -1, 1), 3: (2, END, 1)},
    "every other element": {2: (0, END, 2), 3: (1, END, 3)},
    "backwards": {3: (-1, -END, -2)},
    "all images but the first, of which there may be none": {0: (1, END, 1)},
    "of channels and rows": {1: (1, 3, 1), 2: (0, 2, 1)},
    "one column": {3: (-1, END, 1)},
}


def model(*outputs: Callable[[Net], str], dims=("n", 4, "h", "w")):
    net = Net(SIZES[0], dims=dims)
    return net.model(*[output(net) for output in outputs])


@pytest.mark.parametrize("way", [by_tracing, by_dynamo])
def test_a_slice_of_free_sizes_is_written(way):
    outputs = [
        lambda n, slices=slices, value=value: way(n, "x", slices, value)
        for slices, value in zip(SLICES.values(), cycle([constant, tensor]), strict=False)
    ]
    assert_same_as_onnx_runtime(model(*outputs), *SIZES)


def test_what_is_written_is_combined_with_what_was_there():
    outputs = [
        lambda n, kind=kind: by_tracing(n, "x", {2: (1, -1, 2)}, tensor, reduction=kind)
        for kind in ("add", "mul")
    ]
    assert_same_as_onnx_runtime(model(*outputs), *SIZES)


def filled(value):
    return lambda n, part: n("Expand", value, n("Shape", part))


def parts_of_a_shifted_window(n):
    """Of an image padded to windows of 4: the borders that a shift by 2 brings together."""
    rest = n("Mod", n("Neg", n("Gather", n("Shape", "x"), n.integers(2, 3), axis=0)), n.integers(4))
    x = n("Pad", "x", n("Concat", n.integers(*[0] * 6), rest, axis=0))
    cuts, number = ((0, -4, 1), (-4, -2, 1), (-2, END, 1)), 0
    for rows in cuts:
        for columns in cuts:
            value = n.given(np.float32(number))
            x = by_dynamo(
                n,
                x,
                {2: rows, 3: columns},
                lambda n, part, v=value: n("Expand", v, n("Shape", part)),
            )
            number += 1
    return x


def test_the_mask_of_shifted_windows_is_right_for_an_image_of_one_window_too():
    sizes = [(1, 4, 12, 14), (2, 4, 3, 4), (1, 4, 11, 21)]
    assert_same_as_onnx_runtime(model(parts_of_a_shifted_window), *sizes)


def test_a_tensor_that_does_not_fill_the_slice_is_an_error_when_run():
    two = np.float32([[[[1], [2]]]])
    proto = model(
        lambda n: by_dynamo(
            n, "x", {2: (-2, END, 1)}, lambda n, _: n.given(np.tile(two, (1, 4, 1, 1)))
        ),
        dims=(1, 4, "h", 1),
    )
    main = compiled(proto)
    assert_same_as_onnx_runtime(proto, (1, 4, 2, 1), (1, 4, 7, 1), main=main)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(tvm.runtime.tensor(np.zeros((1, 4, 1, 1), "float32")))


def test_a_place_outside_of_a_free_size_is_an_error_when_run():
    def to_row_three(n):
        return n("ScatterND", "x", n.given(np.array([[3], [2]])), n.constant(2, 5))

    proto = model(to_row_three, dims=("h", 5))
    main = compiled(proto)
    assert_same_as_onnx_runtime(proto, (4, 5), (9, 5), main=main)
    with pytest.raises(RuntimeError, match="match_cast"):
        main(tvm.runtime.tensor(np.zeros((3, 5), "float32")))


X = floats(4, 5, 3)
PLACES = [
    np.array([[3], [1]]),
    np.array([[-1], [-3]]),
    np.array([[[0, 1]], [[2, 1]]]),
    np.array([[[-4, 4], [-4, 2], [-4, 0]], [[-2, 4], [-2, 2], [-2, 0]]]),
    # None of a grid: from the end to the beginning, on a diagonal, unevenly.
    np.array([[-1], [0], [1]]),
    np.array([[0, 0], [1, 1], [2, 2]]),
    np.array([[0], [1], [3]]),
    np.array([[2, 2, 1]]),
]
TABLE = Table(
    [
        row("ScatterND", X, index, floats(*places.shape[:-1], *X.shape[places.shape[-1] :]), **a)
        for places in PLACES
        for index in (c(places), places)
        for a in ({"opset": 13}, {"opset": 18, "reduction": "max"})
    ]
)


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_places_are_those_of_onnx_runtime(one):
    TABLE.check(one)


REFUSED = [
    (row("ScatterND", X, c([[4]]), floats(1, 5, 3)), "its index 4 is outside of an axis of 4"),
    (
        row("ScatterND", X, c([[0], [1]]), floats(1, 5, 3)),
        r"writes \[1, 5, 3\] to places of the shape \[2, 5, 3\]",
    ),
]


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_fits_at_no_size_is_refused_in_words(one, reason):
    with pytest.raises(ModelError, match=reason) as caught:
        load(model_of([one])[0])
    assert f"rows: ScatterND 'n0' (opset {one.opset})" in str(caught.value)
