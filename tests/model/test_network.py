"""Steps of a network before and after the rewrite, and what the command prints and draws."""

from __future__ import annotations

import re
from math import prod
from xml.etree import ElementTree

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tvm_deconv import cli
from tvm_deconv.errors import ModelError
from tvm_deconv.model import convolution_counts
from tvm_deconv.model.devices import load_device, shipped
from tvm_deconv.model.network import read_network
from tvm_deconv.model.report import ModelReport
from tvm_deconv.model.roofline import Work
from tvm_deconv.workloads import find

WORD = 4


def network(nodes, weights, shape=(1, 3, 8, 10)) -> onnx.ModelProto:
    rng = np.random.default_rng(0)
    stored = [
        numpy_helper.from_array(
            value if isinstance(value, np.ndarray) else rng.random(value).astype("float32"), name
        )
        for name, value in weights.items()
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(nodes[-1].output[0], TensorProto.FLOAT, None)],
        stored,
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def conv(source, weight, result, **attributes):
    attributes.setdefault("pads", [1, 1, 1, 1])
    return helper.make_node("Conv", [source, weight], [result], **attributes)


def resize(source, result):
    return helper.make_node(
        "Resize",
        [source, "", "scales"],
        [result],
        mode="nearest",
        coordinate_transformation_mode="asymmetric",
        nearest_mode="floor",
    )


SCALES = np.array([1, 1, 2, 2], "float32")


def words(*shapes) -> int:
    return WORD * sum(map(prod, shapes))


def test_a_sub_pixel_layer_is_a_convolution_and_a_shuffle_then_one_transposed_convolution():
    model = network(
        [
            conv("x", "w", "c"),
            helper.make_node("Relu", ["c"], ["a"]),
            helper.make_node("DepthToSpace", ["a"], ["y"], blocksize=2, mode="CRD"),
        ],
        {"w": (20, 3, 3, 3)},
    )
    (layer,), others = (found := read_network(model)).layers, found.others
    assert layer.rewritten
    products = 8 * 10 * 20 * 3 * 9
    small, wide, large = (3, 8, 10), (20, 8, 10), (5, 16, 20)
    assert layer.steps_before == (
        Work(products, words(small, wide, (20, 3, 3, 3))),
        Work(0, words(wide, large)),
    )
    assert layer.steps_after == (Work(products, words(small, large, (3, 5, 6, 6))),)
    assert others.steps_before == others.steps_after == ()


def test_a_resize_and_a_convolution_are_two_steps_then_one_of_fewer_products():
    model = network([resize("x", "u"), conv("u", "w", "y")], {"w": (5, 3, 3, 3), "scales": SCALES})
    (layer,) = read_network(model).layers
    small, wide, large = (3, 8, 10), (3, 16, 20), (5, 16, 20)
    assert layer.steps_before == (
        Work(0, words(small, wide)),
        Work(16 * 20 * 5 * 3 * 9, words(wide, large, (5, 3, 3, 3))),
    )
    # 3 + 2 - 1 = 4 taps along each axis, two of them for each phase.
    assert layer.steps_after == (Work(16 * 20 * 5 * 3 * 4, words(small, large, (3, 5, 4, 4))),)


def test_a_layer_that_is_refused_and_its_resize_stay_as_they_are():
    model = network(
        [resize("x", "u"), conv("u", "w", "y", strides=[2, 2])],
        {"w": (5, 3, 3, 3), "scales": SCALES},
    )
    found = read_network(model)
    (layer,) = found.layers
    assert not layer.rewritten
    expected = convolution_counts(3, 5, (3, 3), (16, 20), (8, 10))
    assert layer.steps_before == layer.steps_after
    assert layer.steps_after == (Work(expected.multiply_adds, expected.bytes),)
    assert found.others.steps_before == (Work(0, words((3, 8, 10), (3, 16, 20))),)
    assert found.others.steps_after == found.others.steps_before


def test_pointwise_operators_cost_what_else_they_read_and_others_their_tensors():
    model = network(
        [
            conv("x", "w", "c"),
            helper.make_node("Relu", ["c"], ["a"]),
            helper.make_node("Add", ["a", "x"], ["s"]),
            helper.make_node("MaxPool", ["s"], ["y"], kernel_shape=[2, 2], strides=[2, 2]),
        ],
        {"w": (3, 3, 3, 3)},
    )
    others = read_network(model).others
    map_, pooled = (3, 8, 10), (3, 4, 5)
    assert others.steps_before == (Work(0, words(map_)), Work(0, words(map_, pooled)))


