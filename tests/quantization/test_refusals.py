"""What ``quantize`` refuses: one line that says why, status 2, and no file."""

from __future__ import annotations

import re
import sys

import numpy as np
import onnx
import pytest
from onnx import helper
from onnx_net import Net
from PIL import Image
from upscaling import upscaler

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.errors import ModelError


def linear_of_opset_10():
    net = Net(dims=(1, 1, "h", "w"))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    model = net.model(net("Resize", net.conv("x", 1, 1), scales, mode="linear"))
    model.opset_import[0].version, model.ir_version = 10, 5
    return model


def upsample_of_opset_9():
    net = Net(dims=(1, 1, "h", "w"))
    scales = net.given(np.array([1, 1, 2, 2], "float32"))
    model = net.model(net("Upsample", net.conv("x", 1, 1), scales, mode="nearest"))
    model.opset_import[0].version, model.ir_version = 9, 4
    return model


def averaging():
    net = Net(dims=(1, 1, 16, 16))
    return net.model(net("Sub", net.conv("x", 1, 1), net("GlobalAveragePool", "x")))


def pointwise():
    net = Net(dims=(1, 1, "h", "w"))
    return net.model(net("Exp", "x"))


def quantized(operator):
    """A network with a pair of quantizations, or an operator of integers, in it."""
    net = Net(dims=(1, 1, "h", "w"))
    scale, zero = net.given(np.float32(0.1)), net.given(np.uint8(0))
    if operator == "QuantizeLinear":
        return net.model(net("DequantizeLinear", net(operator, "x", scale, zero), scale, zero))
    data = net("Cast", "x", to=onnx.TensorProto.UINT8)
    weight = net.given(np.ones((1, 1, 1, 1), np.uint8))
    return net.model(net("Cast", net(operator, data, weight), to=onnx.TensorProto.FLOAT))


