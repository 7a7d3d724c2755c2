"""Running a compiled library on an image."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from tvm_deconv import images
from tvm_deconv.deep_colours import EXTRA, DeepPicture, has_deep_colours
from tvm_deconv.files import replacing
from tvm_deconv.option_types import check_flag, check_integer
from tvm_deconv.pictures import tiles, tiling
from tvm_deconv.pictures.guess import Guess
from tvm_deconv.pictures.network import Network, PictureNetwork
from tvm_deconv.pictures.progress import Progress, say
from tvm_deconv.pixels import OF_BYTES, Pixels, given_pixels
from tvm_deconv.threads import use_threads


def run(
    library: str | os.PathLike,
    image: str | os.PathLike,
    output: str | os.PathLike,
    *,
    threads: int | None = None,
    pixels: Pixels | None = None,
    tile: int | None = None,
    overlap: int | None = None,
    report: Callable[[str], None] | None = None,
    progress: bool | None = None,
) -> None:
    """Read an image, run a compiled image-to-image network on it, write the result.

    ``library`` is what ``tvm-deconv compile`` wrote; it runs on the kind of device that it was
    compiled for. A network with one channel gets the luma, and
    the chroma is enlarged by bicubic interpolation; one with three channels gets RGB.
    ``pixels`` says what numbers a pixel becomes; what it leaves open is what was said when the
    library was compiled, or else what the model's metadata says, or else, for the range, what the
    network makes of flat pictures (``tvm_deconv.pictures.guess``), now or when it was compiled;
    ``report``, by default a line on stderr, is told of the last two. ``threads`` defaults to all
    processors that the process may run on.

    A picture may have any size. A library of a fixed size, and one of free sizes for which the
    picture is large, compute it in tiles that overlap by the network's receptive field, with the
    same result (``tvm_deconv.pictures.tiles``). ``tile`` is the most pixels a side that a library
    of free sizes computes at once, overlap included, by default what takes about 1 GB. ``overlap``,
    in pixels on each side, is for networks that have no such field, because they take the whole
    picture together; tiles show there. ``progress`` says whether ``report`` is told how far it is:
    by default if stderr is a terminal.

    Raises ModelError for a library that is missing, foreign, for a GPU that is not here, or not an
    image-to-image network, PixelsError for pixels that are not the network's, ImageError for an
    image that is unreadable or does not fit, OutputError, before any work, for a result that cannot
    be written, and OptionError for a ``tile``, ``overlap`` or ``progress`` of another type.
    """
    shown = sys.stderr.isatty() if progress is None else check_flag("progress", progress)
    picture = images.read(image)
    images.check_format(output, picture)
    with replacing(output) as unfinished:
        use_threads(threads)
        tell = report or say
        upscaler = Upscaler.open(library, pixels, tell)
        if has_deep_colours(image) and not isinstance(picture, DeepPicture):
            tell(f"{image} has colours of 16 bits, of which 8 are kept: for all, {EXTRA}")
        result = upscaler.upscale(picture, str(image), tile, overlap, shown)
        images.write(result, unfinished)


@dataclass(frozen=True)
class Upscaler:
    """An image-to-image network, and what is known of its pixels.

    ``report`` is told what was guessed of them, and how far long work is.
    """

    network: PictureNetwork
    pixels: Pixels
    report: Callable[[str], None]

    @classmethod
    def open(
        cls, library: str | os.PathLike, pixels: Pixels | None, report: Callable[[str], None]
    ) -> Upscaler:
        """Load what ``tvm-deconv compile`` wrote; the arguments and errors are those of ``run``."""
        return cls.of(Network.open(library), pixels, report)

    @classmethod
    def of(
        cls, network: PictureNetwork, pixels: Pixels | None, report: Callable[[str], None]
    ) -> Upscaler:
        """The same of a network that is loaded."""
        described = network.description
        known = described.pixels.overridden_by(given_pixels(pixels))
        stated, guessed = described.stated_pixels, described.guessed_range
        if known.range is None and stated.range is not None:
            report(f"pixels are taken to be {stated.range}, as the model's metadata says")
        known = stated.overridden_by(known)
        # What was guessed for other means or colours does not hold.
        if known == described.known_pixels and known.range is None and guessed is not None:
            report(str(Guess(guessed, f"as was guessed when {network.name} was compiled")))
            known = replace(known, range=guessed)
        known.check_channels(network.layout.channels)
        typed = network.typed(known)
        given, returned = network.dtypes
        if typed.range != known.range:
            report(f"pixels are taken to be {typed.range}, as {network.name} takes {given}")
        if typed.result_range != known.result_range:
            range_ = typed.result_range
            report(f"the result is taken to be {range_}, as {network.name} returns {returned}")
        return cls(network, typed, report)

    def upscale(
        self,
        picture: images.Picture,
        name: str,
        tile: int | None,
        overlap: int | None,
        progress: bool,
    ) -> images.Picture:
        """The network's picture of one; ``name`` stands in the messages.

        The other arguments are those of ``run``. Raises ImageError for an image of a size that the
        network cannot be run on.
        """
        seen = images.split(picture, self.network.layout.channels)
        return seen.join_samples(self.samples(seen, name, tile, overlap, progress))

    def samples(
        self, seen: images.Split, name: str, tile: int | None, overlap: int | None, progress: bool
    ) -> np.ndarray:
        """What ``upscale`` makes of what the network sees: samples (channels, height', width')."""
        rows, columns = self._plans(seen, name, tile, overlap)
        pixels = self.with_range().pixels

        def compute(samples: np.ndarray) -> np.ndarray:
            given = pixels.encode(seen.to_planes(samples))
            return seen.to_samples(pixels.decode(self.network(given)))

        done = Progress(self.report) if progress else _silent
        return tiles.run(compute, seen.samples, rows, columns, done)

    def given(
        self, picture: images.Picture, name: str, tile: int | None, overlap: int | None
    ) -> Iterator[np.ndarray]:
        """What ``upscale`` gives the network, tile by tile: (1, channels, height, width)."""
        seen = images.split(picture, self.network.layout.channels)
        rows, columns = self._plans(seen, name, tile, overlap)
        pixels = self.with_range().pixels
        for _, _, samples in tiles.cut(seen.samples, rows, columns):
            yield pixels.encode(seen.to_planes(samples))

    def with_range(self) -> Upscaler:
        """The same, with a guess of the range of pixels or result where nobody has said it."""
        given, returned = self.network.dtypes
        is_open = given in OF_BYTES and returned not in OF_BYTES
        if self.pixels.range is not None and not (is_open and self.pixels.result_range is None):
            return self
        guess = self.network.guess(self.pixels)
        self.report(str(guess))
        said = Pixels(result_range=guess.range) if guess.is_result else Pixels(guess.range)
        return replace(self, pixels=self.pixels.overridden_by(said))

    def _plans(
        self, seen: images.Split, name: str, tile: int | None, overlap: int | None
    ) -> tuple[tiles.Plan, tiles.Plan]:
        tile = tile if tile is None else check_integer("tile", tile, 1)
        overlap = overlap if overlap is None else check_integer("overlap", overlap, 0)
        height, width = seen.samples.shape[1:]
        return tiling.plans(self.network, (height, width), name, tile, overlap)


def _silent(done: int, of: int) -> None:
    """Of progress that nobody asked for."""
