"""Kernels and networks for a Raspberry Pi 4, run by TVM's RPC server on an emulated board."""

from __future__ import annotations

import gc

import numpy as np
import onnx
import onnxruntime
import pytest
import tvm
from kernel import cases, check, compile_here, compile_unoptimised, square
from onnx_net import every_layer
from paths import MODELS
from tvm import relax, rpc
from tvm.support import cc

from tvm_deconv import cli
from tvm_deconv.algebra.geometry import (
    Axis,
    ConvAxis,
    ConvTranspose2d,
    axis_of_resize,
    axis_of_subpixel,
)
from tvm_deconv.backends.linking import linker
from tvm_deconv.library import compile_library
from tvm_deconv.schedules.choice import AUTO
from tvm_deconv.schedules.cpu.variants import VARIANTS
from tvm_deconv.schedules.variant import ACCUMULATE_DTYPE
from tvm_deconv.targets import resolve_target

pytestmark = pytest.mark.board

PI = "raspberry-pi/4b-aarch64"
TARGET = resolve_target(PI)
ELF_AARCH64 = 183

LAYERS = {
    "groups, uneven sizes": (
        ConvTranspose2d(6, 9, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1), groups=3),
        (2, 9, 21),
    ),
    "asymmetric padding, stride 3": (
        ConvTranspose2d(5, 4, Axis(5, 3, 0, 3, 1), Axis(6, 3, 4, 1)),
        (1, 11, 17),
    ),
    "sub-pixel by 3": (
        ConvTranspose2d(16, 1, *square(axis_of_subpixel, ConvAxis(3, 1, 1), 3)),
        (1, 13, 37),
    ),
    "nearest by 2": (
        ConvTranspose2d(12, 17, *square(axis_of_resize, ConvAxis(3, 1, 1), 2)),
        (1, 14, 23),
    ),
    "plain": (ConvTranspose2d(8, 13, *square(Axis, 3, 1, 1, 1)), (1, 15, 30)),
    "depthwise": (
        ConvTranspose2d(6, 12, Axis(4, 2, 1, 1), Axis(4, 2, 1, 1), groups=6),
        (2, 9, 21),
    ),
}


@pytest.fixture
def session(board):
    """A connection to the board, which serves one at a time.

    A test that failed keeps its own until the limit, because its traceback does.
    """
    yield rpc.connect_tracker(board.host, board.port).request(board.key, session_timeout=120)
    # A virtual machine refers to itself, and so keeps the connection.
    gc.collect()


def load(session, library):
    # Given a path, TVM forgets to close the file.
    session.upload(bytearray(library.read_bytes()), library.name)
    return session.load_module(library.name)


def run_on(session, folder):
    """How `kernel.check` runs a kernel on the board; an element that is not written is a NaN."""

    def run(built, x, packed, shape):
        library = folder / "kernel.so"
        built.export_library(str(library), fcompile=cc.create_shared, cc=linker(TARGET))
        module, device = load(session, library), session.cpu()
        y = tvm.runtime.tensor(np.full(shape, np.nan, x.dtype), device)
        arguments = (tvm.runtime.tensor(array, device) for array in (x, packed))
        module["main"](*arguments, y)
        return y.numpy()

    return run


@pytest.mark.parametrize(("variant", "layer"), cases(VARIANTS, LAYERS))
def test_each_variant_equals_the_scatter_definition_on_a_board(session, tmp_path, variant, layer):
    conv, shape = LAYERS[layer]
    reason = VARIANTS[variant].refusal(conv, ACCUMULATE_DTYPE)
    if reason is None:
        run = run_on(session, tmp_path)
        check(variant, conv, shape, target=TARGET, compile=compile_unoptimised, run=run)
    else:
        assert variant == "winograd", reason


@pytest.mark.parametrize("dtype, symbolic", [("float16", ""), ("float32", "nhw")])
@pytest.mark.parametrize("variant", sorted(VARIANTS))
def test_half_precision_and_free_sizes_work_on_a_board(session, tmp_path, variant, dtype, symbolic):
    conv, shape = LAYERS["depthwise" if variant == "depthwise" else "nearest by 2"]
    run = run_on(session, tmp_path)
    check(variant, conv, shape, dtype, TARGET, symbolic=symbolic, compile=compile_here, run=run)


def test_kernels_use_the_threads_of_the_board(session, board):
    assert session.get_function("runtime.NumThreads")() == board.threads


def run_network(session, library, x):
    """What the library's network makes of `x` on the board."""
    assert library.read_bytes()[18] == ELF_AARCH64
    device = session.cpu()
    machine = relax.VirtualMachine(load(session, library), device)
    machine.set_input("main", tvm.runtime.tensor(x, device))
    machine.invoke_stateful("main")
    return machine.get_outputs("main").numpy()


def assert_equals_onnx_runtime(model, x, got, tolerance):
    inputs = {model.graph.input[0].name: x}
    expected = onnxruntime.InferenceSession(model.SerializeToString()).run(None, inputs)[0]
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got / scale, expected / scale, rtol=0, atol=tolerance)


@pytest.mark.parametrize("name", ["espcn_x3", "resize_x3"])
def test_a_library_of_the_command_line_loads_on_a_board(session, tmp_path, name):
    path, library = MODELS / f"{name}.onnx", tmp_path / "model.so"
    assert cli.main(["compile", str(path), "--target", PI, "-o", str(library)]) == 0
    x = np.random.default_rng(0).random((1, 1, 19, 26), "float32")
    assert_equals_onnx_runtime(onnx.load(path), x, run_network(session, library, x), 1e-5)


@pytest.mark.parametrize("variant", [AUTO, *VARIANTS])
def test_a_network_of_every_kind_of_layer_equals_onnx_runtime_on_a_board(
    session, tmp_path, variant
):
    net, output = every_layer()
    model, library = net.model(output), tmp_path / "network.so"
    compile_library(model, library, PI, variant=variant)
    x = net.rng.random(net.shape).astype("float32")
    assert_equals_onnx_runtime(model, x, run_network(session, library, x), 2e-5)
