"""Tiles that overlap by the receptive field give what the whole picture gives, and not less will.

ONNX Runtime runs the network, whole and in tiles, so that only the field and the tiles are judged.
"""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import onnx
import onnxruntime
import pytest
from image_networks import demo, in_nhwc
from onnx_net import Net
from upscaling import upscaler

from tvm_deconv import importer
from tvm_deconv.pictures import tiles
from tvm_deconv.transform.receptive_field import receptive_field

# Sums of float32 in another order: ONNX Runtime splits a convolution by the size of its map.
TOLERANCE = {"rtol": 1e-4, "atol": 1e-5}
SIZES = [(73, 67), (84, 65)]


def net() -> Net:
    return Net((1, 3, 16, 16), dims=(1, 3, "h", "w"))


def dilated():
    n = net()
    x = n("Relu", n.conv("x", 3, 4, dilations=[2, 3], pads=[2, 3, 2, 3]))
    return n.model(n.conv(x, 4, 3, 4, pads=[2, 0, 1, 3]))


def valid():
    n = net()
    return n.model(
        n.deconv(n("Relu", n.conv("x", 3, 4, 5, pads=[0] * 4)), 4, 3, 4, 2, pads=[3] * 4)
    )


def encoder_decoder():
    n = net()
    x = n("Relu", n.conv("x", 3, 6, strides=[2, 2]))
    x = n("Relu", n.conv(x, 6, 6, strides=[2, 2]))
    x = n("Relu", n.deconv(x, 6, 6, 3, 2, pads=[1] * 4, output_padding=[1, 1]))
    return n.model(n.deconv(x, 6, 3, 5, 2, pads=[2, 1, 1, 2]))


