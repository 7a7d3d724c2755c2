"""TFLite files are held against LiteRT, and the operator that is wrong is named."""

from __future__ import annotations

import sys

import numpy as np
import pytest

# Skip these tests, too, where what they need is not installed.
from tflite_quantized import drawer
from tflite_rows import Writer, options

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.checking.tflite_subject import TfliteSubject
from tvm_deconv.errors import CheckError
from tvm_deconv.frontends.tflite import CONVERTERS
from tvm_deconv.frontends.tflite.convert import CUSTOM
from tvm_deconv.frontends.tflite.convert.transposed import transpose_conv_bias


@pytest.fixture
def network(tmp_path):
    """A convolution, its tanh and sigmoid added, and a shuffle; of free height and width."""
    rng, writer = np.random.default_rng(0), Writer()
    x = writer.tensor((1, -1, -1, 3))
    weight = writer.constant(rng.normal(0, 0.5, (8, 3, 3, 3)).astype("float32"))
    bias = writer.constant(rng.normal(0, 0.5, 8).astype("float32"))
    conv = writer.tensor((1, 1, 1, 8))
    writer.append("CONV_2D", [x, weight, bias], [conv], options("Conv2D", strideW=1, strideH=1))
    parts = []
    for operator in ("LOGISTIC", "TANH"):
        parts.append(writer.tensor((1, 1, 1, 8)))
        writer.append(operator, [conv], parts[-1:], None)
    added, result = (writer.tensor((1, 1, 1, channels)) for channels in (8, 2))
    writer.append("ADD", parts, [added], options("Add"))
    writer.append("DEPTH_TO_SPACE", [added], [result], options("DepthToSpace", blockSize=2))
    path = tmp_path / "network.tflite"
    path.write_bytes(writer.finish([x], [result]))
    return path


def test_a_right_file_is_held_against_litert_at_three_sizes(network):
    report = tvm_deconv.check(network, log=None, draws=1)
    assert report.is_right and report.reference.startswith("LiteRT ")
    assert len(report.inputs) == 3


def test_the_operator_that_is_wrong_is_named(network, monkeypatch, capsys):
    monkeypatch.setitem(CONVERTERS, "LOGISTIC", CONVERTERS["TANH"])
    status = cli.main(["check", str(network), "--draws", "1"])
    assert status == 1
    assert "LOGISTIC" in capsys.readouterr().out


def test_without_litert_the_message_says_what_to_install(network, monkeypatch):
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    with pytest.raises(CheckError, match=r"against LiteRT, .*: pip install ai-edge-litert"):
        tvm_deconv.check(network)


def test_weights_stored_in_float16_or_without_zeros_are_computed_in_float32(tmp_path):
    """So no more is allowed than in a file that stores them in float32."""
    rng, net = np.random.default_rng(0), Writer()
    x, result = net.tensor((1, 9)), net.tensor((1, 9))
    weight, bias = net.tensor((9, 9)), net.tensor((9,))
    half = net.constant(rng.standard_normal((9, 9)).astype("float16"))
    net.append("DEQUANTIZE", [half], [weight], options("Dequantize"))
    short = net.constant(rng.standard_normal(9).astype("float16"))
    net.append("DEQUANTIZE", [short], [bias], options("Dequantize"))
    net.append("FULLY_CONNECTED", [x, weight, bias], [result], options("FullyConnected"))
    path = tmp_path / "half.tflite"
    path.write_bytes(net.finish([x], [result]))

    subject = TfliteSubject(path)
    assert subject.dtypes == {"float32"}
    given = [rng.standard_normal((1, 9)).astype("float32")]
    (right,), (moved,) = subject.run(given), subject.nearby(1).run(given)
    assert 0 < np.abs(moved - right).max() < 1e-5
    report = tvm_deconv.check(path, log=None, draws=1)
    assert report.is_right


