"""A picture is given to the network as the numbers it was trained for, and said where guessed."""

from __future__ import annotations

import json

import numpy as np
import onnx
import onnxruntime
import pytest
from image_networks import demo, for_range
from onnx_net import Net
from PIL import Image
from quick_network import unoptimised
from upscaling import QUICK, upscaler

import tvm_deconv
from tvm_deconv import Pixels, cli, metadata
from tvm_deconv.errors import ImageError, ModelError, OutputError, PixelsError
from tvm_deconv.library import compile_library
from tvm_deconv.pictures import tiling
from tvm_deconv.pictures.network import Network

SIZE = (20, 24)  # width, height


def photograph(mode="L", size=SIZE) -> Image.Image:
    """Smooth, with something of every frequency."""
    y, x = (axis[..., None] for axis in np.mgrid[: size[1], : size[0]])
    waves = np.sin(x / np.array([2.0, 3.5, 5.0])) * np.cos(y / np.array([4.0, 2.5, 3.0]))
    return Image.fromarray((127 + 100 * waves).astype(np.uint8)).convert(mode)


def reference(model: onnx.ModelProto, planes: np.ndarray) -> np.ndarray:
    session = onnxruntime.InferenceSession(model.SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: planes.astype(np.float32)})[0][0]


def pixels_of(path) -> np.ndarray:
    with Image.open(path) as image:
        return np.asarray(image).astype(int)


def eight_bits(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).round()


@pytest.fixture
def folder(tmp_path):
    """A folder with a photograph."""
    photograph().save(tmp_path / "in.png")
    return tmp_path


@pytest.fixture
def untold():
    """A small network for 0..255, and what it makes of the photograph."""
    model = upscaler(1, (1, 24, 20))
    return model, eight_bits(reference(model, np.asarray(photograph())[None, None])[0])


def test_a_trained_network_for_0_to_255_is_guessed_and_the_guess_is_said(folder, capfd):
    onnx.save(for_range(demo(), 0, 255), folder / "net.onnx")
    library, out = str(folder / "net.so"), str(folder / "out.png")
    shape = ["--shape", "luma=1,1,24,20"]
    assert cli.main(["compile", str(folder / "net.onnx"), "-o", library, *shape]) == 0
    assert capfd.readouterr().err.startswith("tvm-deconv: pixels are taken to be 0..255, surely: ")
    assert cli.main(["run", library, str(folder / "in.png"), "-o", out]) == 0
    assert "0..255, as was guessed when" in capfd.readouterr().err
    planes = np.asarray(photograph(), np.float32)[None, None] / 255
    assert np.abs(pixels_of(out) - eight_bits(reference(demo(), planes)[0] * 255)).max() <= 1


def test_what_compile_was_told_stands_in_the_library_and_run_is_silent(folder, untold, capfd):
    model, wanted = untold
    onnx.save(model, folder / "net.onnx")
    library, out = str(folder / "net.so"), str(folder / "out.png")
    options = ["--range", "0..255"]
    assert cli.main(["compile", str(folder / "net.onnx"), "-o", library, *options]) == 0
    capfd.readouterr()
    assert cli.main(["run", library, str(folder / "in.png"), "-o", out]) == 0
    assert capfd.readouterr().err == ""
    assert np.abs(pixels_of(out) - wanted).max() <= 1
    assert cli.main(["run", library, str(folder / "in.png"), "-o", out, "--range", "-1..1"]) == 0
    assert capfd.readouterr().err == ""
    planes = np.asarray(photograph(), np.float32)[None, None] / 127.5 - 1
    otherwise = eight_bits((reference(model, planes)[0] + 1) * 127.5)
    assert np.abs(pixels_of(out) - otherwise).max() <= 1


def test_a_library_that_was_compiled_anew_is_the_one_that_runs(folder, untold):
    library, picture = str(folder / "net.so"), np.ones((1, 1, 24, 20), np.float32)
    for model in (untold[0], upscaler(1, (1, 24, 20), "Sigmoid")):
        compile_library(model, library, pixels=Pixels("0..255"))
        made = Network.open(library)(picture)[0]
        np.testing.assert_allclose(made, reference(model, picture), rtol=0, atol=1e-4)


def test_a_library_runs_where_no_temporary_file_can_be_written(folder, untold, monkeypatch):
    compile_library(untold[0], folder / "net.so", unoptimised(), pixels=Pixels("0..255"))
    monkeypatch.setattr("tempfile.tempdir", str(folder / "is not there"))
    picture = np.ones((1, 1, 24, 20), np.float32)
    made = Network.open(folder / "net.so")(picture)[0]
    np.testing.assert_allclose(made, reference(untold[0], picture), rtol=0, atol=1e-4)


def test_the_models_own_metadata_is_taken_and_that_is_said(folder, untold, capfd):
    model, wanted = untold
    model.metadata_props.add(key="Image.NominalPixelRange", value="NominalRange_0_255")
    model.metadata_props.add(key="Image.BitmapPixelFormat", value="Gray8")
    compile_library(model, folder / "net.so", unoptimised())
    tvm_deconv.run(folder / "net.so", folder / "in.png", folder / "out.png")
    said = "tvm-deconv: pixels are taken to be 0..255, as the model's metadata says\n"
    assert capfd.readouterr().err == said
    assert np.abs(pixels_of(folder / "out.png") - wanted).max() <= 1


