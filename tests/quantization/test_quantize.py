"""A network that ``quantize`` writes: what it was calibrated on, computes, and says of itself."""

from __future__ import annotations

import re

import numpy as np
import onnx
import pytest
import tvm
from image_networks import in_nhwc
from onnx import helper, numpy_helper
from onnx_net import Net
from PIL import Image
from quantized_networks import assert_equal_but_for_ties, by_onnx_runtime
from tvm import relax

import tvm_deconv
from tvm_deconv import Pixels, cli
from tvm_deconv.quantization.quality import Quality, psnr

SIZES = {"one.png": (27, 21), "two.png": (18, 30)}  # width, height
BRIGHTEST = 250


def espcn(dims=(1, 1, "h", "w"), channels=1):
    """A sub-pixel network of two convolutions, of which the first has a batch norm."""
    net = Net((1, channels, 8, 8), dims=dims)
    x = net("Relu", net.batch_norm(net.conv("x", channels, 10), 10))
    x = net("DepthToSpace", net.conv(x, 10, 4 * channels), blocksize=2, mode="CRD")
    return net.model(x)


def averaging():
    """A network that takes its 16 x 16 pixels together."""
    net = Net((1, 1, 16, 16))
    return net.model(net("Sub", net.conv("x", 1, 1), net("GlobalAveragePool", "x")))


def waves(size, corner=None):
    """Grey from 10 to 200, and the last pixel as bright as ``corner``."""
    y, x = np.mgrid[: size[1], : size[0]]
    values = 105 + 95 * np.sin(x / 2.5) * np.cos(y / 4)
    values[-1, -1] = corner or values[-1, -1]
    return Image.fromarray(values.round().astype(np.uint8))


def rendered(model, picture):
    """What ONNX Runtime makes of a grey picture, as bytes."""
    x = np.asarray(picture, np.float32)[None, None] / np.float32(255)
    return np.clip(by_onnx_runtime(model, x)[0, 0] * 255, 0, 255).round().astype(np.uint8)


