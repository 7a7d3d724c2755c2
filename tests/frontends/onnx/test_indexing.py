"""Reductions and operators that move elements, of ONNX: computed or refused by attribute."""

from __future__ import annotations

import re

import numpy as np
import pytest
from onnx import TensorProto
from onnx_rows import Constant, Table, c, check_refused, floats, ints, model_of, row

import tvm_deconv
from tvm_deconv.importer import load

X = floats(2, 3, 4)
POSITIVE = np.abs(X) + 0.1
NONE = Constant(np.zeros(0, "int64"))
_KINDS = ("Max", "Min", "Sum", "Mean", "Prod", "L1", "L2", "LogSum", "LogSumExp", "SumSquare")


def _since(kind):
    """The opset since which axes are an input."""
    return 13 if kind == "Sum" else 18


REDUCTIONS = [
    *(row(f"Reduce{kind}", POSITIVE, opset=11, axes=[-1, 0], keepdims=0) for kind in _KINDS),
    row("ReduceSum", X, opset=11),
    row("ReduceMean", X, opset=11, keepdims=0, axes=[1]),
    *(
        row(f"Reduce{kind}", POSITIVE if "Log" in kind else X, *axes, opset=_since(kind), **a)
        for kind in _KINDS
        for axes, a in (
            ((ints(-1, 0),), {"keepdims": 0}),
            ((NONE,), {"noop_with_empty_axes": 1}),
            ((NONE,), {"keepdims": 0}),
        )
    ),
    row("ReduceSum", X),
    row("ReduceL2", X, opset=18, noop_with_empty_axes=1),
    *(row(f"Reduce{kind}", X, ints(1), opset=18, free=(0, 1)) for kind in ("Mean", "L2")),
    *(
        row(f"Reduce{kind}", np.arange(1, 25).reshape(2, 3, 4), ints(1), opset=_since(kind))
        for kind in ("Sum", "Max", "L2", "LogSum", "LogSumExp", "Mean")
    ),
    row("ReduceL2", np.float16([300, 400]), opset=11),
    row("ReduceMax", np.array([[True, False], [False, False]]), ints(1), opset=20),
    row("ReduceMin", np.array([[1, 2], [3, 200]], "uint8"), ints(1), opset=18),
]

TIES = np.float32([[3, 1, 3, 2], [5, 5, 0, 5], [-1, -1, -1, -1]])
SEARCHES = [
    *(
        row(name, TIES, free=free, **a)
        for name in ("ArgMax", "ArgMin")
        for a in ({}, {"axis": -1, "keepdims": 0}, {"axis": 1, "select_last_index": 1})
        for free in ((), (0, 1))
    ),
    *(
        row("TopK", floats(4, 6), ints(3), outputs=2, **a)
        for a in ({}, {"axis": 0}, {"largest": 0})
    ),
    row("TopK", floats(4, 6), ints(3), outputs=2, axis=1, sorted=0, judge="standard"),
    row("TopK", TIES, ints(2), outputs=2),
    *(
        row("CumSum", floats(3, 4), c(axis, kind), opset=14, **a)
        for axis, kind, a in (
            (1, "int64", {}),
            (-2, "int32", {"exclusive": 1, "reverse": 1}),
            (0, "int64", {"reverse": 1}),
        )
    ),
    row("NonZero", TIES),
    *(
        row("OneHot", np.array([[0, 2], [-1, 7]]), c(3), c([0.5, 2], "float32"), axis=a)
        for a in (-1, 0, -2)
    ),
    row("OneHot", np.float32([0, 2]), c(3), c([0, 1])),
]