def test_layers_are_in_the_order_of_the_network_and_pair_up():
    model = network(
        [
            resize("x", "u"),
            conv("u", "w1", "a"),
            conv("a", "w2", "b"),
            conv("b", "w3", "c"),
            helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD"),
        ],
        {"w1": (4, 3, 3, 3), "w2": (4, 4, 3, 3), "w3": (8, 4, 3, 3), "scales": SCALES},
    )
    found = read_network(model)
    assert [layer.rewritten for layer in found.layers] == [True, False, True]
    assert [layer.before.split(",")[0] for layer in found.layers] == [
        *("resize 2x2", "conv2d 3x3", "conv 3x3 4->8")
    ]
    first, second, third = (layer.steps_after[0] for layer in found.layers)
    assert first.multiply_adds == 16 * 20 * 4 * 3 * 4
    assert second.multiply_adds == 16 * 20 * 4 * 4 * 9
    assert third.multiply_adds == 16 * 20 * 8 * 4 * 9


@pytest.mark.parametrize("name", ["espcn-x3-64-64-32", "style-transfer", "fsrcnn-x3"])
def test_products_of_a_network_are_those_of_its_workload(name):
    (workload,) = find([name])
    found = read_network(workload.model())
    assert sum(step.multiply_adds for step in found.steps(rewritten=True)) == workload.multiply_adds


def test_a_volume_is_counted_slice_by_slice_and_its_words_once():
    model = network(
        [
            helper.make_node("Conv", ["x", "w1"], ["a"], pads=[1] * 6),
            helper.make_node("ConvTranspose", ["a", "w2"], ["y"], strides=[2, 1, 3]),
        ],
        {"w1": (5, 3, 3, 3, 3), "w2": (5, 4, 2, 3, 3)},
        (1, 3, 4, 6, 7),
    )
    plain, deconv = (layer.steps_after[0] for layer in read_network(model).layers)
    assert plain == Work(4 * 6 * 7 * 5 * 3 * 27, words((3, 4, 6, 7), (5, 4, 6, 7), (5, 3, 27)))
    # Each of 8 slices is of one tap in depth; 3 taps in height for 8 rows, 1 for 21 columns.
    assert deconv.multiply_adds == 8 * (8 * 3) * 21 * 5 * 4
    assert deconv.bytes == words((5, 4, 6, 7), (4, 8, 8, 21), (5, 4, 18))


def test_our_kernels_leave_out_the_taps_that_a_phase_lacks_and_the_paper_s_revd2_does_not():
    """3 + 3 - 1 = 5 taps along an axis for three phases, of which the longest has 2."""
    model = network(
        [resize("x", "u"), conv("u", "w", "y")],
        {"w": (5, 3, 3, 3), "scales": np.array([1, 1, 3, 3], "float32")},
    )
    ours, paper = (
        read_network(model, algorithm=name).layers[0].steps_after[0] for name in ("ours", "revd2")
    )
    assert ours.multiply_adds == 8 * 10 * 5 * 3 * 5**2
    assert paper.multiply_adds == 8 * 10 * 5 * 3 * (3 * 2) ** 2
    assert ours.bytes == paper.bytes


def test_another_algorithm_counts_the_transposed_convolutions_only():
    model = find(["espcn-x3"])[0].model()
    ours, zeros = (read_network(model, algorithm=name) for name in ("ours", "strd"))
    assert [layer.steps_before for layer in ours.layers] == [
        layer.steps_before for layer in zeros.layers
    ]
    assert zeros.layers[-1].steps_after[0].multiply_adds == pytest.approx(
        9 * ours.layers[-1].steps_after[0].multiply_adds
    )


def test_free_sizes_are_asked_for():
    model = network([conv("x", "w", "y")], {"w": (3, 3, 3, 3)}, (1, 3, "h", "w"))
    with pytest.raises(ModelError, match=r"the model needs sizes.*--shape"):
        read_network(model)
    assert read_network(model, {"x": (1, 3, 8, 10)}).layers


