"""Resampling that an importer emits gives what PyTorch computes, at fixed and at free sizes."""

from __future__ import annotations

import numpy as np
import pytest
import torch
import tvm
from quick_network import built
from relax_helpers import compiled, conv, module, operators
from tvm import relax

from tvm_deconv.errors import ModelError
from tvm_deconv.frontends.resample import resample
from tvm_deconv.frontends.resampled import Resampled, tables, whole_ratio
from tvm_deconv.frontends.taps import Nearest, cubic, linear
from tvm_deconv.transform.rewrite import explain, rewrite_upsampling

SHAPE = (2, 3, 7, 10)
FREE = (2, 3, "h", "w")


def from_sizes(shift):
    """PyTorch's coordinates: the step from the sizes, centres of samples at 0.5 or at 0."""

    def coordinate(ops, i, n, m):
        return (i + shift) * (n / m) - shift

    return coordinate


def floored(ops, i, n, m):
    return i * (n / m)


def corners(ops, i, n, m):
    return i * ((n - 1.0) / ops.largest(m - 1.0, 1.0))


def halves(ops, i, n, m):
    return (i + 0.5) * (n / m)


# PyTorch's options, its coordinate, the kernel for a step.
KINDS = {
    "nearest": ({"mode": "nearest"}, floored, lambda step: Nearest("floor")),
    "nearest-exact": ({"mode": "nearest-exact"}, halves, lambda step: Nearest("floor")),
    "bilinear": ({"mode": "bilinear"}, from_sizes(0.5), lambda step: linear()),
    "bilinear, corners": (
        {"mode": "bilinear", "align_corners": True},
        corners,
        lambda step: linear(),
    ),
    "bicubic": ({"mode": "bicubic"}, from_sizes(0.5), lambda step: cubic()),
    "bicubic, corners": (
        {"mode": "bicubic", "align_corners": True},
        corners,
        lambda step: cubic(),
    ),
    "bilinear, antialias": (
        {"mode": "bilinear", "antialias": True},
        from_sizes(0.5),
        lambda step: linear(step, exclude_outside=True),
    ),
    "bicubic, antialias": (
        {"mode": "bicubic", "antialias": True},
        from_sizes(0.5),
        lambda step: cubic(-0.5, step, exclude_outside=True),
    ),
}
TARGETS = [(14, 20), (13, 4), (3, 25), (1, 1), (7, 1)]


def resampled(kind, targets, steps=None):
    """Axes 2 and 3 of SHAPE to ``targets``; ``steps`` are input samples for one output sample."""
    _, coordinate, kernel = KINDS[kind]
    steps = steps or [n / m for n, m in zip(SHAPE[2:], targets, strict=True)]
    return [
        Resampled(2 + i, target, coordinate, kernel(step))
        for i, (target, step) in enumerate(zip(targets, steps, strict=True))
    ]


def all_of(kind, shape, dtype="float32"):
    """One function with the result for each of TARGETS."""

    def body(builder, x):
        return relax.Tuple([resample(builder, x, resampled(kind, t)) for t in TARGETS])

    return module(body, shape, dtype)


def run(mod, x):
    main = built(mod)
    return [value.numpy() for value in main(tvm.runtime.tensor(x))]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shape", [SHAPE, FREE], ids=["fixed", "free"])
def test_it_is_what_pytorch_computes(kind, shape):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    for target, got in zip(TARGETS, run(all_of(kind, shape), x), strict=True):
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(x), size=target, **KINDS[kind][0]
        ).numpy()
        np.testing.assert_allclose(got, expected, rtol=0, atol=3e-6, err_msg=f"{target}")


@pytest.mark.parametrize(("dtype", "tolerance"), [("float16", 2e-3), ("float64", 1e-13)])
def test_half_and_double_precision_keep_their_type(dtype, tolerance):
    x = np.random.default_rng(0).standard_normal(SHAPE).astype(dtype)
    for target, got in zip(TARGETS, run(all_of("bicubic", SHAPE, dtype), x), strict=True):
        expected = torch.nn.functional.interpolate(
            torch.from_numpy(x.astype("float64")), size=target, mode="bicubic"
        ).numpy()
        assert got.dtype == dtype
        np.testing.assert_allclose(got, expected, rtol=0, atol=tolerance)


@pytest.mark.parametrize("shape", [SHAPE, FREE], ids=["fixed", "free"])
@pytest.mark.parametrize("kind", ["nearest", "nearest-exact"])
def test_nearest_by_whole_factors_is_the_operator_that_the_rewrite_knows(kind, shape):
    def body(builder, x):
        height, width = x.ty.shape.values[2:]
        axes = resampled(kind, (height * 2, width * 3), (1 / 2, 1 / 3))
        return conv(builder, resample(builder, x, axes))

    new, report = rewrite_upsampling(module(body, shape))
    assert [layer.before for layer in report.layers] == ["resize 2x3, conv 3x3 3->8"]
    assert "relax.image.resize2d" not in operators(new)


