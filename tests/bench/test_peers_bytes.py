"""What peers without nodes that quantize make of a quantized file is the same network in bytes.

Unlike in ``test_peers``, bytes that are rounded otherwise are right: what counts is far less than a
unit on the average, where another range was taken two units.
"""

from __future__ import annotations

from importlib import import_module

import numpy as np
import onnx
import pytest
from onnx_net import Net
from peer_environment import interpreter_of
from quantized_networks import by_onnx_runtime, quantized

from tvm_deconv.bench import subjects
from tvm_deconv.bench.benchmark import NO_EIGHT_BITS
from tvm_deconv.bench.client import Worker, peer_command
from tvm_deconv.bench.files import Files
from tvm_deconv.bench.peers.onnx_bytes import SCALES, ByteRange, take_quantization
from tvm_deconv.bench.peers.onnx_graph import NotSupportedError, model_of, read_graph
from tvm_deconv.bench.peers.onnx_rewrites import shuffles_in_order
from tvm_deconv.bench.subjects import spread
from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import PeerError

SHAPE = (1, 8, 19, 21)

# LiteRT takes the same ranges; ncnn and MNN have no zero points, so that ranges may be half used.
SPREADS = {"onnxruntime": 1e-3, "openvino": 1e-2, "litert": 8e-3, "ncnn": 1e-2, "mnn": 1.5e-2}

MNN_FAULT = "mnn", "prelu"
"""MNN 3.6 quantizes a PReLU, and computes something else: the benchmark says so by itself."""
COUNTS = subjects._SPREAD


def _chain(net):
    """Layers whose results go to the next in bytes: strides, groups, borders on one side."""
    x = net("Relu", net.conv("x", 8, 16, pads=[1, 1, 0, 0]))
    x = net("Relu", net.conv(x, 16, 16, group=16))
    return net.conv(x, 16, 12, 1, pads=[0] * 4, strides=[2, 2])


def _subpixel(net, order="CRD"):
    return net("DepthToSpace", net("Relu", net.conv("x", 8, 12)), blocksize=2, mode=order)


def _unet(net):
    """A skip, a Concat of two scales, a residual and activations of every kind of bound."""
    low = net("Relu", net.conv("x", 8, 8))
    up = net.conv(net.nearest(low, 2), 8, 8)
    skip = net("LeakyRelu", net.deconv("x", 8, 4, 4, 2, pads=[1] * 4), alpha=0.1)
    both = net.conv(net("Concat", up, skip, axis=1), 12, 8)
    return net.conv(net("Tanh", net("Add", both, up)), 8, 3)


NETWORKS = {
    "chain": _chain,
    "sub-pixel CRD": _subpixel,
    "sub-pixel DCR": lambda net: _subpixel(net, "DCR"),
    "prelu": lambda net: net.conv(
        net("PRelu", net.conv("x", 8, 6), net.constant(6, 1, 1)), 6, 5, bias=False
    ),
    "U-Net": _unet,
}


def _quantized(name, folder):
    net = Net(SHAPE)
    return quantized(net, NETWORKS[name](net), folder)


def _random():
    return np.random.default_rng(5).random(SHAPE, "float32")


@pytest.fixture(scope="module", params=[name for name in PEERS if name not in NO_EIGHT_BITS])
def peer(request):
    command = peer_command(interpreter_of(request.param), request.param)
    with Worker(command, request.param) as worker:
        yield worker


@pytest.mark.parametrize("network", NETWORKS)
def test_a_peer_computes_the_network_in_bytes(peer, network, tmp_path):
    model = _quantized(network, tmp_path)
    files = Files.written(tmp_path, "model", model, {"x": _random()})
    peer.load(files, 1)
    expected = by_onnx_runtime(model, _random(), fused=False)
    (got,) = files.results()
    if (peer.name, network) == MNN_FAULT:
        assert spread(got, expected) > COUNTS, "MNN has mended its PReLU: say so in the docs"
        return
    assert spread(got, expected) < SPREADS[peer.name]


def test_what_ncnn_has_no_bytes_for_is_said(tmp_path):
    net = Net(SHAPE)
    model = quantized(net, net.deconv("x", 8, 5, 4, 2), tmp_path)
    files = Files.written(tmp_path, "model", model, {"x": _random()})
    with (
        Worker(peer_command(interpreter_of("ncnn"), "ncnn"), "ncnn") as worker,
        pytest.raises(PeerError, match="ncnn computes convolutions in bytes, and here is none"),
    ):
        worker.load(files, 1)