PLACES = np.array([[0, 1], [1, -1]])
MOVES = [
    row("Split", X, ints(1, 2), axis=1, outputs=2, free=(1,)),
    row("Split", X, outputs=2, axis=2),
    row("Split", X, opset=11, outputs=2, axis=-1, split=[3, 1]),
    row("Split", X, opset=18, outputs=2, axis=1, num_outputs=2),
    # Backwards, of sizes that are free.
    row("Slice", X, ints(5, -1), ints(-3, -(2**63)), ints(2, 1), ints(-2, -1), free=(1, 2)),
    row("Slice", X, ints(2**31, -2), ints(0, -100), ints(2, 1), ints(-1, -2), free=(1, 2)),
    row("Slice", X, ints(-3, 0), ints(2**63 - 1, 2**63 - 1), ints(1, 2), ints(3, 1), free=(1,)),
    *(row("Gather", X, c(PLACES), axis=axis) for axis in (0, 1, -1)),
    row("Gather", X, c(PLACES), axis=1, free=(0, 1, 2)),
    row("Gather", X, c(-1), axis=1),
    row("Gather", X, c([1, 0], "int32"), axis=2),
    row("Gather", X, np.array([2, -2]), axis=2),
    row("Gather", X, np.array([2, -2], "int32"), axis=2, free=(2,)),
    row("GatherElements", X, c([[[0, -1, 2, 1]]] * 2), axis=1),
    row("GatherND", X, c([[0, 1], [-1, 2]])),
    row("GatherND", X, c([1, -1, 2])),
    row("GatherND", X, np.array([[1, -3], [0, -1]]), free=(0, 1)),
    *(row("GatherND", X, i(PLACES), opset=12, batch_dims=1) for i in (c, np.array)),
    row("GatherND", X, c([[[2], [0]], [[1], [-1]]]), batch_dims=1, free=(1, 2)),
    row(
        "ScatterElements",
        X,
        c([[[0, 1, 2, 1]]] * 2),
        floats(2, 1, 4),
        opset=18,
        axis=1,
        reduction="add",
    ),
    row("ScatterND", X, c([[0, 1], [-1, 2]]), floats(2, 4)),
    *(
        row("ReverseSequence", floats(4, 3, 2), lengths, time_axis=time, batch_axis=1 - time)
        for time, lengths in ((0, ints(4, 1, 3)), (0, np.array([1, 2, 3])), (1, ints(1, 0, 3, 2)))
    ),
    row("ReverseSequence", floats(4, 3), ints(4, 1, 3), free=(0, 1)),
    *(
        row("Slice", X, *bounds, free=free)
        for bounds in (
            (ints(1), ints(3), ints(1)),
            (ints(-2), ints(2**63 - 1), ints(-1)),
            (ints(3), ints(-(2**63) + 1), ints(2), ints(-1)),
            (ints(-1, 2), ints(-4, 0), ints(2, 1), ints(-2, -1)),
            (ints(0, 0, 1), ints(2, 2, 3)),
            (ints(0), ints(100), ints(0)),
            (c([1], "int32"), c([3], "int32")),
        )
        for free in ((), (0, 1, 2))
        if not (free and len(bounds) == 2 and bounds[0].array.dtype == "int32")
    ),
    *(
        row("Slice", X, opset=9, **a)
        for a in (
            {"starts": [1], "ends": [3], "axes": [2]},
            {"starts": [0, -2], "ends": [1, 100]},
            {"starts": [-3], "ends": [-1], "axes": [-1]},
        )
    ),
    row("Split", floats(6, 4), opset=11, outputs=3, axis=0, split=[1, 2, 3]),
    row("Split", floats(6, 4), opset=11, outputs=2, axis=-1),
    row("Split", floats(6, 4), ints(1, 2, 3), outputs=3),
    row("Split", floats(7, 4), opset=18, outputs=3, num_outputs=3),
    row("Split", floats(3, 6), ints(2, 4), outputs=2, axis=1, free=(1,)),
    row("Split", floats(6, 4), opset=18, outputs=2, num_outputs=2, free=(1,)),
    row("Concat", X, floats(2, 5, 4), axis=-2),
    row("Concat", X, c(floats(2, 3, 2)), axis=2, opset=11),
    *(
        row("Reshape", X, ints(*to), free=free)
        for to in ((0, -1), (-1, 0, 2))
        for free in ((), (0,))
    ),
    row("Transpose", X, perm=[2, 0, 1]),
    row("Transpose", X),
    *(row("Flatten", X, axis=axis) for axis in (0, 1, 3, -1)),
    row("Flatten", X, free=(0, 1)),
    *(row("Squeeze", floats(1, 3, 1, 4), opset=11, **a) for a in ({}, {"axes": [0, 2]})),
    *(row("Squeeze", floats(1, 3, 1, 4), *axes) for axes in ((), (ints(-2),))),
    row("Squeeze", floats(1, 3, 1, 4), ints(0), free=(1, 3)),
    row("Squeeze", floats(1, 3, 1, 4), free=(1, 3)),
    row("Squeeze", floats(1, 3, 1, 4), ints(0, 2), free=(0, 1)),
    row("Unsqueeze", X, opset=11, axes=[0, 4]),
    row("Unsqueeze", X, ints(3, 1)),
    *(
        row("Expand", floats(1, 3, 4), ints(*to))
        for to in ((2, 3, 4), (3, 4), (5, 1, 3, 1), (1,), (2, 1, 1))
    ),
    *(row("Expand", floats(1, 3, 4), ints(*to), free=(1,)) for to in ((1,), (2, 1, 1))),
    *(row("Tile", X, ints(2, 1, 3), free=free) for free in ((), (0, 2))),
    *(
        row("Trilu", x, *k, opset=14, upper=u)
        for u in (0, 1)
        for x, k in ((floats(3, 4), ()), (X, (c(1),)))
    ),
    *(
        row("Shape", X, opset=15, **a)
        for a in ({}, {"start": 1}, {"end": -1}, {"start": -2, "end": 9})
    ),
    *(row("Shape", X, opset=15, free=(0, 2), **a) for a in ({}, {"start": 1})),
    row("Size", X),
    row("Size", X, free=(0,)),
    row("Cast", np.float32([-2.7, -1.5, 0.5, 1.5, 100]), to=6),
    row("Cast", np.float32([-2.7, 0, 0.5]), to=9),
    row("Cast", np.array([True, False]), to=10),
    row("EyeLike", floats(3, 4), k=1, dtype=6),
    row("Dropout", X, outputs=2),
    row("Dropout", X, opset=10, ratio=0.3),
    row("Identity", X),
]