@pytest.mark.parametrize(
    ("axes", "layout"), [((2, 3), "NCHW"), ((3,), "NCHW"), ((1, 2), "NHWC"), ((0, 1), None)]
)
def test_the_layout_of_that_operator_follows_the_axes(axes, layout):
    def body(builder, x):
        return resample(builder, x, [nearest(axis, 2 * SHAPE[axis]) for axis in axes])

    mod = module(body, SHAPE)
    assert (f'layout="{layout}"' in mod.script()) == (layout is not None)
    x = np.random.default_rng(0).standard_normal(SHAPE).astype("float32")
    expected = x
    for axis in axes:
        expected = expected.repeat(2, axis)
    np.testing.assert_array_equal(compiled(mod, x), expected)


def nearest(axis, size):
    return Resampled(axis, size, floored, Nearest("floor"))


@pytest.mark.parametrize("shape", [SHAPE, FREE], ids=["fixed", "free"])
@pytest.mark.parametrize("kind", KINDS)
def test_an_axis_that_stays_costs_nothing(kind, shape):
    def body(builder, x):
        return resample(builder, x, resampled(kind, x.ty.shape.values[2:], (1, 1)))

    assert operators(module(body, shape)) == []


def test_any_rank_axis_and_type_is_resampled():
    def body(builder, x):
        return resample(builder, x, [nearest(0, 7), nearest(4, 3)])

    x = np.random.default_rng(0).integers(0, 99, (4, 1, 2, 3, 5)).astype("int8")
    got = compiled(module(body, x.shape, "int8"), x)
    np.testing.assert_array_equal(got, x[np.arange(7) * 4 // 7][..., np.arange(3) * 5 // 3])


@pytest.mark.parametrize("shape", [(1, 6), (1, "n")], ids=["fixed", "free"])
def test_places_outside_get_the_fill_value(shape):
    def body(builder, x):
        shifted = Resampled(1, 9, lambda ops, i, n, m: i - 1.5, linear(), fills=True)
        return resample(builder, x, [shifted], fill=7.0)

    x = np.arange(6, dtype="float32")[None] * 10
    got = compiled(module(body, shape), x)
    np.testing.assert_array_equal(got, [[7, 7, 5, 15, 25, 35, 45, 7, 7]])


def test_a_tie_and_its_neighbour_fall_to_their_sides():
    places = np.float32([0.5, 0.49999, 1.5000004, 2.4999998, -0.5])

    def taken(rounding):
        at = Resampled(0, 5, lambda ops, i, n, m: places, Nearest(rounding))
        return tables(at, 6, 5, "float32")[0][0].tolist()

    assert taken("round_prefer_floor") == [0, 0, 1, 2, 0]
    assert taken("round_prefer_ceil") == [1, 0, 2, 3, 0]
    assert taken("floor") == [0, 0, 1, 2, 0]
    assert taken("ceil") == [1, 1, 2, 3, 0]


@pytest.mark.parametrize(
    ("kind", "targets", "reason"),
    [
        (
            "bilinear",
            (9, 25),
            "linear resampling of axes 2, 3, from 7 to 9 samples along axis 2, by no whole factor",
        ),
        (
            "bicubic",
            (14, 20),
            "cubic resampling of axes 2, 3, whose weights along axis 2 are not those of linear "
            "interpolation",
        ),
        (
            "bilinear, corners",
            (14, 20),
            "linear resampling of axes 2, 3, which does not lie at (i + 1/2)/r - 1/2 along axis 2",
        ),
        ("nearest", (9, 25), "nearest resampling of axes 2, 3, no nearest resize by whole factors"),
    ],
)
def test_a_resampling_that_stays_is_in_the_report(kind, targets, reason):
    def body(builder, x):
        return conv(builder, resample(builder, x, resampled(kind, targets)))

    (layer,) = explain(module(body, SHAPE)).layers
    assert (layer.status, layer.reason) == ("refused", f"lv1 is {reason}")


@pytest.mark.parametrize(
    ("dtype", "axis", "reason"),
    [
        ("float32", nearest(2, 10**9), r"7 samples cannot be resampled to 1000000000: sizes are"),
        ("float32", nearest(2, 0), "to 0: sizes are from 1 to 16777216"),
        ("int32", Resampled(2, 9, floored, linear()), "linear interpolation of int32 is not"),
    ],
)
def test_what_cannot_be_resampled_is_refused(dtype, axis, reason):
    with pytest.raises(ModelError, match=reason):
        module(lambda builder, x: resample(builder, x, [axis]), SHAPE, dtype)


H, W = (tvm.tirx.Var(name, "int64") for name in "hw")


@pytest.mark.parametrize(
    ("size", "target", "ratio"),
    [
        (H, H * 3, 3),
        (H * 3 - 1, H * 6 - 2, 2),
        (H * 3 - 1, H * 6 - 1, None),
        ((H - 1) // 2 + 1, ((H - 1) // 2 + 1) * 4, 4),
        # Where h is odd.
        ((H - 1) // 2 + 1, H + 1, None),
        (H, W, None),
        (H, 7, None),
        (H * 5, H, None),
        (
            H,
            tvm.tirx.Cast("int64", tvm.tirx.Cast("float32", H) * tvm.tirx.const(2.5, "float32")),
            None,
        ),
    ],
    ids=str,
)
def test_the_ratio_of_free_sizes_holds_for_all_of_them(size, target, ratio):
    assert whole_ratio(size, target) == ratio