@pytest.fixture(scope="module")
def report():
    model = find(["espcn-x3-64-64-32"])[0].model()
    return ModelReport(read_network(model), tuple(map(load_device, ["core-i7-950"])))


def test_the_network_s_rows_are_the_sums_of_the_layers(report):
    def numbers(line):
        return [float(cell) for cell in re.findall(r"(?<= )\d+\.\d+", line)]

    lines = str(report).split("\n\n")[1].splitlines()
    start, end = (next(i for i, one in enumerate(lines) if w in one) for w in ("MB", "before the"))
    layers = [numbers(line)[-4:] for line in lines[start + 1 : end]]
    before, after = (numbers(line)[-4:] for line in lines[end : end + 2])
    # The last layer has two rows, before and after the rewrite.
    np.testing.assert_allclose(np.sum(layers[:-1], axis=0), before, atol=0.04)
    np.testing.assert_allclose(np.sum([*layers[:-2], layers[-1]], axis=0), after, atol=0.04)


def test_the_last_layer_by_hand(report):
    """64-64-32 at 224 x 224: 32 -> 9 channels, 3 x 3, then a shuffle, on the Core i7-950."""
    layer = report.network.layers[-1]
    pixels = 224 * 224
    products = pixels * 9 * 32 * 9
    (convolution, shuffle), (after,) = layer.steps_before, layer.steps_after
    assert convolution == Work(products, 4 * (pixels * 41 + 9 * 32 * 9))
    assert shuffle == Work(0, 4 * pixels * 18)
    assert after == convolution
    text = str(report)
    time_before = 2 * products / 106.56e9 + 4 * pixels * 18 / 25.6e9
    assert f"{time_before * 1e3:.2f}" in text
    time_after = 2 * products / 106.56e9
    joules = 2 * products * 371e-12 + after.bytes * 795e-12 + 122 * time_after
    assert re.search(rf" {time_after * 1e3:.2f} +{joules * 1e3:.2f} ", text)


@pytest.fixture(scope="module")
def onnx_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("model") / "net.onnx"
    nodes = [
        conv("x", "w", "c"),
        helper.make_node("DepthToSpace", ["c"], ["y"], blocksize=2, mode="CRD"),
    ]
    onnx.save(network(nodes, {"w": (20, 3, 3, 3)}, (1, 3, "h", "w")), path)
    return str(path)


def test_the_command_prints_one_device_and_draws_its_rooflines(onnx_file, tmp_path, capsys):
    out = tmp_path / "roof.svg"
    shape = ["--shape", "x=1,3,32,32"]
    command = ["model", onnx_file, *shape, "--device", "gtx-580", "--plot", str(out)]
    assert cli.main(command) == 0
    said = capsys.readouterr().out
    assert said.startswith("gtx-580: ")
    assert "the rewrite: time / 2.22, energy / 1.77" in said
    texts = {node.text for node in ElementTree.parse(out).iter() if node.text}
    assert {"1581 GFLOP/s", "memory 192 GB/s", "before the rewrite", "flop/byte"} <= texts
    first = out.read_bytes()
    assert cli.main(command) == 0
    assert out.read_bytes() == first, "the same data gives the same file"


def test_the_command_compares_devices_on_one_page(onnx_file, tmp_path, capsys):
    out = tmp_path / "roof.png"
    shape = ["--shape", "x=1,3,32,32"]
    assert cli.main(["model", onnx_file, *shape, "--compare", "--plot", str(out)]) == 0
    table = capsys.readouterr().out.split("\n\n")[0].splitlines()
    assert [line.split()[0] for line in table] == ["device", *shipped()]
    assert out.read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (["--device", "gtx"], "there is no device or file 'gtx'"),
        (["--device", "gtx-580", "--device", "gtx-580"], "a device is given twice"),
        (["--device", "gtx-580"], "the model needs sizes"),
        (["--device", "gtx-580", "--plot", "roof.doc"], "no plot format 'doc'"),
        (["--device", "gtx-580", "--shape", "z=1,3,8,8"], "has no input 'z'"),
    ],
    ids=str,
)
def test_bad_input_is_one_line(onnx_file, options, reason, capsys):
    assert cli.main(["model", onnx_file, *options]) == 2
    said = capsys.readouterr()
    assert not said.out
    assert len(said.err.splitlines()) == 1
    assert reason in said.err
