"""Colours of 16 bits go through a network as such, and come out as such."""

from __future__ import annotations

import struct
import sys
import zlib

import numpy as np
import onnxruntime
import pytest
from PIL import Image
from quick_network import unoptimised
from upscaling import QUICK, upscaler

import tvm_deconv
from tvm_deconv import Pixels, images
from tvm_deconv.errors import ImageError
from tvm_deconv.library import compile_library

KINDS = {2: 4, 3: 2, 4: 6}  # the standard's number of a kind of colours, by channels


def png_file(path, values, orientation=None):
    """Write (height, width, channels) of uint16 as the standard says."""

    def chunk(kind, data):
        body = kind + data
        return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))

    height, width, channels = values.shape
    lines = b"".join(b"\0" + row.astype(">u2").tobytes() for row in values)
    exif = b"MM\0*" + struct.pack(">IHHHIHHI", 8, 1, 0x112, 3, 1, orientation or 1, 0, 0)
    path.write_bytes(
        b"\x89PNG\r\n\x1a\n"
        + chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 16, KINDS[channels], 0, 0, 0))
        + (chunk(b"eXIf", exif) if orientation else b"")
        + chunk(b"IDAT", zlib.compress(lines))
        + chunk(b"IEND", b"")
    )
    return path


def png_values(path, channels):
    data = path.read_bytes()
    width, height, bits, kind = struct.unpack(">IIBB", data[16:26])
    assert (bits, kind) == (16, KINDS[channels])
    packed, at = b"", 8
    while at < len(data):
        length = struct.unpack(">I", data[at : at + 4])[0]
        if data[at + 4 : at + 8] == b"IDAT":
            packed += data[at + 8 : at + 8 + length]
        at += 12 + length
    lines = np.frombuffer(zlib.decompress(packed), np.uint8).reshape(height, -1)
    assert not lines[:, 0].any(), "lines are not filtered"
    return lines[:, 1:].copy().view(">u2").reshape(height, width, channels).astype(int)


@pytest.fixture(scope="module")
def libraries(tmp_path_factory):
    """A network of one channel and one of three, for 0..1, of free sizes."""
    folder = tmp_path_factory.mktemp("libraries")
    for channels in (1, 3):
        path = folder / f"{channels}.so"
        compile_library(
            upscaler(channels), path, unoptimised(), variant=QUICK, pixels=Pixels("0..1")
        )
    return folder


def smooth(channels, size=(9, 12)):
    """Values of which 8 bits would not do, none of them near the ends."""
    y, x = np.mgrid[: size[0], : size[1]]
    waves = [np.sin(x / (2 + c)) * np.cos(y / (3 + c)) for c in range(channels)]
    return (32000 + 9000 * np.stack(waves, axis=2)).astype(np.uint16)


def reference(channels, planes):
    session = onnxruntime.InferenceSession(upscaler(channels).SerializeToString())
    return session.run(None, {session.get_inputs()[0].name: planes.astype(np.float32)})[0][0]


@pytest.mark.parametrize("channels", [3, 4])
def test_three_channels_go_through_a_network_of_three(libraries, channels, tmp_path):
    values = smooth(channels)
    source = png_file(tmp_path / "in.png", values)
    tvm_deconv.run(libraries / "3.so", source, tmp_path / "out.png")
    found = png_values(tmp_path / "out.png", channels)
    planes = values[..., :3].transpose(2, 0, 1)[None] / 65535
    expected = np.clip(reference(3, planes), 0, 1).transpose(1, 2, 0) * 65535
    assert np.abs(found[..., :3] - expected).max() <= 1
    assert len(np.unique(found[..., :3])) > 256
    if channels == 4:
        assert np.abs(found[1:-1:2, 1:-1:2, 3] - values[:-1, :-1, 3].astype(int)).max() < 2500