def test_mean_scale_and_bgr_are_applied_and_undone(tmp_path):
    model, size = upscaler(3, (1, 8, 12)), (12, 8)
    pixels = Pixels("0..255", mean=(100, 120, 140), scale=(50, 60, 70), bgr=True)
    compile_library(model, tmp_path / "net.so", unoptimised(), pixels=pixels)
    photograph("RGB", size).save(tmp_path / "in.png")
    tvm_deconv.run(tmp_path / "net.so", tmp_path / "in.png", tmp_path / "out.png")
    mean, scale = (np.array(v).reshape(3, 1, 1) for v in (pixels.mean, pixels.scale))
    planes = np.asarray(photograph("RGB", size), np.float32).transpose(2, 0, 1)[::-1]
    result = reference(model, ((planes - mean) / scale)[None]) * scale + mean
    wanted = np.clip(result[::-1].transpose(1, 2, 0), 0, 255).round()
    assert np.abs(pixels_of(tmp_path / "out.png") - wanted).max() <= 1


def test_pixels_that_are_not_the_networks_are_refused(tmp_path):
    compile_library(upscaler(1, (1, 8, 12)), tmp_path / "net.so", unoptimised())
    photograph("L", (12, 8)).save(tmp_path / "in.png")
    with pytest.raises(PixelsError, match="mean has 3 numbers"):
        tvm_deconv.run(
            tmp_path / "net.so",
            tmp_path / "in.png",
            tmp_path / "out.png",
            pixels=Pixels(mean=(1, 2, 3)),
        )
    assert not (tmp_path / "out.png").exists()


@pytest.fixture(scope="module")
def free(tmp_path_factory):
    """A library of free sizes that enlarges RGB by 2."""
    library = tmp_path_factory.mktemp("free") / "net.so"
    compile_library(upscaler(3), library, unoptimised(), pixels=Pixels("0..1"))
    return library


def wide(folder, size=(53, 47)):
    photograph("RGB", size).save(folder / "wide.png")
    return folder / "wide.png"


def test_a_picture_in_tiles_is_that_of_the_whole(free, folder, monkeypatch):
    seen, call = [], Network.__call__
    monkeypatch.setattr(
        Network, "__call__", lambda self, x: seen.append(x.shape[2:]) or call(self, x)
    )
    tvm_deconv.run(free, wide(folder), folder / "whole.png")
    assert seen == [(47, 53)]
    tvm_deconv.run(free, wide(folder), folder / "tiles.png", tile=20)
    assert len(seen) > 6 and max(max(shape) for shape in seen[1:]) <= 20
    # Halves may be rounded otherwise where a convolution of another size adds in another order.
    assert np.abs(pixels_of(folder / "tiles.png") - pixels_of(folder / "whole.png")).max() <= 1


def test_a_picture_whose_maps_would_take_too_much_is_run_in_tiles_unasked(free):
    network = Network.open(free)
    rows, columns = tiling.plans(network, (4000, 6000), "large.png", None, None)
    assert len(rows.cuts) * len(columns.cuts) > 1
    taken = rows.size * columns.size * network.description.field.bytes_per_pixel
    assert 2**28 < taken <= 2**30
    assert len(tiling.plans(network, (400, 600), "small.png", None, None)[0].cuts) == 1


@pytest.mark.parametrize("size", [(53, 47), (12, 5), (7, 40)])
def test_a_library_of_a_fixed_size_takes_pictures_of_any(free, folder, size):
    compile_library(
        upscaler(3, (1, 9, 14)), folder / "fixed.so", unoptimised(), pixels=Pixels("0..1")
    )
    tvm_deconv.run(folder / "fixed.so", wide(folder, size), folder / "out.png")
    tvm_deconv.run(free, wide(folder, size), folder / "whole.png")
    out, whole = (pixels_of(folder / name) for name in ("out.png", "whole.png"))
    assert out.shape == whole.shape
    # Where a picture is smaller than the library's size, it is reflected, not padded with zeros.
    rows, columns = (
        2 * n if n > m else 2 * n - 4 for n, m in zip(size[::-1], (9, 14), strict=True)
    )
    assert np.abs(out - whole)[:rows, :columns].max() <= 1


def test_a_network_with_strides_gets_multiples_and_the_result_is_cut(folder):
    net = Net((1, 3, 24, 24), dims=(1, 3, "h", "w"))
    x = net("Relu", net.conv("x", 3, 8, strides=[2, 2]))
    x = net("Relu", net.conv(x, 8, 8, strides=[2, 2]))
    model = net.model(net("Sigmoid", net.deconv(x, 8, 3, 6, 4, pads=[1] * 4)))
    compile_library(model, folder / "net.so", unoptimised(), pixels=Pixels("0..1"))
    image = wide(folder)
    tvm_deconv.run(folder / "net.so", image, folder / "tiles.png", tile=32)
    planes = np.asarray(photograph("RGB", (53, 47)), np.float32).transpose(2, 0, 1) / 255
    padded = np.pad(planes, [(0, 0), (0, 1), (0, 3)], mode="reflect")[None]
    wanted = eight_bits(reference(model, padded) * 255)[:, :47, :53].transpose(1, 2, 0)
    assert np.abs(pixels_of(folder / "tiles.png") - wanted).max() <= 1


