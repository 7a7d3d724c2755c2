"""What is known of a network's pixels is settled when it is compiled, and stands in the library."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import onnx
import pytest
import tvm
from image_networks import demo, for_range
from onnx import TensorProto, helper
from onnx_net import Net
from PIL import Image

import tvm_deconv
from tvm_deconv import Pixels, cli
from tvm_deconv.errors import ImageError, PixelsError
from tvm_deconv.library import compile_library
from tvm_deconv.pictures.guess import Guess
from tvm_deconv.pictures.network import Network
from tvm_deconv.schedules.cpu.processors import available_processors
from tvm_deconv.targets import is_this_machine, resolve_target
from tvm_deconv.threads import use_threads

OPTIONS = {"log": None, "shapes": {"luma": (1, 1, 12, 16)}}


def bright() -> onnx.ModelProto:
    """A trained network for 0..255."""
    return for_range(demo(), 0, 255)


def net(*dims: int) -> onnx.ModelProto:
    """A convolution of 3 channels."""
    n = Net(dims)
    return n.model(n.conv("x", 3, 3))


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "in.png"
    Image.fromarray(np.arange(192, dtype=np.uint8).reshape(12, 16)).save(path)
    return path


def said_by_run(library, picture, pixels=None) -> list[str]:
    lines: list[str] = []
    out = library.parent / "out.png"
    tvm_deconv.run(library, picture, out, pixels=pixels, report=lines.append, progress=False)
    return lines


def test_the_range_is_guessed_once_and_stands_in_the_library(tmp_path, picture, monkeypatch):
    said: list[str] = []
    library = tmp_path / "net.so"
    compile_library(bright(), library, report=said.append, **OPTIONS)

    (line,) = said
    assert line.startswith("pixels are taken to be 0..255, surely: ")
    assert Network.open(library).description.guessed_range == "0..255"

    monkeypatch.setattr(Network, "guess", lambda *_: pytest.fail("it is guessed again"))
    (line,) = said_by_run(library, picture)
    assert line.startswith("pixels are taken to be 0..255, as was guessed when ")
    assert said_by_run(library, picture, Pixels("-1..1")) == []


def test_a_range_that_is_given_or_stated_is_not_guessed(tmp_path, picture, monkeypatch):
    monkeypatch.setattr(Network, "guess", lambda *_: pytest.fail("it is guessed"))
    given, stated, model = tmp_path / "given.so", tmp_path / "stated.so", bright()
    compile_library(model, given, pixels=Pixels("0..255"), **OPTIONS)
    model.metadata_props.add(key="Image.NominalPixelRange", value="NominalRange_0_255")
    compile_library(model, stated, **OPTIONS)

    assert said_by_run(given, picture) == []
    assert "as the model's metadata says" in said_by_run(stated, picture)[0]


def test_a_guess_made_without_the_mean_does_not_hold_with_it(tmp_path, picture):
    library = tmp_path / "net.so"
    compile_library(bright(), library, report=lambda line: None, **OPTIONS)

    (line,) = said_by_run(library, picture, Pixels(mean=(10,)))

    assert "flat greys come back" in line


def test_a_library_for_another_machine_says_that_its_range_is_not_guessed(tmp_path, monkeypatch):
    said: list[str] = []
    monkeypatch.setattr("tvm_deconv.built.link", lambda _, path, *rest: path.touch())
    monkeypatch.setattr("tvm_deconv.library.linker", lambda *_: "cc")
    target = "raspberry-pi/4b-aarch64"
    compile_library(bright(), tmp_path / "net.so", target, report=said.append, **OPTIONS)

    (line,) = said
    assert "net.so is not for this processor: the range of its pixels is left to be guessed" in line


def test_a_network_is_asked_on_all_processors_and_its_caller_keeps_its_threads(
    tmp_path, monkeypatch
):
    threads = tvm.get_global_func("runtime.NumThreads")
    asked_on: list[int] = []

    def guess(self, pixels):
        asked_on.append(threads())
        return Guess("0..1", "surely")

    monkeypatch.setattr(Network, "guess", guess)

    def compiled() -> int:
        use_threads(1)
        compile_library(bright(), tmp_path / "net.so", report=lambda line: None, **OPTIONS)
        return threads()

    # A count is a thread's own.
    with ThreadPoolExecutor(1) as pool:
        assert pool.submit(compiled).result() == 1
    assert asked_on == [available_processors()]


def test_a_size_that_the_network_refuses_leaves_the_guess_to_run(tmp_path, monkeypatch):
    def refuse(self, pixels):
        raise ImageError(f"{self.name} cannot compute pictures of 64 x 64 pixels")

    monkeypatch.setattr(Network, "guess", refuse)
    said: list[str] = []
    compile_library(bright(), tmp_path / "net.so", report=said.append, **OPTIONS)

    (line,) = said
    assert line.endswith("range=): the network cannot compute pictures of 64 x 64 pixels")
    assert Network.open(tmp_path / "net.so").description.guessed_range is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--mean", "1,2"], "mean has 2 numbers, 1,2, but the network has 3 channels"),
        (["--scale", "1,2,3,4"], "scale has 4 numbers, 1,2,3,4, but the network has 3 channels"),
    ],
)
def test_numbers_for_other_channels_are_refused_before_anything_is_written(
    tmp_path, capfd, options, message
):
    onnx.save(net(1, 3, 8, 9), tmp_path / "net.onnx")
    library = tmp_path / "net.so"
    library.write_bytes(b"before")

    assert cli.main(["compile", str(tmp_path / "net.onnx"), "-o", str(library), *options]) == 2

    (line,) = capfd.readouterr().err.splitlines()
    assert line.startswith(f"tvm-deconv: {message}")
    assert library.read_bytes() == b"before"


@pytest.mark.parametrize(
    ("model", "pixels", "message"),
    [
        (demo, Pixels(bgr=True), "a network of 1 channel has no order of colours"),
        (lambda: net(2, 3, 8, 9), Pixels("0..1"), r"does not map one image .*: leave them away"),
    ],
    ids=["colours of a grey network", "a network of two pictures"],
)
def test_pixels_that_the_network_cannot_have_are_refused(model, pixels, message):
    with pytest.raises(PixelsError, match=message):
        tvm_deconv.compile(model(), pixels=pixels, log=None)


def test_a_network_that_computes_nothing_is_a_library_too(tmp_path):
    ends = [helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 8, 9]) for n in "xy"]
    graph = helper.make_graph(
        [helper.make_node("Identity", ["x"], ["y"])], "same", *([end] for end in ends)
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    compile_library(model, tmp_path / "net.so", report=lambda line: None, log=None)

    network = Network.open(tmp_path / "net.so")
    x = np.arange(72, dtype=np.float32).reshape(1, 1, 8, 9)

    np.testing.assert_array_equal(network(x), x)
    assert network.description.guessed_range == "0..1"


def test_a_file_is_parsed_once(tmp_path, monkeypatch):
    onnx.save(demo(), tmp_path / "net.onnx")
    parse, parsed = onnx.load_model_from_string, []
    monkeypatch.setattr(
        onnx, "load_model_from_string", lambda data: parsed.append(data) or parse(data)
    )

    tvm_deconv.compile(tmp_path / "net.onnx", shapes={"luma": (1, 1, 8, 8)}, log=None)

    assert len(parsed) == 1


def test_this_machine_is_told_by_processor_and_architecture():
    host = resolve_target("host")
    described = {"kind": "llvm", "mcpu": host.attrs["mcpu"], "mtriple": host.attrs["mtriple"]}

    assert is_this_machine(host)
    assert is_this_machine(tvm.target.Target(described))
    others = ({"mcpu": "generic"}, {"mtriple": "riscv64-linux-gnu"})
    for other in (tvm.target.Target({**described, **other}) for other in others):
        assert not is_this_machine(other)
