"""Quantizing a network of pictures on pictures, and measuring what that costs."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx

from tvm_deconv.backends import LibraryDevice
from tvm_deconv.compiler import describe
from tvm_deconv.errors import ImageError, OutputError
from tvm_deconv.files import replacing
from tvm_deconv.images import read, split
from tvm_deconv.importer import Shapes, load_with_pixels
from tvm_deconv.pictures.progress import say
from tvm_deconv.pixels import Pixels, given_pixels
from tvm_deconv.runner import Upscaler

from .float_model import read_float
from .folder import pictures_in, references_of
from .quality import Quality, Quantized, psnr
from .required import require_onnx_runtime


def quantize(
    model: str | os.PathLike | onnx.ModelProto,
    output: str | os.PathLike,
    images: str | os.PathLike,
    *,
    references: str | os.PathLike | None = None,
    shapes: Shapes | None = None,
    pixels: Pixels | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    report: Callable[[str], None] | None = None,
) -> Quantized:
    """Write a float ONNX network as one of 8 bits, calibrated on pictures; say what that costs.

    ``model`` is an ONNX file or an ``onnx.ModelProto`` that maps one image to one image, ``output``
    a new file. ONNX Runtime (extra ``quantize``) writes it: QDQ nodes, activations of uint8 between
    the least and the greatest value that the pictures in the folder ``images`` lead to, weights of
    int8 with a scale for each channel. ``tvm_deconv.compile`` computes its convolutions in
    integers.

    Pictures are given to the network as ``tvm_deconv.run`` would, with the same ``pixels``,
    ``tile`` and ``overlap``: in tiles of the size that the network is for, or whole where it takes
    any size. ``shapes``, as in ``tvm_deconv.importer.load``, makes that tiles of one size; the
    network written takes any size all the same. ``report``, by default a line on stderr, is told
    of a range that was guessed.

    The quality is that of the pictures that ``run`` would write, as PSNR in dB over all pixels: of
    luma for one channel, of RGB for three. ``references`` is a folder of the pictures that the
    network should give, by the same file names.

    Raises ModelError for a model that is not ONNX, cannot be compiled, is quantized already or no
    image-to-image network; ImageError for pictures that are missing, unreadable or do not fit;
    PixelsError for pixels that are not the network's; OutputError where ``output`` exists or cannot
    be written; QuantizationError where ONNX Runtime is not installed, or refuses.
    """
    if os.path.lexists(output):
        raise OutputError(f"cannot write {output}: it exists, give a new name or remove it")
    with replacing(output) as unfinished:
        require_onnx_runtime("quantize")
        # Here, because both import it.
        from .onnx_network import OnnxNetwork
        from .onnx_quantizer import quantized

        proto, name = read_float(model)
        files = pictures_in(images)
        wanted = None if references is None else references_of(files, references)
        mod, stated = load_with_pixels(model, shapes)
        description = describe(mod, given_pixels(pixels), stated, LibraryDevice())
        network = OnnxNetwork.of(name, description, proto)
        before = Upscaler.of(network, pixels, report or say).with_range()

        def feeds() -> Iterator[dict[str, np.ndarray]]:
            for file in files:
                for planes in before.given(read(file), str(file), tile, overlap):
                    yield network.feed(planes)

        written = quantized(proto, name, feeds())
        onnx.save(written, unfinished)
        after = replace(before, network=OnnxNetwork.of(name, description, written))
        lost, had, got = [], [], []
        for index, file in enumerate(files):
            seen = split(read(file), network.layout.channels)
            results = [
                seen.to_planes(upscaler.samples(seen, str(file), tile, overlap, False))
                for upscaler in (before, after)
            ]
            lost.append(psnr(*results))
            if wanted is not None:
                truth = _reference(wanted[index], results[0].shape)
                had.append(psnr(results[0], truth))
                got.append(psnr(results[1], truth))
        size = unfinished.stat().st_size
    names = tuple(file.name for file in files)
    return Quantized(
        proto.ByteSize(),
        size,
        Quality(names, tuple(lost)),
        Quality(names, tuple(had)) if had else None,
        Quality(names, tuple(got)) if got else None,
    )


def _reference(file: Path, shape: tuple[int, ...]) -> np.ndarray:
    """The picture that a network should give, as planes in [0, 1] of this shape, batch of 1."""
    planes = split(read(file), shape[1]).planes
    if planes.shape != shape:
        sizes = (f"{width} x {height}" for *_, height, width in (planes.shape, shape))
        raise ImageError("reference {} is {} pixels, but the network gives {}".format(file, *sizes))
    return planes
