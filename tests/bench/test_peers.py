"""Each peer computes what the layers are defined to be, with the threads that it is told to use.

ONNX Runtime is in the test environment; the others are tested where their environments have been
made, as the benchmark does it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_net import Net
from peer_environment import interpreter_of
from reference import conv2d, conv2d_transpose, nearest, pixel_shuffle

from tvm_deconv.bench import environments
from tvm_deconv.bench.client import Worker, peer_command
from tvm_deconv.bench.files import Files
from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import PeerError
from tvm_deconv.measure.reference import TOLERANCE, largest_error

SHAPE = (1, 8, 9, 11)


def _subpixel(net, order):
    def reference(x, w, b):
        y = conv2d(x, w, (1, 1, 1, 1)) + b[:, None, None]
        return np.maximum(pixel_shuffle(y, (2, 2), order), 0)

    y = net("DepthToSpace", net.conv("x", 8, 12), blocksize=2, mode=order)
    return net("Relu", y), reference


def _resize(net):
    def reference(x, w, b):
        return conv2d(nearest(x, (2, 2)), w, (1, 1, 1, 1)) + b[:, None, None]

    return net.conv(net.nearest("x", 2), 8, 5), reference


def _deconv(net):
    def reference(x, w):
        return conv2d_transpose(x, w, (2, 2), (1, 1, 1, 1), (1, 1))

    return net.deconv("x", 8, 5, 3, 2, pads=[1] * 4, output_padding=[1, 1]), reference


LAYERS = {
    "sub-pixel CRD": lambda net: _subpixel(net, "CRD"),
    "sub-pixel DCR": lambda net: _subpixel(net, "DCR"),
    "resize": _resize,
    "deconv": _deconv,
}


@pytest.fixture(scope="module")
def workers():
    """The running peer of a name, each started when it is first asked for."""
    running = {}

    def of(peer):
        if peer not in running:
            running[peer] = Worker(peer_command(interpreter_of(peer), peer), peer)
        return running[peer]

    yield of
    for each in running.values():
        each.close()


@pytest.fixture(scope="module")
def layers(workers, tmp_path_factory):
    """Of each layer what a peer computes, and what is right; all are one network.

    A peer takes seconds to convert a network, whatever is in it.
    """
    found = {}

    def of(peer):
        if peer not in found:
            found[peer] = _all_layers(workers(peer), tmp_path_factory.mktemp(peer))
        return found[peer]

    return of


def _all_layers(worker, folder):
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    net, outputs, expected = Net(SHAPE), [], []
    for layer in LAYERS.values():
        before = len(net.weights)
        output, reference = layer(net)
        weights = map(numpy_helper.to_array, net.weights[before:])
        layer_weights = [w.astype("float64") for w in weights if w.ndim == 4 or len(w) != 4]
        outputs.append(output)
        expected.append(reference(x.astype("float64"), *layer_weights))
    results = _computed(worker, folder, net.model(*outputs), {"x": x})
    return dict(zip(LAYERS, zip(results, expected, strict=True), strict=True))


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_computes_the_layer(peer, layer, layers):
    y, expected = layers(peer)[layer]
    # Winograd is among what peers use: an error of 1e-4 of the largest value is what counts.
    assert largest_error(y, expected) < 1e-4


def _computed(worker, folder, model, inputs):
    files = Files.written(folder, "model", model, inputs)
    worker.load(files, 1)
    return files.results()


def _with_input(net, *outputs, name, shape, kind=onnx.TensorProto.FLOAT):
    """The model with one more input, in front of ``x``."""
    model = net.model(*outputs)
    model.graph.input.insert(0, onnx.helper.make_tensor_value_info(name, kind, shape))
    return model


@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_computes_all_outputs_of_all_inputs(peer, workers, tmp_path):
    net = Net(SHAPE)
    large = net.deconv("x", 8, 5, 4, 2, pads=[1] * 4)
    # One that another layer reads, too: a runtime may take it for no output.
    outputs = net("Relu", large), net("Add", large, "skip"), large
    shape = (1, 5, 18, 22)
    rng = np.random.default_rng(1)
    skip, x = (rng.standard_normal(s).astype("float32") for s in (shape, SHAPE))
    model = _with_input(net, *outputs, name="skip", shape=shape)
    got = _computed(workers(peer), tmp_path, model, {"skip": skip, "x": x})
    (weight,) = map(numpy_helper.to_array, net.weights)
    y = conv2d_transpose(x.astype("float64"), weight.astype("float64"), (2, 2), (1, 1, 1, 1))
    for found, expected in zip(got, (np.maximum(y, 0), y + skip, y), strict=True):
        assert largest_error(found, expected) < 1e-4


@pytest.mark.parametrize(
    ("peer", "refusal"),
    [
        ("onnxruntime", None),
        ("openvino", None),
        ("mnn", None),
        ("pytorch", "Cast .*: PyTorch's translation lacks it"),
        ("ncnn", "input step is int64: our translation has float32 only"),
        ("litert", "input step is int64: our translation has float32 only"),
    ],
)
def test_a_peer_takes_integers_or_says_that_it_does_not(peer, refusal, workers, tmp_path):
    net = Net(SHAPE)
    outputs = net("Mul", net("Cast", "step", to=1), "x"), net("Identity", "x")
    model = _with_input(net, *outputs, name="step", shape=(1,), kind=onnx.TensorProto.INT64)
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    inputs = {"step": np.array([3], "int64"), "x": x}
    if refusal is None:
        got = _computed(workers(peer), tmp_path, model, inputs)
        for found, expected in zip(got, (3 * x, x), strict=True):
            np.testing.assert_array_equal(found, expected)
    else:
        with pytest.raises(PeerError, match=refusal):
            _computed(workers(peer), tmp_path, model, inputs)


def test_onnx_runtime_uses_no_more_threads_than_told(tmp_path):
    net = Net((1, 32, 96, 96))
    model = net.model(net.conv("x", 32, 64))
    files = Files.written(tmp_path, "model", model, {"x": np.zeros(net.shape, "float32")})
    with Worker(peer_command(interpreter_of("onnxruntime"), "onnxruntime"), "onnxruntime") as peer:
        peer.load(files, 1)
        # Long enough that the clock of the processor's time does not matter.
        assert peer.turn(20).cpu_share < 1.2


def test_an_unknown_peer_is_named(tmp_path):
    with pytest.raises(PeerError, match="no peer is called 'abacus': use one of onnxruntime"):
        environments.python_of("abacus", tmp_path)


def test_an_environment_is_made_once_and_failures_are_named(tmp_path, monkeypatch):
    monkeypatch.setitem(environments.REQUIREMENTS, "mnn", ("./no-such-package",))
    with pytest.raises(PeerError, match=r"environment of mnn cannot be made: .*no-such-package"):
        environments.python_of("mnn", tmp_path)
    assert not environments.is_installed("mnn", tmp_path)
    monkeypatch.setitem(environments.REQUIREMENTS, "mnn", ("pip",))
    python = environments.python_of("mnn", tmp_path)
    assert python.exists() and environments.is_installed("mnn", tmp_path)
    marker = python.parent / "marker"
    marker.touch()
    assert environments.python_of("mnn", tmp_path) == python
    assert marker.exists()
    monkeypatch.setitem(environments.REQUIREMENTS, "mnn", ("pip>1",))
    assert not environments.is_installed("mnn", tmp_path)


def test_an_environment_that_takes_too_long_is_given_up(tmp_path, monkeypatch):
    monkeypatch.setattr(environments, "_TIME_LIMIT_S", 0.001)
    with pytest.raises(PeerError, match=r"of mnn cannot be made: -m venv --clear .* after 0.001 s"):
        environments.python_of("mnn", tmp_path)
    assert not environments.is_installed("mnn", tmp_path)


@pytest.fixture
def mnn(monkeypatch):
    """MNN's module without MNN: only which of two results is taken."""
    fake = ModuleType("MNN")
    fake.expr = fake.nn = fake
    for name in ("MNN", "MNN.expr", "MNN.nn"):
        monkeypatch.setitem(sys.modules, name, fake)
    module = import_module("tvm_deconv.bench.peers.mnn")
    yield module
    del sys.modules[module.__name__]