_GRID = (np.random.default_rng(1).random((1, 4, 3, 2)) * 2.6 - 1.3).astype("float32")
GRIDS = [
    *(
        row(
            "GridSample",
            floats(1, 2, 5, 6),
            _GRID,
            opset=16,
            mode=mode,
            padding_mode=padding,
            align_corners=corners,
        )
        for mode, padding, corners in (
            ("bilinear", "zeros", 0),
            ("bilinear", "border", 1),
            ("bilinear", "reflection", 0),
            ("nearest", "zeros", 1),
            ("nearest", "reflection", 1),
            ("bicubic", "border", 0),
            ("bicubic", "reflection", 1),
            ("bicubic", "zeros", 0),
        )
    ),
    row("GridSample", floats(1, 2, 5, 6), _GRID[:, :3], opset=16),
    *(
        row("AffineGrid", floats(2, axes, axes + 1), ints(2, 3, *(4, 5, 6)[:axes]), opset=20, **a)
        for axes in (2, 3)
        for a in ({}, {"align_corners": 1})
    ),
    *(
        row("GridSample", floats(1, 2, 5, 6), _GRID, opset=20, mode=m)
        for m in ("linear", "nearest", "cubic")
    ),
    row("GridSample", floats(1, 2, 3, 4, 5), floats(1, 2, 3, 4, 3), opset=20),
    row("GridSample", floats(1, 2, 5, 6), _GRID, opset=16, free=(2, 3)),
    row("GridSample", floats(1, 2, 5, 6).astype("float16"), _GRID.astype("float16"), opset=20),
]

TABLE = Table([*REDUCTIONS, *SEARCHES, *MOVES, *GRIDS])


@pytest.mark.parametrize("one", TABLE.rows, ids=str)
def test_an_attribute_is_computed_as_onnx_runtime_does(one):
    TABLE.check(one)