def in_a_branch():
    """The same in a branch of an If."""
    inner = quantized("QuantizeLinear")
    branch = helper.make_graph(
        inner.graph.node, "branch", [], inner.graph.output, inner.graph.initializer
    )
    net = Net(dims=(1, 1, "h", "w"))
    condition = net.given(np.array(True))
    return net.model(net("If", condition, then_branch=branch, else_branch=branch))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """Models, folders of pictures, and what is neither."""
    folder = tmp_path_factory.mktemp("refusals")
    for name, model in {
        "good": upscaler(1, (1, "h", "w")),
        "two": upscaler(2),
        "linear": linear_of_opset_10(),
        "upsample": upsample_of_opset_9(),
        "averaging": averaging(),
        "pointwise": pointwise(),
        "qdq": quantized("QuantizeLinear"),
        "integers": quantized("ConvInteger"),
        "branch": in_a_branch(),
        "frobnicate": upscaler(operator="Frobnicate"),
    }.items():
        onnx.save(model, folder / f"{name}.onnx")
    (folder / "text.onnx").write_text("hello")
    (folder / "net.tflite").write_text("hello")
    (folder / "net.pt2").write_text("hello")
    (folder / "renamed.onnx").write_bytes(b"\0\0\0\0TFL3")
    picture = Image.fromarray(np.arange(120, dtype=np.uint8).reshape(10, 12))
    for name in ("images", "empty", "others", "damaged", "small", "subfolders"):
        (folder / name).mkdir()
    picture.save(folder / "images" / "a.png")
    picture.save(folder / "images" / "b.png")
    (folder / "others" / "readme.txt").write_text("hello")
    (folder / "subfolders" / "a.png").mkdir()
    picture.save(folder / "damaged" / "a.png")
    (folder / "damaged" / "b.png").write_bytes((folder / "images" / "b.png").read_bytes()[:45])
    for name in ("a.png", "b.png"):
        picture.save(folder / "small" / name)
    return folder


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ("none.onnx", "none.onnx does not exist"),
        ("text.onnx", "text.onnx is not an ONNX model: give a file that an ONNX exporter wrote"),
        ("net.tflite", "net.tflite is a TFLite file, but quantize takes ONNX files only: "),
        ("renamed.onnx", "renamed.onnx is a TFLite file, but "),
        ("net.pt2", "net.pt2 is a PyTorch program, but quantize takes ONNX files only: "),
        ("qdq.onnx", "qdq.onnx is quantized already, by QuantizeLinear 't1': give the model of"),
        ("integers.onnx", "integers.onnx is quantized already, by ConvInteger "),
        ("branch.onnx", "branch.onnx is quantized already, by QuantizeLinear "),
        ("frobnicate.onnx", "frobnicate.onnx: .*Frobnicate"),
        ("two.onnx", "network that does not map one image to one image "),
        ("pointwise.onnx", "pointwise.onnx has no layer that ONNX Runtime's quantizer quantizes"),
        ("linear.onnx", "its results differ; it is of opset 10: export it with 13 or newer"),
        ("upsample.onnx", "quantizer refuses upsample.onnx: .*; it is of opset 9: export it with"),
        ("averaging.onnx", r"averaging.onnx is for 16 x 16, and it cannot be run in tiles: mean "),
        ("good.onnx --images none", "cannot read the folder none: No such file or directory"),
        ("good.onnx --images good.onnx", "cannot read the folder good.onnx: Not a directory"),
        ("good.onnx --images empty", "empty holds no pictures: give a folder of PNG or JPEG"),
        ("good.onnx --images others", "others holds no pictures: "),
        ("good.onnx --images subfolders", "subfolders holds no pictures: "),
        ("good.onnx --images damaged", "damaged/b.png"),
        ("good.onnx --references empty", "a.png has no reference: empty/a.png does not exist"),
        ("good.onnx --references small", "small/a.png is 12 x 10 pixels, but the network gives 24"),
        ("good.onnx --mean 1,2,3", "mean has 3 numbers, 1,2,3, but the network has 1 channel"),
        ("good.onnx --shape y=1,1,8,8", "good.onnx has no input 'y'"),
        ("good.onnx --tile 1", "tiles of 1 pixels are too small: "),
        ("good.onnx -o good.onnx", "cannot write good.onnx: it exists, give a new name or remove"),
        ("good.onnx -o none/out.onnx", "cannot write .*none/out.onnx: .*No such file"),
    ],
)
def test_bad_input_is_one_line_and_leaves_no_file(
    bench, tmp_path, monkeypatch, capfd, arguments, message
):
    monkeypatch.chdir(bench)
    before = sorted(bench.rglob("*"))
    out = str(tmp_path / "out.onnx")
    given = ["quantize", "--images", "images", "-o", out, "--range", "0..1"]
    assert cli.main([*given, *arguments.split()]) == 2
    printed = capfd.readouterr()
    assert re.fullmatch(rf"tvm-deconv: .*{message}.*\n", printed.err), printed.err
    assert printed.out == ""
    assert sorted(bench.rglob("*")) == before
    assert not list(tmp_path.iterdir())


def test_onnx_runtime_is_asked_for_by_its_extra(bench, monkeypatch, capfd):
    monkeypatch.chdir(bench)
    monkeypatch.setitem(sys.modules, "onnxruntime.quantization", None)
    assert cli.main(["quantize", "good.onnx", "--images", "images", "-o", "out.onnx"]) == 2
    assert capfd.readouterr().err == (
        "tvm-deconv: quantize takes ONNX Runtime's quantizer, which is not installed: "
        "pip install 'tvm-deconv[quantize]'\n"
    )


def test_models_of_python_that_are_not_onnx_are_refused(bench, tmp_path):
    module = tvm_deconv.importer.load(bench / "good.onnx")
    with pytest.raises(ModelError, match=r"an ONNX file or an onnx\.ModelProto, got IRModule"):
        tvm_deconv.quantize(module, tmp_path / "out.onnx", bench / "images")
