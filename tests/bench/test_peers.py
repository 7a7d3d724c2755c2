"""Each peer computes what the layers are defined to be, with the threads that it is told to use.

ONNX Runtime is in the test environment; the others are tested where their environments have been
made, as the benchmark does it.
"""

from __future__ import annotations

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from onnx_net import Net
from paths import ROOT
from reference import conv2d, conv2d_transpose, nearest, pixel_shuffle

from tvm_deconv.bench import defaults, environments
from tvm_deconv.bench.client import Worker, peer_command
from tvm_deconv.bench.worker import PEERS
from tvm_deconv.errors import PeerError
from tvm_deconv.measure.reference import TOLERANCE

FOLDER = ROOT / defaults.PEER_ROOT
SHAPE = (1, 8, 9, 11)


def _python(peer):
    if peer == "onnxruntime":
        return Path(sys.executable)
    if not environments.is_installed(peer, FOLDER):
        pytest.skip(f"{peer} has no environment in {FOLDER}: `tvm-deconv bench` makes it")
    return environments.python_of(peer, FOLDER)


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
    """The running peers by name, each started when it is first asked for."""
    running = {}
    yield running
    for each in running.values():
        each.close()


@pytest.mark.parametrize("layer", LAYERS)
@pytest.mark.parametrize("peer", PEERS)
def test_a_peer_computes_the_layer(peer, layer, workers, tmp_path):
    if peer not in workers:
        workers[peer] = Worker(peer_command(_python(peer), peer), peer)
    net = Net(SHAPE)
    output, reference = LAYERS[layer](net)
    model, x_file, y_file = (tmp_path / name for name in ("m.onnx", "x.npy", "y.npy"))
    onnx.save(net.model(output), model)
    x = np.random.default_rng(1).standard_normal(SHAPE).astype("float32")
    np.save(x_file, x)
    workers[peer].load(model, x_file, y_file, 1)
    weights = [numpy_helper.to_array(w) for w in net.weights]
    layer_weights = [w.astype("float64") for w in weights if w.ndim == 4 or len(w) != 4]
    expected = reference(x.astype("float64"), *layer_weights)
    y = np.load(y_file)
    assert y.shape == expected.shape
    # Winograd is among what peers use: an error of 1e-4 of the largest value is what counts.
    np.testing.assert_allclose(y, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


def test_onnx_runtime_uses_no_more_threads_than_told(tmp_path):
    net = Net((1, 32, 96, 96))
    files = [tmp_path / name for name in ("m.onnx", "x.npy", "y.npy")]
    onnx.save(net.model(net.conv("x", 32, 64)), files[0])
    np.save(files[1], np.zeros(net.shape, "float32"))
    with Worker(peer_command(_python("onnxruntime"), "onnxruntime"), "onnxruntime") as peer:
        peer.load(*files, 1)
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
    results = {mnn._FAST: exact + difference, mnn._ACCURATE: exact}
    monkeypatch.setattr(mnn, "_convert", lambda *_: None)
    monkeypatch.setattr(mnn, "_call", lambda _m, _x, _t, level: lambda: results[level])
    monkeypatch.setattr(mnn, "_to_numpy", lambda result: result)
    monkeypatch.setattr(mnn, "version", lambda _: "3")
    call, _, _, notes = mnn.load("m.onnx", exact, 1)
    assert call() is results[mnn._FAST if taken == "fast" else mnn._ACCURATE]
    assert bool(notes) == (taken == "accurate")
    assert TOLERANCE["float32"] > 2 * mnn._TOLERANCE
