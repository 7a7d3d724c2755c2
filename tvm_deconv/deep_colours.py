"""Pictures with colours of 16 bits a channel, which Pillow does not keep.

PNG files only, by the package ``pypng`` (extra ``png16``).
"""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image

WHITE = 65535
EXTRA = "pip install 'tvm-deconv[png16]'"

_BICUBIC = Image.Resampling.BICUBIC
_KINDS = {2: "LA", 3: "RGB", 4: "RGBA"}
# Of red, green and blue in the luma, as JPEG and Pillow's "L" have them (ITU-R BT.601), and what
# makes the differences from it that are the chroma lie between -1/2 and 1/2.
LUMA = np.array([0.299, 0.587, 0.114])
_BLUE, _RED = 1.772, 1.402
# What turns a picture as its EXIF orientation says: mirrored along the rows, a quarter turned.
_TURNS = {2: (1, 0), 3: (0, 2), 4: (1, 2), 5: (1, 1), 6: (0, 3), 7: (1, 3), 8: (0, 1)}


@dataclass(frozen=True)
class DeepPicture:
    """``values`` are (height, width, channels) of uint16: grey and alpha, RGB, or RGBA."""

    values: np.ndarray

    @property
    def width(self) -> int:
        return self.values.shape[1]

    @property
    def height(self) -> int:
        return self.values.shape[0]

    @property
    def mode(self) -> str:
        return _KINDS[self.values.shape[2]]

    @property
    def colours(self) -> np.ndarray:
        """Without alpha: (height, width, 1 or 3)."""
        return self.values[..., : 1 if self.mode == "LA" else 3]

    def samples(self, channels: int) -> np.ndarray:
        """What a network of 1 or 3 channels sees: the luma, or RGB; (channels, height, width)."""
        colours = self.colours
        if channels == 3:
            wide = np.broadcast_to(colours, (*colours.shape[:2], 3))
            return np.ascontiguousarray(wide.transpose(2, 0, 1))
        return _luma(colours)[None].round().astype(np.uint16)

    def joined(self, samples: np.ndarray) -> DeepPicture:
        """The picture made of the samples (channels, height', width') of a network's result.

        Chroma and alpha are enlarged by bicubic interpolation, and grey stays grey.
        """
        size = samples.shape[2], samples.shape[1]
        colours = self.colours
        if colours.shape[2] == 1:
            planes = [_luma(samples.transpose(1, 2, 0))]
        elif len(samples) == 3:
            planes = list(samples)
        else:
            low, y = _luma(colours), samples[0].astype(np.float64)
            blue, red = (
                _enlarged((colours[..., channel] - low) / factor, size) * factor
                for channel, factor in ((2, _BLUE), (0, _RED))
            )
            r, b = y + red, y + blue
            planes = [r, (y - LUMA[0] * r - LUMA[2] * b) / LUMA[1], b]
        if self.values.shape[2] > colours.shape[2]:
            planes = [*planes, _enlarged(self.values[..., -1], size)]
        whole = np.stack(planes, axis=2)
        return DeepPicture(np.clip(whole, 0, WHITE).round().astype(np.uint16))


def _luma(colours: np.ndarray) -> np.ndarray:
    return colours[..., 0] if colours.shape[2] == 1 else colours @ LUMA


def _enlarged(plane: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    return np.asarray(Image.fromarray(plane.astype(np.float32)).resize(size, _BICUBIC))


def has_deep_colours(path: str | os.PathLike) -> bool:
    """Whether a file is a PNG with colours, or grey and alpha, of 16 bits."""
    with Path(path).open("rb") as file:
        begin = file.read(26)
    is_png = begin.startswith(b"\x89PNG\r\n\x1a\n") and len(begin) == 26
    # Bits of a sample, and the kind of colours: 0 is grey.
    return is_png and begin[24] == 16 and begin[25] != 0


def read_deep(path: Path, orientation: int) -> DeepPicture | None:
    """The picture in such a file, turned as EXIF's ``orientation`` says; None without ``pypng``.

    Raises ValueError for a damaged file.
    """
    try:
        import png
    except ImportError:
        return None
    try:
        with path.open("rb") as file:
            width, height, rows, about = png.Reader(file=file).asDirect()
            values = np.vstack([np.asarray(row, np.uint16) for row in rows])
    except (png.Error, zlib.error, EOFError) as error:
        raise ValueError(str(error)) from error
    values = values.reshape(height, width, about["planes"])
    mirrored, quarters = _TURNS.get(orientation, (0, 0))
    values = values[:, ::-1] if mirrored else values
    return DeepPicture(np.ascontiguousarray(np.rot90(values, quarters)))


def write_deep(picture: DeepPicture, path: Path) -> None:
    """Write a PNG."""
    import png

    alpha = picture.mode in ("LA", "RGBA")
    writer = png.Writer(
        picture.width, picture.height, greyscale=picture.mode == "LA", alpha=alpha, bitdepth=16
    )
    with path.open("wb") as file:
        writer.write(file, picture.values.reshape(picture.height, -1))