def test_the_luma_goes_through_a_network_of_one_and_the_chroma_stays(libraries, tmp_path):
    """Of one colour all over, chroma and its enlargement are that colour's."""
    values = np.broadcast_to(np.array([32001, 33003, 31507], np.uint16), (9, 12, 3))
    tvm_deconv.run(libraries / "1.so", png_file(tmp_path / "in.png", values), tmp_path / "out.png")
    found = png_values(tmp_path / "out.png", 3)
    weights = np.array([0.299, 0.587, 0.114])
    luma = float(values[0, 0] @ weights)
    result = np.clip(reference(1, np.full((1, 1, 9, 12), luma / 65535)), 0, 1)[0] * 65535
    within = (result > 2000) & (result < 63000)
    assert within.mean() > 0.2, "most colours are clipped"
    found = found[within]
    assert np.abs(found @ weights - result[within]).max() <= 1.5
    chroma = found - (found @ weights)[..., None]
    assert np.abs(chroma - (values[0, 0] - luma)).max() <= 2


def test_grey_with_alpha_stays_grey_with_alpha(libraries, tmp_path):
    values = smooth(2)
    source = png_file(tmp_path / "in.png", values)
    for channels in (1, 3):
        tvm_deconv.run(libraries / f"{channels}.so", source, tmp_path / "out.png")
        found = png_values(tmp_path / "out.png", 2)
        planes = np.repeat(values[None, None, ..., 0] / 65535, channels, axis=1)
        expected = np.clip(reference(channels, planes), 0, 1) * 65535
        grey = expected[0] if channels == 1 else np.tensordot([0.299, 0.587, 0.114], expected, 1)
        assert np.abs(found[..., 0] - grey).max() <= 1.5


@pytest.mark.parametrize("orientation", range(1, 9))
def test_it_is_turned_as_pillow_turns_eight_bits(orientation, tmp_path):
    values = np.arange(2 * 3 * 3, dtype=np.uint16).reshape(2, 3, 3) * 256
    deep = images.read(png_file(tmp_path / "in.png", values, orientation))
    picture = Image.fromarray((values // 256).astype(np.uint8))
    exif = picture.getexif()
    exif[0x112] = orientation
    picture.save(tmp_path / "eight.png", exif=exif)
    wanted = np.asarray(images.read(tmp_path / "eight.png"))
    np.testing.assert_array_equal(deep.values // 256, wanted)


def test_other_formats_get_eight_bits(libraries, tmp_path):
    source = png_file(tmp_path / "in.png", smooth(3))
    for name in ("out.png", "out.bmp"):
        tvm_deconv.run(libraries / "3.so", source, tmp_path / name)
    with Image.open(tmp_path / "out.bmp") as image:
        eight = np.asarray(image).astype(int)
    np.testing.assert_array_equal(eight, (png_values(tmp_path / "out.png", 3) / 257).round())


def test_without_pypng_eight_bits_are_kept_and_that_is_said(
    libraries, tmp_path, capfd, monkeypatch
):
    monkeypatch.setitem(sys.modules, "png", None)
    source = png_file(tmp_path / "in.png", smooth(3))
    tvm_deconv.run(libraries / "3.so", source, tmp_path / "out.png")
    said = capfd.readouterr().err
    assert "in.png has colours of 16 bits, of which 8 are kept: for all, pip install 'tv" in said


def test_a_damaged_file_is_one_line(tmp_path):
    source = png_file(tmp_path / "in.png", smooth(3))
    source.write_bytes(source.read_bytes()[:-40])
    with pytest.raises(ImageError, match=r"cannot read image .*in\.png"):
        images.read(source)


def test_a_file_whose_pixels_do_not_unpack_is_one_line(tmp_path, monkeypatch):
    """Its checksums are right, and Pillow, which has its orientation, has not looked at them."""
    monkeypatch.setattr(zlib, "compress", lambda lines: b"not packed")
    source = png_file(tmp_path / "in.png", smooth(3), orientation=1)
    with pytest.raises(ImageError, match=r"cannot read image .*in\.png"):
        images.read(source)