def averaging():
    """A network that takes the whole picture together."""
    net = Net((1, 3, 16, 16))
    return net.model(net("Sub", net.conv("x", 3, 3), net("GlobalAveragePool", "x")))


def test_a_network_that_takes_the_whole_picture_is_not_run_in_tiles_unless_asked(folder):
    compile_library(averaging(), folder / "net.so", unoptimised(), pixels=Pixels("0..1"))
    image = wide(folder)
    with pytest.raises(ImageError, match=r"is for 16 x 16, and it cannot be run in tiles: .*"):
        tvm_deconv.run(folder / "net.so", image, folder / "out.png")
    assert not (folder / "out.png").exists()
    tvm_deconv.run(folder / "net.so", image, folder / "out.png", overlap=3)
    assert pixels_of(folder / "out.png").shape == (47, 53, 3)


def test_a_size_of_tiles_for_a_library_of_a_fixed_size_is_refused(folder):
    compile_library(upscaler(3, (1, 9, 14)), folder / "fixed.so", unoptimised())
    with pytest.raises(ImageError, match=r"fixed\.so computes 14 x 9 at once: leave tile away"):
        tvm_deconv.run(folder / "fixed.so", wide(folder), folder / "out.png", tile=20)


def test_a_library_of_an_older_version_runs_but_not_in_tiles(free, folder, monkeypatch):
    parse = metadata.parse

    def old(text):
        raw = json.loads(text)
        return parse(json.dumps({k: raw[k] for k in ("format", "inputs", "outputs", "device")}))

    monkeypatch.setattr(metadata, "parse", old)
    tvm_deconv.run(free, wide(folder), folder / "out.png")
    assert pixels_of(folder / "out.png").shape == (94, 106, 3)
    with pytest.raises(ImageError, match="its library is of an older version, compile it again"):
        tvm_deconv.run(free, wide(folder), folder / "out.png", tile=20)


def test_a_size_that_a_network_cannot_have_is_refused(folder):
    net = Net((1, 3, 24, 24), dims=(1, 3, "h", "w"))
    compile_library(
        net.model(net.reflect("x", 3)), folder / "net.so", unoptimised(), pixels=Pixels("0..1")
    )
    with pytest.raises(ImageError, match=r"net\.so cannot compute pictures of 9 x 3 pixels: "):
        tvm_deconv.run(folder / "net.so", wide(folder, (9, 3)), folder / "out.png")


def deep(size=(12, 9)) -> np.ndarray:
    """Grey of 16 bits with more than 100 levels, none of them one of 8 bits."""
    return (np.arange(size[0] * size[1], dtype=np.uint16) * 541 + 300).reshape(size[::-1])


@pytest.fixture(scope="module")
def free_grey(tmp_path_factory):
    """A library of free sizes that enlarges grey by 2."""
    library = tmp_path_factory.mktemp("grey") / "net.so"
    compile_library(upscaler(1), library, unoptimised(), variant=QUICK, pixels=Pixels("0..1"))
    return library


@pytest.mark.parametrize("ending", ["png", "tif"])
def test_grey_of_16_bits_stays_grey_of_16_bits(free_grey, folder, ending):
    Image.fromarray(deep()).save(folder / f"in16.{ending}")
    tvm_deconv.run(free_grey, folder / f"in16.{ending}", folder / f"out.{ending}")
    result = reference(upscaler(1), deep()[None, None] / 65535)[0] * 65535
    found = pixels_of(folder / f"out.{ending}")
    assert np.abs(found - np.clip(result, 0, 65535)).max() <= 1
    assert len(np.unique(found)) > 256, "more than 8 bits can tell"


def test_grey_of_16_bits_is_written_with_8_where_the_format_has_no_more(free, folder):
    Image.fromarray(deep()).save(folder / "in16.png")
    for name in ("out.png", "out.bmp"):
        tvm_deconv.run(free, folder / "in16.png", folder / name)
    sixteen, eight = (pixels_of(folder / name) for name in ("out.png", "out.bmp"))
    assert sixteen.shape == eight.shape == (18, 24)
    np.testing.assert_array_equal(eight, (sixteen / 257).round())


@pytest.mark.parametrize("alpha", [False, True])
def test_a_format_without_transparency_is_refused_before_work_for_a_picture_with_it(folder, alpha):
    """What follows is reading the library, which is not there."""
    Image.new("LA" if alpha else "L", (5, 4)).save(folder / "see-through.png")
    error, words = (OutputError, "JPEG has no transparency") if alpha else (ModelError, "none.so")
    with pytest.raises(error, match=words):
        tvm_deconv.run("none.so", folder / "see-through.png", folder / "out.jpg")