@pytest.mark.parametrize("activations", ["QUInt8", "QInt8"])
@pytest.mark.parametrize("network", NETWORKS)
def test_the_floats_that_are_left_are_the_network(network, activations, tmp_path):
    """Within what rounding each value to bytes makes of it, and with the integers in weights."""
    net = Net(SHAPE)
    path = tmp_path / "q.onnx"
    onnx.save(quantized(net, NETWORKS[network](net), tmp_path, activations=activations), path)
    graph = read_graph(str(path))
    ranges = take_quantization(graph)
    assert ranges and not any("Linear" in node.op for node in graph.nodes)
    for node in graph.nodes:
        if node.op in ("Conv", "ConvTranspose"):
            axis = 0 if node.op == "Conv" else 1
            along = [-1 if i == axis else 1 for i in range(4)]
            integers = graph.weight(node, 1) / graph.weight(node, SCALES).reshape(along)
            assert np.abs(integers - np.rint(integers)).max() < 1e-4
            assert np.abs(integers).max() == pytest.approx(127)
            del node.inputs[SCALES:]
    floats = by_onnx_runtime(model_of(graph), _random())
    assert spread(floats, by_onnx_runtime(onnx.load(path), _random(), fused=False)) < 2e-2


def test_a_relu_or_clip_that_bytes_stand_for_is_written_again(tmp_path):
    net = Net(SHAPE)
    low, high, times = (net.given(np.array(value, "float32")) for value in (0, 6, 60))
    y = net("Mul", net("Relu", net.conv("x", 8, 8)), times)
    y = net("Clip", net.conv(net("MaxPool", y, kernel_shape=[2, 2]), 8, 8), low, high)
    path = tmp_path / "q.onnx"
    model = quantized(net, net.conv(y, 8, 4), tmp_path)
    onnx.save(model, path)
    assert not any(node.op_type in ("Relu", "Clip") for node in model.graph.node)
    graph = read_graph(str(path))
    take_quantization(graph)
    ops = [node.op for node in graph.nodes]
    # A product's range begins at 0, too; what a pool takes from it is not below.
    assert ops == ["Conv", "Relu", "Mul", "Relu", "MaxPool", "Conv", "Clip", "Conv"]


def test_scales_follow_the_channels_of_a_shuffle(tmp_path):
    path = tmp_path / "q.onnx"
    onnx.save(_quantized("sub-pixel CRD", tmp_path), path)
    graph = read_graph(str(path))
    take_quantization(graph)
    (conv,) = (node for node in graph.nodes if node.op == "Conv")
    weight, scales = graph.weight(conv, 1), graph.weight(conv, SCALES)
    shuffles_in_order(graph, "DCR")
    order = np.arange(12).reshape(3, 4).T.reshape(-1)
    np.testing.assert_array_equal(graph.weight(conv, 1), weight[order])
    np.testing.assert_array_equal(graph.weight(conv, SCALES), scales[order])


def _dequantized(model, name):
    """The node that makes floats of the bytes of ``name``."""
    starts = f"{name}_"
    return next(
        node
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0].startswith(starts)
    )


def _two_scales(model):
    """Another scale for bytes than that which they were made with."""
    node = _dequantized(model, "x")
    other = onnx.numpy_helper.from_array(np.array(0.5, "float32"), "other")
    model.graph.initializer.append(other)
    node.input[1] = "other"


def _read_as_integers(model):
    node = _dequantized(model, "x")
    at = list(model.graph.node).index(node)
    model.graph.node.insert(at, onnx.helper.make_node("Identity", [node.input[0]], ["same"]))
    node.input[0] = "same"


@pytest.mark.parametrize(
    ("change", "words"),
    [(_two_scales, "x has two scales"), (_read_as_integers, "Identity same: it reads integers")],
)
def test_what_cannot_be_told_in_floats_is_refused(change, words, tmp_path):
    model = _quantized("sub-pixel CRD", tmp_path)
    change(model)
    onnx.save(model, tmp_path / "changed.onnx")
    with pytest.raises(NotSupportedError, match=words):
        take_quantization(read_graph(str(tmp_path / "changed.onnx")))


def test_bytes_have_bounds():
    assert ByteRange(0.5, -128).bounds == (0, 127.5)
    assert ByteRange(0.5, 0).bounds == (-64, 63.5)


@pytest.fixture
def tflite():
    pytest.importorskip("ai_edge_litert")
    return import_module("tvm_deconv.bench.peers.tflite_graph")


@pytest.mark.parametrize("network", ["chain", "sub-pixel CRD", "prelu", "U-Net"])
def test_litert_converts_at_the_ends_only(network, tflite, tmp_path):
    """And where TFLite's ranges are fixed, or parts of a Concat have two."""
    from ai_edge_litert.interpreter import Interpreter, OpResolverType

    path = tmp_path / "q.onnx"
    onnx.save(_quantized(network, tmp_path), path)
    interpreter = Interpreter(
        model_content=tflite.translate(read_graph(str(path))),
        experimental_op_resolver_type=OpResolverType.BUILTIN_WITHOUT_DEFAULT_DELEGATES,
    )
    interpreter.allocate_tensors()
    steps = [each["op_name"] for each in interpreter._get_ops_details()]
    tensors = {each["index"]: each["dtype"] for each in interpreter.get_tensor_details()}
    kinds = {
        str(np.dtype(tensors[i]))
        for each in interpreter._get_ops_details()
        if each["op_name"] not in ("QUANTIZE", "DEQUANTIZE")
        for i in each["outputs"]
    }
    assert kinds == {"int8"}
    assert steps.count("DEQUANTIZE") == 1 and steps[-1] == "DEQUANTIZE" and "RELU" not in steps
