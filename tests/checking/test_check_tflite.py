"""TFLite files are held against LiteRT, and the operator that is wrong is named."""

from __future__ import annotations

import sys

import numpy as np
import pytest

# Skips these tests, too, where what it needs is not installed.
from tflite_rows import Writer, options

import tvm_deconv
from tvm_deconv import cli
from tvm_deconv.errors import CheckError
from tvm_deconv.frontends.tflite import CONVERTERS


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