def strided_output():
    n = net()
    x = n("AveragePool", "x", kernel_shape=[3, 3], strides=[2, 2], pads=[1] * 4)
    return n.model(n.conv(n("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 3, 3))


def unet(mode="linear"):
    """Strides and pools to a quarter, and back by a transposed convolution and a resize."""
    n = net()
    a = n("Relu", n.conv("x", 3, 4))
    b = n("Relu", n.conv(a, 4, 6, strides=[2, 2]))
    c = n("Relu", n.conv(n("MaxPool", b, kernel_shape=[2, 2], strides=[2, 2]), 6, 6))
    d = n("Concat", n.deconv(c, 6, 6, 2, 2), b, axis=1)
    scales = n.given(np.array([1, 1, 2, 2], "float32"))
    e = n("Concat", n("Resize", n.conv(d, 12, 4), "", scales, mode=mode), a, axis=1)
    return n.model(n.conv(e, 8, 3))


def resized(mode, transformation, rounding="round_prefer_floor", factors=(2, 2)):
    n = net()
    scales = n.given(np.array([1, 1, *factors], "float32"))
    x = n(
        "Resize",
        n.conv("x", 3, 3),
        "",
        scales,
        mode=mode,
        coordinate_transformation_mode=transformation,
        nearest_mode=rounding,
    )
    return n.model(n.conv(x, 3, 3))


def shuffled(mode):
    n = net()
    x = n("SpaceToDepth", n.conv("x", 3, 3), blocksize=2)
    x = n("DepthToSpace", n.conv(x, 12, 32), blocksize=4, mode=mode)
    return n.model(n.conv(x, 2, 3, 5))


def padded(mode, width=3):
    n = net()
    pads = n.integers(0, 0, width, width, 0, 0, width, width)
    x = n("Relu", n.conv(n("Pad", "x", pads, mode=mode), 3, 4, pads=[0] * 4))
    # Cut off again what is too much: what is padded before lies inside the tile then.
    begins, ends, axes = n.integers(1, 2), n.integers(-3, -2), n.integers(2, 3)
    return n.model(n.conv(n("Slice", x, begins, ends, axes), 4, 3, 5))


def cropped():
    """What is cut off is there, but the convolution pads zeros in its place."""
    n = net()
    begins, ends, axes = n.integers(4, 3), n.integers(-4, -5), n.integers(2, 3)
    return n.model(n.conv(n("Slice", "x", begins, ends, axes), 3, 3))


NETWORKS = {
    "cropped": (cropped(), None),
    "demo": (demo(), None),
    "demo by a resize": (demo("resize_x3"), None),
    "nhwc": (in_nhwc(upscaler(3)), None),
    "dilated": (dilated(), None),
    "valid": (valid(), None),
    "encoder and decoder": (encoder_decoder(), None),
    "a smaller result": (strided_output(), None),
    "a U-Net": (unet(), (40, 44)),
    "a cubic U-Net": (unet("cubic"), (44, 40)),
    "nearest": (resized("nearest", "asymmetric", "floor", (3, 2)), None),
    "half pixels": (resized("nearest", "half_pixel", factors=(2, 4)), None),
    "linear": (resized("linear", "half_pixel", factors=(2, 3)), None),
    "cubic": (resized("cubic", "half_pixel"), None),
    "fractional": (resized("linear", "asymmetric", factors=(1.5, 2.5)), (20, 24)),
    "shuffled CRD": (shuffled("CRD"), None),
    "shuffled DCR": (shuffled("DCR"), None),
    "reflected": (padded("reflect"), None),
    "widely reflected": (padded("reflect", 6), None),
    "edges": (padded("edge"), None),
    "zeros": (padded("constant"), None),
}


def field_of(model: onnx.ModelProto, nhwc=False, fixed=None):
    (name,) = (port.name for port in model.graph.input)
    channels = model.graph.input[0].type.tensor_type.shape.dim[1].dim_value
    shapes = None if fixed is None else {name: (1, channels, *fixed)}
    return receptive_field(importer.load(model, shapes), *((1, 2) if nhwc else (2, 3)))


class Whole:
    """A network of (channels, height, width), run by ONNX Runtime."""

    def __init__(self, model: onnx.ModelProto, nhwc: bool) -> None:
        self.session = onnxruntime.InferenceSession(model.SerializeToString())
        self.nhwc = nhwc
        taken = self.session.get_inputs()[0]
        self.name, self.channels = taken.name, taken.shape[3 if nhwc else 1]

    def __call__(self, samples: np.ndarray) -> np.ndarray:
        given = samples.transpose(1, 2, 0) if self.nhwc else samples
        (result,) = self.session.run(None, {self.name: np.ascontiguousarray(given)[None]})
        return result[0].transpose(2, 0, 1) if self.nhwc else result[0]


def in_tiles(network, samples, overlaps, fixed, at_most):
    rows, columns = (
        tiles.plan(given, overlap, fixed=size, at_most=at_most)
        for given, overlap, size in zip(
            samples.shape[1:], overlaps, fixed or (None, None), strict=True
        )
    )
    return tiles.run(network, samples, rows, columns, lambda done, of: None), rows, columns


@pytest.mark.parametrize("name", NETWORKS)
def test_tiles_give_what_the_whole_gives(name):
    model, fixed = NETWORKS[name]
    network = Whole(model, name == "nhwc")
    field = field_of(model, name == "nhwc", fixed)
    assert field.refusal is None
    for seed, size in enumerate(SIZES):
        rng = np.random.default_rng(seed)
        samples = rng.random((network.channels, *size), np.float32)
        got, rows, columns = in_tiles(network, samples, (field.h, field.w), fixed, 40)
        assert len(rows.cuts) > 1 and len(columns.cuts) > 1
        widths = [(0, 0), (0, rows.padded - size[0]), (0, columns.padded - size[1])]
        whole = network(np.pad(samples, widths, mode="reflect"))
        scales = [overlap.scale for overlap in (field.h, field.w)]
        cut = [int(width[1] * scale) for width, scale in zip(widths[1:], scales, strict=True)]
        wanted = whole[:, : whole.shape[1] - cut[0], : whole.shape[2] - cut[1]]
        np.testing.assert_allclose(got, wanted, **TOLERANCE)


# A reflection reads up to twice its width away from where it lies, at the border only; and where
# less comes out than goes in, a tile of a smaller overlap has no such samples at all.
_WIDE = ("reflected", "widely reflected", "valid", "cropped")


@pytest.mark.parametrize("name", [name for name in NETWORKS if name not in _WIDE])
def test_the_overlap_is_not_much_more_than_is_needed(name):
    """With a few samples less, tiles show: the field is that of the network, not a safe guess."""
    model, fixed = NETWORKS[name]
    network = Whole(model, name == "nhwc")
    field = field_of(model, name == "nhwc", fixed)
    samples = np.random.default_rng(3).random((network.channels, 80, 80), np.float32)
    whole, *_ = in_tiles(network, samples, (field.h, field.w), fixed, 40)
    period = max(field.h.period, field.w.period)
    narrow = [
        replace(o, before=max(o.before - 2 * period - 1, 0), after=max(o.after - 2 * period - 1, 0))
        for o in (field.h, field.w)
    ]
    got, *_ = in_tiles(network, samples, narrow, fixed, 40)
    assert np.abs(got - whole).max() > 1e-3


def after_strides(operator, *inputs, **attributes):
    """A network of one stride, then ``operator``, then a resize back."""
    n = net()
    x = n("Relu", n.conv("x", 3, 3, strides=[2, 2]))
    y = n(operator, x, *(give(n) for give in inputs), **attributes)
    return n.model(n.nearest(n("Add", x, y), 2))


def attention():
    n = net()
    flat = n("Reshape", n.conv("x", 3, 3), n.integers(1, 3, -1))
    weights = n("Softmax", n("MatMul", n("Transpose", flat, perm=[0, 2, 1]), flat), axis=-1)
    y = n("MatMul", flat, n("Transpose", weights, perm=[0, 2, 1]))
    return n.model(n("Add", "x", n("Reshape", y, n.integers(1, 3, 16, 16))))


def positions():
    n = net()
    return n.model(n("Add", "x", n.constant(1, 3, 16, 16)))


def corners():
    return resized("linear", "align_corners")


@pytest.mark.parametrize(
    ("model", "fixed", "reason"),
    [
        (
            after_strides("InstanceNormalization", lambda n: n.ones(3), lambda n: n.zeros(3)),
            None,
            "(mean|instance_norm) takes the whole picture together",
        ),
        (after_strides("GlobalAveragePool"), None, ".* takes the whole picture together"),
        (
            after_strides("ReduceMax", axes=[2], keepdims=1),
            None,
            "max takes the whole picture together",
        ),
        (attention(), (16, 16), "matmul sums over a side of the picture|softmax takes the whole"),
        (positions(), (16, 16), "a constant differs from place to place"),
        (corners(), (16, 16), "resample: it is not known to be local"),
        (after_strides("CumSum", lambda n: n.integers(2)), None, ".*: it is not known to be local"),
    ],
)
def test_what_takes_the_whole_picture_is_named(model, fixed, reason):
    field = field_of(model, fixed=fixed)
    assert re.match(reason, field.refusal), field.refusal


def test_free_sizes_that_must_be_some_number_are_no_crash():
    n = net()
    model = n.model(n("MatMul", n.conv("x", 3, 3), n.constant(16, 16)))
    assert field_of(model).refusal == "its free sizes cannot be chosen freely"


def test_the_sizes_that_a_network_wants_are_known_even_where_it_takes_the_whole_picture():
    norm = after_strides("InstanceNormalization", lambda n: n.ones(3), lambda n: n.zeros(3))
    field = field_of(norm)
    assert (field.h.period, field.h.scale) == (field.w.period, field.w.scale) == (2, 1)