REFUSED = [
    (row("ReverseSequence", floats(4, 3), ints(5, 1, 3)), "length 5 is outside of an axis of 4"),
    (row("ReverseSequence", floats(4, 3), ints(1, 3)), r"has \[2\] lengths for the 3 elements"),
    (
        row("ReverseSequence", floats(4, 3, 2), ints(1, 3, 1, 1), time_axis=2, batch_axis=0),
        r"batch_axis is 0 and time_axis 2 of \[4, 3, 2\]: give 0 and 1",
    ),
    (row("Split", X, ints(5, -1), axis=2, outputs=2), "no size is negative"),
    (row("Split", X, np.array([2, 2]), axis=2, outputs=2), "its sizes are computed at run time"),
    (row("GridSample", X, floats(2, 3, 2), opset=16), "the rank of the grid tensor - 2"),
    (row("Split", X, ints(1, 1), axis=1, outputs=2), r"split is \[1, 1\]|Mismatch|do not sum|sum"),
    (row("Add", X, c([1, 2, 3], "float32"), free=(2,)), "depends on free sizes: give the shapes"),
    (row("GridSample", X[None], _GRID, opset=16, free=(0,)), "give the shapes of the inputs"),
    (row("ReduceSum", X, ints(5)), "axes: 5 is not one of a tensor with 3 axes|axis"),
    (row("ReduceSum", X, ints(1, -2)), r"axes \[1, -2\] name one twice"),
    (row("ReduceSum", X, np.array([1])), "its axes are computed at run time"),
    (row("TopK", X, ints(7), outputs=2), "Axis has less than the requested k elements"),
    (row("TopK", np.arange(6, dtype="uint16"), ints(2), outputs=2), "its input is uint16: sorted"),
    (row("Cast", X, to=TensorProto.FLOAT8E4M3FNUZ, opset=19), "to is FLOAT8E4M3FNUZ, which TVM"),
    (row("Gather", X, c(7), axis=2), "its index 7 is outside of an axis of 4"),
    (row("Gather", X, c(0), axis=3), "axis"),
    (row("GatherND", X, c([[0, -4]]), free=(0,)), "its index -4 is outside of an axis of 3"),
    (
        row("GatherND", X, np.array([[0], [1], [2]]), opset=12, batch_dims=1),
        r"the first 1 axes of \[2, 3, 4\] and of \[3, 1\] differ",
    ),
    (row("Slice", X, ints(1), ints(3), ints(1), ints(0)), "'step' cannot be 0"),
    (row("Slice", X, ints(2), ints(1), ints(2), free=(2,)), "there is nothing to compute"),
    (row("Slice", X, ints(2), ints(1), ints(2)), "there is nothing to compute"),
    (row("Slice", X, np.array([1]), ints(3)), "its starts are computed at run time"),
    (row("Expand", floats(1, 3, 4), ints(3, 4), free=(1,)), "cannot be expanded to 3"),
    (row("Reshape", X, ints(5, 5)), "Reshape expects"),
    (row("OneHot", np.array([0]), c(0), c([0, 1])), "depth must be one positive number|elements"),
    (
        row("Dropout", X, c(0.5, "float32"), c(True)),
        "training_mode is true: export the model for inference",
    ),
    (
        row(
            "RoiAlign",
            floats(1, 2, 8, 8),
            np.float32([[0, 0, 6, 5]]),
            np.array([0]),
            opset=16,
            mode="max",
        ),
        "mode is 'max': computed is 'avg'",
    ),
    (
        row("NonMaxSuppression", floats(1, 3, 4), floats(1, 1, 3), np.array([2])),
        "its max_output_boxes_per_class are computed at run time",
    ),
]


@pytest.mark.parametrize("far", [2**31 - 1, 2**31, 2**63 - 1])
@pytest.mark.parametrize("step", [1, -2])
def test_a_slice_to_the_end_of_a_free_size_has_no_size_but_that(far, step):
    """A number would be taken for the size that the result may have, and be reserved."""
    bounds = (ints(1), ints(far)) if step > 0 else (ints(-1), ints(-far))
    one = row("Slice", X, *bounds, ints(1), ints(step), free=(1,))
    result = load(model_of([one])[0])["main"].ret_ty
    assert not re.search(r"\d{6}", str(result.shape[1]))


@pytest.mark.parametrize(("one", "reason"), REFUSED, ids=lambda value: str(value)[:60])
def test_what_is_not_computed_is_refused_in_words(one, reason):
    check_refused(one, reason)


def test_indices_that_are_constants_print_no_warning(capfd):
    model = model_of([row("Gather", floats(3, 4), ints(0, 2), axis=1)])[0]
    tvm_deconv.compile(model)
    assert capfd.readouterr() == ("", "")