@pytest.fixture
def quantised(tmp_path):
    """A convolution of int8, its results doubled, joined with it and shuffled."""
    net, integers = Writer(), drawer(0)
    x = net.scaled(net.tensor((1, 6, 7, 3), np.int8), 0.02, 5)
    weight = net.scaled(net.constant(integers(8, 3, 3, 3).clip(-127)), np.full(8, 0.003), 0)
    bias = net.scaled(net.constant(integers(8).astype("int32") * 50), np.full(8, 0.00006))
    conv, twice, both, result = (
        net.scaled(net.tensor((1,), np.int8), scale, 3) for scale in (0.03, 0.03, 0.03, 0.03)
    )
    how = {"strideW": 1, "strideH": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    net.append("CONV_2D", [x, weight, bias], [conv], options("Conv2D", **how))
    net.append("ADD", [conv, conv], [twice], options("Add"))
    net.append("CONCATENATION", [conv, twice], [both], options("Concatenation", axis=3))
    net.append("DEPTH_TO_SPACE", [both], [result], options("DepthToSpace", blockSize=2))
    path = tmp_path / "quantised.tflite"
    path.write_bytes(net.finish([x], [result]))
    return path


def test_integers_may_be_off_where_litert_rounds_twice(quantised, monkeypatch):
    assert tvm_deconv.check(quantised, log=None, draws=1).is_right
    monkeypatch.setitem(CONVERTERS, "ADD", CONVERTERS["SUB"])
    report = tvm_deconv.check(quantised, log=None, draws=1)
    assert not report.is_right and report.layer.operator == "ADD"


def test_integer_weights_of_float_layers_are_read_as_floats(tmp_path):
    """LiteRT itself would bring their inputs to 8 bits."""
    rng, net, integers = np.random.default_rng(0), Writer(), drawer(0)
    x, middle, result = (net.tensor((1, 6, 7, 4)) for _ in range(3))
    how = {"strideW": 1, "strideH": 1, "dilationHFactor": 1, "dilationWFactor": 1}
    for entry, end in ((x, middle), (middle, result)):
        weight = net.constant(integers(4, 3, 3, 4).clip(-127))
        net.scaled(weight, rng.uniform(0.001, 0.002, 4), 0)
        bias = net.constant(rng.standard_normal(4).astype("float32"))
        net.append("CONV_2D", [entry, weight, bias], [end], options("Conv2D", **how))
    path = tmp_path / "hybrid.tflite"
    path.write_bytes(net.finish([x], [result]))
    assert tvm_deconv.check(path, log=None, draws=1).is_right


@pytest.mark.parametrize(("padding", "kernel", "stride"), [(1, 4, 2), (1, 2, 3), (2, 3, 2)])
def test_mediapipes_operator_is_held_against_litert_by_one_that_it_has(
    padding, kernel, stride, tmp_path, monkeypatch
):
    rng, net = np.random.default_rng(0), Writer()
    x, result = net.tensor((1, 8, 7, 3)), net.tensor((1, 1, 1, 4))
    weight = net.constant(rng.standard_normal((4, kernel, kernel, 3)).astype("float32"))
    bias = net.constant(rng.standard_normal(4).astype("float32"))
    custom = np.array([padding, stride, stride], np.int32).tobytes()
    net.append("Convolution2DTransposeBias", [x, weight, bias], [result], custom=custom)
    path = tmp_path / "mediapipe.tflite"
    path.write_bytes(net.finish([x], [result]))

    assert tvm_deconv.check(path, log=None, draws=1).is_right
    monkeypatch.setitem(CUSTOM, "Convolution2DTransposeBias", mirrored)
    assert not tvm_deconv.check(path, log=None, draws=1, locate=False).is_right


def mirrored(call):
    """It, with its kernels turned over."""
    flip = call.array
    call.array = lambda index, what: flip(index, what)[:, ::-1] if index == 1 else flip(index, what)
    transpose_conv_bias(call)