def decibels(one, other):
    return 20 * np.log10(255) - 10 * np.log10(np.mean((one - np.asarray(other, float)) ** 2))


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A network, pictures for it, and what it makes of them with some noise."""
    rng = np.random.default_rng(2)
    folder = tmp_path_factory.mktemp("quantize")
    for name in ("images", "references"):
        (folder / name).mkdir()
    (folder / "images" / "readme.txt").write_text("no picture")
    (folder / "images" / ".hidden.png").write_text("no picture")
    for name, size in SIZES.items():
        picture = waves(size, BRIGHTEST)
        picture.save(folder / "images" / name)
        result = rendered(espcn(), picture)
        noisy = np.clip(result + rng.normal(0, 2, result.shape), 0, 255)
        Image.fromarray(noisy.astype(np.uint8)).save(folder / "references" / name)
    onnx.save(espcn(), folder / "net.onnx")
    return folder


@pytest.fixture(scope="module")
def written(folder):
    """The network of 8 bits."""
    out = folder / "net-8.onnx"
    tvm_deconv.quantize(folder / "net.onnx", out, folder / "images", pixels=Pixels("0..1"))
    return onnx.load(out)


def test_the_network_is_computed_in_integers_as_onnx_runtime_does(written):
    assert {kernel.variant for kernel in tvm_deconv.explain(written).kernels} == {"integer"}
    x = np.random.default_rng(5).random((1, 1, 19, 26), "float32")
    machine = relax.VirtualMachine(tvm_deconv.compile(written), tvm.cpu())
    got = machine["main"](tvm.runtime.tensor(x)).numpy()
    assert_equal_but_for_ties(got, by_onnx_runtime(written, x))


def test_weights_are_bytes_with_a_scale_for_each_channel(written):
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in written.graph.initializer}
    decoders = [n for n in written.graph.node if n.op_type == "DequantizeLinear"]
    weights = [n for n in decoders if stored.get(n.input[0], np.empty(0)).ndim == 4]
    assert [stored[n.input[0]].dtype for n in weights] == ["int8", "int8"]
    assert [stored[n.input[1]].size for n in weights] == [10, 4]
    assert "BatchNormalization" not in {node.op_type for node in written.graph.node}


def test_the_command_says_size_and_quality_before_and_after(folder, written, tmp_path, capfd):
    out = tmp_path / "out.onnx"
    arguments = ["quantize", folder / "net.onnx", "--images", folder / "images", "-o", out]
    arguments += ["--references", folder / "references", "--range", "0..1"]
    assert cli.main(list(map(str, arguments))) == 0
    printed = capfd.readouterr()
    assert printed.err == ""
    before, after = (
        [
            decibels(
                rendered(model, Image.open(folder / "images" / name)),
                Image.open(folder / "references" / name),
            )
            for name in SIZES
        ]
        for model in (espcn(), written)
    )
    sizes = [path.stat().st_size for path in (folder / "net.onnx", out)]
    size, quality = printed.out.splitlines()
    assert re.findall(r"[\d,]+(?= )", size)[:2] == [f"{n:,}" for n in sizes]
    found = re.fullmatch(
        r"PSNR against the references: (\S+) -> (\S+) dB "
        r"\(mean of 2 pictures; lowest (\S+), (\S+)\)",
        quality,
    )
    numbers = list(map(float, found.groups()[:3]))
    assert np.mean(before) > np.mean(after) + 0.1
    assert numbers == pytest.approx([np.mean(before), np.mean(after), min(after)], abs=0.02)
    assert found[4] == list(SIZES)[int(np.argmin(after))]


def test_without_references_the_float_results_are_what_quality_is_held_against(
    folder, written, tmp_path
):
    outcome = tvm_deconv.quantize(
        espcn(), tmp_path / "out.onnx", folder / "images", pixels=Pixels("0..1")
    )
    assert outcome.before is None and outcome.after is None
    pictures = [Image.open(folder / "images" / name) for name in SIZES]
    wanted = [decibels(rendered(written, p), rendered(espcn(), p)) for p in pictures]
    assert outcome.against_float.values == pytest.approx(wanted, abs=0.02)
    assert outcome.against_float.names == tuple(SIZES)
    assert "PSNR against the float results: " in str(outcome)


def greatest_input(model):
    """The greatest value of the first map of bytes, whose least is 0."""
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    quantize = next(node for node in model.graph.node if node.op_type == "QuantizeLinear")
    assert stored[quantize.input[2]] == 0
    return stored[quantize.input[1]] * 255


@pytest.mark.parametrize(
    ("model", "options", "greatest"),
    [
        (espcn(), {"pixels": Pixels("0..1")}, BRIGHTEST / 255),
        (espcn(), {"pixels": Pixels("0..255")}, BRIGHTEST),
        (espcn(), {"pixels": Pixels("0..1"), "tile": 12}, BRIGHTEST / 255),
        (espcn(), {"pixels": Pixels("0..1"), "shapes": {"x": (1, 1, 8, 8)}}, BRIGHTEST / 255),
        (espcn((1, 1, 9, 12)), {"pixels": Pixels("0..1")}, BRIGHTEST / 255),
        (averaging(), {"pixels": Pixels("0..1"), "overlap": 2}, BRIGHTEST / 255),
        (in_nhwc(espcn()), {"pixels": Pixels("0..1")}, BRIGHTEST / 255),
        (
            espcn((1, 3, "h", "w"), channels=3),
            {"pixels": Pixels("0..255", mean=(0, 5, 0), scale=(50, 50, 25), bgr=True)},
            BRIGHTEST / 25,
        ),
    ],
    ids=["free", "255", "tiles", "shape", "fixed", "together", "NHWC", "RGB"],
)
def test_the_network_sees_all_of_every_picture_as_run_would_give_it(
    folder, tmp_path, model, options, greatest
):
    out = tmp_path / "out.onnx"
    tvm_deconv.quantize(model, out, folder / "images", **options)
    assert greatest_input(onnx.load(out)) == pytest.approx(greatest, rel=1e-5)


@pytest.mark.parametrize("bright", SIZES)
def test_the_range_of_values_is_that_of_all_pictures(tmp_path, bright):
    (tmp_path / "images").mkdir()
    for name, size in SIZES.items():
        corner = BRIGHTEST if name == bright else None
        waves(size, corner).save(tmp_path / "images" / name)
    tvm_deconv.quantize(
        espcn(), tmp_path / "out.onnx", tmp_path / "images", pixels=Pixels("0..255")
    )
    greatest = greatest_input(onnx.load(tmp_path / "out.onnx"))
    assert greatest == pytest.approx(BRIGHTEST, rel=1e-5)


def test_weights_that_are_inputs_too_are_taken_for_constants(folder, tmp_path, capfd):
    model = espcn()
    for tensor in model.graph.initializer:
        shape = list(tensor.dims)
        model.graph.input.append(helper.make_tensor_value_info(tensor.name, 1, shape))
    out = tmp_path / "out.onnx"
    tvm_deconv.quantize(model, out, folder / "images", pixels=Pixels("0..1"))
    graph = onnx.load(out).graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    assert [value.name for value in graph.input] == ["x"]
    assert capfd.readouterr().err == ""


def test_a_model_of_opset_11_is_raised_to_one_with_a_scale_for_each_channel(folder, tmp_path):
    model = espcn()
    model.opset_import[0].version, model.ir_version = 11, 6
    out = tmp_path / "out.onnx"
    outcome = tvm_deconv.quantize(model, out, folder / "images", pixels=Pixels("0..1"))
    assert onnx.load(out).opset_import[0].version == 13
    assert min(outcome.against_float.values) > 40


def test_a_guessed_range_is_said_once_and_what_the_model_says_is_kept(folder, tmp_path):
    said, model = [], espcn()
    tvm_deconv.quantize(model, tmp_path / "one.onnx", folder / "images", report=said.append)
    (line,) = said
    assert line.startswith("pixels are taken to be ")
    helper.set_model_props(model, {"Image.NominalPixelRange": "NominalRange_0_255"})
    tvm_deconv.quantize(model, tmp_path / "two.onnx", folder / "images", report=said.append)
    assert said[1:] == ["pixels are taken to be 0..255, as the model's metadata says"]
    props = {entry.key: entry.value for entry in onnx.load(tmp_path / "two.onnx").metadata_props}
    assert props == {"Image.NominalPixelRange": "NominalRange_0_255"}


def test_psnr_is_that_of_a_white_of_one():
    one = np.zeros((2, 5), np.float32)
    assert psnr(one, one + np.float32(0.1)) == pytest.approx(20)
    assert psnr(one, one) == np.inf


def test_the_worst_picture_is_named():
    assert Quality(("a", "b", "c"), (30.0, 20.0, 40.0)).worst == ("b", 20.0)
    assert Quality(("a", "b", "c"), (30.0, 20.0, 40.0)).mean == 30