@pytest.mark.parametrize(("difference", "taken"), [(2e-5, "fast"), (5e-5, "accurate")])
def test_mnn_is_fast_only_where_its_own_error_leaves_room(mnn, monkeypatch, difference, taken):
    exact = np.linspace(-1, 1, 5)
    results = {mnn._FAST: [exact, exact + difference], mnn._ACCURATE: [exact, exact]}
    monkeypatch.setattr(mnn, "is_quantized", lambda _: False)
    monkeypatch.setattr(mnn, "_convert", lambda *_: None)
    monkeypatch.setattr(mnn, "_call", lambda _m, _i, _o, _t, level: lambda: results[level])
    monkeypatch.setattr(mnn, "_to_numpy", lambda result: result)
    monkeypatch.setattr(mnn, "version", lambda _: "3")
    call, _, _, notes = mnn.load("m.onnx", {}, [], 1)
    assert call() is results[mnn._FAST if taken == "fast" else mnn._ACCURATE]
    assert bool(notes) == (taken == "accurate")
    assert TOLERANCE["float32"] > 2 * mnn._TOLERANCE


@pytest.mark.parametrize(
    ("wrong", "left", "said"),
    [
        ([], "compiled NCHW", []),
        ([True], "unfrozen NCHW", ["compiled NCHW is wrong by 5.0e-01"]),
        (
            [True, False],
            None,
            ["compiled NCHW is wrong by 5.0e-01", "unfrozen NCHW is wrong by 5.0e-01"],
        ),
    ],
)
@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")
def test_a_form_of_pytorch_that_is_wrong_is_not_measured(monkeypatch, wrong, left, said):
    """As torch.compile with its weights frozen is for RRDBNet."""
    torch = pytest.importorskip("torch")
    peer = import_module("tvm_deconv.bench.peers.pytorch")
    monkeypatch.setattr(
        peer,
        "_compiled",
        lambda module, xs, freezing: lambda: module(*xs) * (0.5 if freezing in wrong else 1),
    )
    forms, notes = peer._forms(torch.nn.ReLU().eval(), [torch.arange(12.0).reshape(3, 4)])
    assert [name for name in forms if not name.startswith(("eager", "frozen", "optimized"))] == (
        [left] if left else []
    )
    assert notes == said
