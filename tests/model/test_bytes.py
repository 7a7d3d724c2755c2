"""Quantized networks by the model: bytes are bytes, products of integers have their own rate."""

from __future__ import annotations

import json
from dataclasses import replace
from math import prod

import onnx
import pytest
from onnx_net import Net
from quantized_networks import quantized

from tvm_deconv import cli
from tvm_deconv.errors import DeviceFileError
from tvm_deconv.model.devices import from_json, load_device
from tvm_deconv.model.network import read_network
from tvm_deconv.model.report import ModelReport
from tvm_deconv.model.roofline import Work, estimate, joules

SHAPE = (1, 4, 8, 10)
X = prod(SHAPE)


def sub_pixel(folder):
    net = Net(SHAPE)
    x = net("Relu", net.conv("x", 4, 6))
    return quantized(net, net("DepthToSpace", net.conv(x, 6, 20), blocksize=2, mode="CRD"), folder)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return sub_pixel(tmp_path_factory.mktemp("model"))


def test_layers_between_quantizations_read_and_write_bytes(model):
    """Between the two is one byte for a value; the network's last map is float32."""
    found = read_network(model)
    first, last = found.layers
    pixels = 8 * 10
    products, middle, out = pixels * 6 * 4 * 9, 6 * pixels, 20 * pixels
    assert first.steps_after == (Work(products, X + 6 * 4 * 9 + middle, int8=products),)
    products = pixels * 20 * 6 * 9
    weights = 20 * 6 * 9
    assert last.steps_after == (Work(products, middle + weights + 4 * out, int8=products),)
    # Not rewritten the shuffle is a step of its own.
    assert last.steps_before == (
        Work(products, middle + weights + out, int8=products),
        Work(0, out + 4 * out),
    )
    # The network's input becomes bytes.
    assert found.others.steps_after == (Work(0, 4 * X + X),)
    assert last.after.endswith(", bytes by int8")


def test_a_folded_resize_takes_the_products_of_the_kernel_behind_it(tmp_path):
    net = Net(SHAPE)
    model = quantized(net, net.conv(net.nearest("x", 2), 4, 6), tmp_path)
    (layer,) = read_network(model).layers
    sums = 8 * 10 * 6 * 3**2
    moved = X + 6 * 4 * 3**2 + 4 * 6 * 16 * 20
    # Three sums make each of two columns, for each of three rows, and those each of two rows.
    added = 8 * 10 * 6 * (3 * 2 * 3 + 2 * 3 * 2)
    assert layer.steps_after == (Work(4 * sums + added, moved, int8=4 * sums),)
    # By an algorithm of the paper, the folded taps, of two bytes.
    (layer,) = read_network(model, algorithm="revd2").layers
    products, moved = 8 * 10 * 6 * 4 * 4**2, moved - 6 * 4 * 3**2 + 2 * 6 * 4 * 4**2
    assert layer.steps_after == (Work(products, moved, int16=products),)


def test_phases_of_two_taps_take_the_products_of_winograds_form(tmp_path):
    net = Net(SHAPE)
    model = quantized(net, net.deconv("x", 4, 6, 4, 2, pads=[1] * 4), tmp_path)
    (step,) = read_network(model).layers[0].steps_after
    # 5x6 tiles: outputs of one phase begin a sample earlier.
    assert step.int16 == 5 * 6 * 6**2 * 4 * 6
    assert step.bytes == X + 2 * 6**2 * 4 * 6 + 4 * 6 * 16 * 20


def test_what_a_residual_adds_are_bytes_and_pools_move_bytes(tmp_path):
    net = Net(SHAPE)
    x = net.conv("x", 4, 4)
    x = net("Add", net.conv(net("Relu", x), 4, 4), x)
    model = quantized(
        net, net.conv(net("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2]), 4, 3), tmp_path
    )
    others = [step.bytes for step in read_network(model).others.steps_after]
    assert sorted(others) == sorted([4 * X + X, X, X + X // 4])


def test_weights_that_are_no_integers_are_products_of_floats(tmp_path):
    net = Net(SHAPE)
    output = net.conv("x", 4, 5)
    (plain,) = read_network(net.model(output)).layers
    (step,) = plain.steps_after
    assert step == Work(step.multiply_adds, 4 * (X + 5 * 80 + 5 * 36))
    assert not step.int8 + step.int16


SOURCE = {"kind": "literature", "citation": "a table"}
RATES = {"int8": {"value": 4e9, "source": SOURCE}, "int16": {"value": 2e9, "source": SOURCE}}
DEVICE = {
    "format": 1,
    "name": "d",
    "description": "a device",
    "flop_per_second": {"value": 1e9, "source": SOURCE},
    "integers": RATES,
    "levels": [{"name": "memory", "bytes_per_second": {"value": 1e12, "source": SOURCE}}],
    "energy": {
        name: {"value": value, "source": SOURCE}
        for name, value in (("joules_per_flop", 1e-9), ("joules_per_byte", 0), ("watts", 2))
    },
}


def test_each_product_takes_as_long_as_its_rate_says():
    device = from_json(DEVICE, "d")
    assert estimate(Work(1e9, 1), device).seconds == pytest.approx(2)
    assert estimate(Work(1e9, 1, int8=1e9), device).seconds == pytest.approx(0.5)
    assert estimate(Work(1e9, 1, int16=1e9), device).seconds == pytest.approx(1)
    mixed = Work(1e9, 1, int8=1e9) + Work(1e9, 1)
    assert estimate(mixed, device).seconds == pytest.approx(2.5)
    # An operation costs no less energy: there is no coefficient for it.
    assert joules(Work(1e9, 0, int8=1e9), 0, device) == pytest.approx(2)


def test_without_a_rate_they_are_as_fast_as_floats_and_the_report_says_so(model):
    device = replace(from_json(DEVICE, "d"), integers={})
    assert estimate(Work(1e9, 1, int8=1e9), device).seconds == pytest.approx(2)
    report = str(ModelReport(read_network(model), (device,)))
    assert "integers as fast as floats, for want of a source" in report
    assert "4 GOP/s of bytes by int8 [1]" in str(
        ModelReport(read_network(model), (from_json(DEVICE, "d"),))
    )


def test_a_device_is_written_with_its_rates_and_read_again(tmp_path):
    device = from_json(DEVICE, "d")
    device.write(tmp_path / "d.json")
    assert load_device(tmp_path / "d.json") == device
    assert json.loads((tmp_path / "d.json").read_text())["integers"] == RATES


@pytest.mark.parametrize(
    ("integers", "reason"),
    [
        ({"int4": RATES["int8"]}, "d: integers may hold int8, int16, got .*int4"),
        ([1], r"d: integers may hold int8, int16, got \[1\]"),
        ({"int8": {"value": 4e9}}, "d: integers int8 has no source"),
        ({"int8": {"value": 0, "source": SOURCE}}, "d: integers int8 must be a positive number"),
    ],
    ids=str,
)
def test_rates_that_say_nothing_are_refused(integers, reason):
    with pytest.raises(DeviceFileError, match=reason):
        from_json({**DEVICE, "integers": integers}, "d")


def test_the_command_names_the_bytes_and_draws_their_roof(model, tmp_path, capsys):
    path, plot = tmp_path / "net.onnx", tmp_path / "roof.svg"
    onnx.save(model, path)
    command = ["model", str(path), "--device", "raspberry-pi-4b", "--plot", str(plot)]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert "57.6 GOP/s of bytes by int8" in said
    assert "smlal" in said
    assert said.count(", bytes by int8") == 3
    assert "57.6 GOP/s of bytes by int8" in plot.read_text()
