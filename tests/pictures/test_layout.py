"""The layout of a network's pictures is read from its shapes, or refused with them."""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
from image_networks import in_nhwc
from quick_network import unoptimised
from upscaling import QUICK, upscaler

from tvm_deconv import Pixels
from tvm_deconv.backends import LibraryDevice
from tvm_deconv.errors import ModelError
from tvm_deconv.library import compile_library
from tvm_deconv.metadata import Metadata, Port
from tvm_deconv.pictures.layout import Layout, read_layout
from tvm_deconv.pictures.network import Network


def described(taken, returned, dtype="float32") -> Metadata:
    return Metadata(
        tuple(Port("x", shape, dtype) for shape in taken),
        tuple(Port("y", shape, dtype) for shape in returned),
        LibraryDevice(),
        Pixels(),
        Pixels(),
        None,
        None,
    )


@pytest.mark.parametrize(
    ("taken", "returned", "layout"),
    [
        ((1, 3, 8, 9), (1, 3, 16, 18), Layout(3, 1)),
        (("n", 1, "h", "w"), ("n", 1, "h*2", "w*2"), Layout(1, 1)),
        ((1, 8, 9, 3), (1, 16, 18, 3), Layout(3, 3)),
        (("n", "h", "w", 1), ("n", "h*2", "w*2", 1), Layout(1, 3)),
        # Three rows, but the result has six.
        ((1, 3, 9, 3), (1, 6, 18, 3), Layout(3, 3)),
        ((1, 3, 9, 1), (1, 3, 18, 2), Layout(3, 1)),
    ],
)
def test_the_channels_are_the_axis_that_fits_both_ends(taken, returned, layout):
    assert read_layout(described([taken], [returned]), "net.so") == layout


@pytest.mark.parametrize(
    ("taken", "returned", "dtype", "message"),
    [
        ([(1, 3, 9, 3)], [(1, 3, 9, 3)], "float32", r"channels may be axis 1 or axis 3: compile"),
        ([(1, 1, 9, 3)], [(1, 1, 9, 3)], "float32", r"channels may be axis 1 or axis 3: compile"),
        ([(1, 2, 8, 9)], [(1, 2, 8, 9)], "float32", r"does not map .* it takes x \(1, 2, 8, 9\)"),
        ([(1, 3, 8, 9)], [(1, 1, 8, 9)], "float32", "does not map one image to one image"),
        ([(1, 3, 8, 9)], [(1, 8, 9, 3)], "float32", "does not map one image to one image"),
        ([(2, 3, 8, 9)], [(2, 3, 8, 9)], "float32", r"\(batch 1, the same 1 or 3 channels on axis"),
        ([(1, 3, 8)], [(1, 3, 8)], "float32", "does not map one image to one image"),
        ([(1, 3, 8, 9)], [(1, 3, 8, 9)], "int32", "does not map one image to one image"),
        (
            [(1, 3, 8, 9)] * 2,
            [(1, 3, 8, 9)],
            "float32",
            r"takes x .*, x \(1, 3, 8, 9\) float32 and",
        ),
        ([(1, 3, 8, 9)], [], "float32", "does not map one image to one image"),
    ],
)
def test_other_shapes_are_refused_with_what_they_are(taken, returned, dtype, message):
    with pytest.raises(ModelError, match=message):
        read_layout(described(taken, returned, dtype), "net.so")


@pytest.mark.parametrize(("channels", "dims"), [(3, (1, 5, 7)), (1, (1, "h", "w"))])
def test_a_network_in_nhwc_gives_what_onnx_runtime_gives(tmp_path, channels, dims):
    model = in_nhwc(upscaler(channels, dims))
    compile_library(model, tmp_path / "net.so", unoptimised(), variant=QUICK)
    planes = np.random.default_rng(1).random((1, channels, 5, 7), np.float32)
    session = onnxruntime.InferenceSession(model.SerializeToString())
    (wanted,) = session.run(None, {"x": planes.transpose(0, 2, 3, 1)})
    network = Network.open(tmp_path / "net.so")
    assert network.layout == Layout(channels, 3)
    np.testing.assert_allclose(network(planes), wanted.transpose(0, 3, 1, 2), atol=1e-5)
