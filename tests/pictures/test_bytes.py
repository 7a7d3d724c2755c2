"""Networks that take bytes are given those of a picture, and those that return them give one."""

from __future__ import annotations

import numpy as np
import onnx
import onnxruntime
import pytest
from image_networks import demo, wrapped
from onnx import TensorProto, numpy_helper
from PIL import Image
from quick_network import unoptimised

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.library import compile_library

DTYPES = {"uint8": TensorProto.UINT8, "int8": TensorProto.INT8, "float32": TensorProto.FLOAT}


def of_types(given: str, returned: str) -> onnx.ModelProto:
    """A trained network for luma in 0..1, of free size, between other types."""
    ends = [
        [] if dtype == "float32" else [(operator, ["step", f"least_{dtype}"], {})]
        for operator, dtype in (("DequantizeLinear", given), ("QuantizeLinear", returned))
    ]
    first, last = (end or [("Identity", [], {})] for end in ends)
    model = wrapped(demo(), first, last, [("step", 1 / 255)])
    for dtype in {given, returned} - {"float32"}:
        least = np.array(np.iinfo(dtype).min, dtype)
        model.graph.initializer.append(numpy_helper.from_array(least, f"least_{dtype}"))
    model.graph.input[0].type.tensor_type.elem_type = DTYPES[given]
    model.graph.output[0].type.tensor_type.elem_type = DTYPES[returned]
    return model


@pytest.fixture
def picture(tmp_path):
    y, x = np.mgrid[:21, :26]
    grey = 127 + 60 * np.sin(x / 3) + 60 * np.cos(y / 4)
    Image.fromarray(grey.astype(np.uint8)).save(tmp_path / "in.png")
    return tmp_path / "in.png"


def wanted(picture):
    """What the network of floats makes of it."""
    x = np.asarray(Image.open(picture), np.float32)[None, None] / 255
    session = onnxruntime.InferenceSession(demo().SerializeToString())
    return np.clip(session.run(None, {"luma": x})[0][0, 0] * 255, 0, 255).round()


GIVEN = {
    "uint8": "pixels are taken to be 0..255, as net.so takes uint8",
    "int8": "pixels are taken to be -128..127, as net.so takes int8",
    "float32": "pixels are taken to be 0..1, ",
}
RETURNED = {
    "uint8": "the result is taken to be 0..255, as net.so returns uint8",
    "int8": "the result is taken to be -128..127, as net.so returns int8",
    "float32": "the result is taken to be 0..1, surely: ",
}


@pytest.mark.parametrize(
    ("given", "returned"),
    [("uint8", "uint8"), ("int8", "uint8"), ("uint8", "float32"), ("float32", "int8")],
)
def test_a_network_of_bytes_gives_the_picture_of_that_of_floats(
    picture, monkeypatch, capfd, given, returned
):
    monkeypatch.chdir(picture.parent)
    compile_library(of_types(given, returned), "net.so", unoptimised())
    capfd.readouterr()
    assert cli.main(["run", "net.so", "in.png", "-o", "out.png"]) == 0
    said = capfd.readouterr().err
    assert f"tvm-deconv: {GIVEN[given]}" in said
    assert (RETURNED[returned] in said) is (given != returned)
    assert np.abs(np.asarray(Image.open("out.png")) - wanted(picture)).max() <= 1


def test_a_network_of_bytes_is_run_in_tiles(picture):
    library, folder = picture.parent / "net.so", picture.parent
    compile_library(of_types("uint8", "uint8"), library, unoptimised())
    tvm_deconv.run(library, picture, folder / "out.png", tile=18)
    assert np.abs(np.asarray(Image.open(folder / "out.png")) - wanted(picture)).max() <= 1
