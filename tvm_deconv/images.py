"""Between an image file and the tensors of an image-to-image network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tvm_deconv.errors import ImageError, OutputError

_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
# Grey of 16 bits: how Pillow opens a PNG depends on its version, a TIFF on its order of bytes.
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I")
_WHITE_16 = 65535
_KEEP_SIXTEEN = ("PNG", "TIFF")
_BICUBIC = Image.Resampling.BICUBIC
# Of red, green and blue in the luma, as Pillow's "L" has them.
_LUMA = np.array([0.299, 0.587, 0.114])


@dataclass(frozen=True)
class Split:
    """An image, and what of it a network sees.

    ``samples`` has the shape (channels, height, width): the luma of YCbCr for one channel, RGB for
    three; whole numbers of which ``white`` is white.
    """

    image: Image.Image
    samples: np.ndarray
    white: int

    @property
    def planes(self) -> np.ndarray:
        """All samples as float32 in [0, 1], (1, channels, height, width)."""
        return self.to_planes(self.samples)

    def to_planes(self, samples: np.ndarray) -> np.ndarray:
        """Some of the samples as a network's input of pixels in [0, 1], with a batch of 1."""
        return np.ascontiguousarray(samples[None], np.float32) / np.float32(self.white)

    def to_samples(self, planes: np.ndarray) -> np.ndarray:
        """A result (1, channels, height', width') as whole numbers; what is beyond is clipped."""
        values = np.clip(planes[0].astype(np.float32), 0, 1) * np.float32(self.white)
        return values.round().astype(self.samples.dtype)

    def join(self, planes: np.ndarray) -> Image.Image:
        """The image made of a network's result, shape (1, channels, height', width')."""
        return self.join_samples(self.to_samples(planes))

    def join_samples(self, pixels: np.ndarray) -> Image.Image:
        """The image made of the samples (channels, height', width') of a network's result.

        Chroma, which a one-channel network does not see, and an alpha channel are enlarged by
        bicubic interpolation to the size of the result. A grey image of 16 bits stays one: of three
        channels the luma is taken.
        """
        if self.white == _WHITE_16:
            grey = pixels[0] if len(pixels) == 1 else np.tensordot(_LUMA, pixels, 1).round()
            return Image.fromarray(grey.astype(np.uint16))
        size = (pixels.shape[2], pixels.shape[1])
        if pixels.shape[0] == 3:
            result = Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 2, 0)))
        else:
            result = Image.fromarray(pixels[0])
            if not _is_grey(self.image):
                _, cb, cr = _colour(self.image).convert("YCbCr").split()
                chroma = (plane.resize(size, _BICUBIC) for plane in (cb, cr))
                result = Image.merge("YCbCr", (result, *chroma)).convert("RGB")
        if self.image.has_transparency_data:
            alpha = self.image.convert("RGBA").getchannel("A")
            result.putalpha(alpha.resize(size, _BICUBIC))
        return result


def split(image: Image.Image, channels: int) -> Split:
    """What a network with 1 or 3 channels sees of the image."""
    if image.mode in _SIXTEEN_BITS:
        grey = np.asarray(image).astype(np.uint16)
        return Split(image, np.repeat(grey[None], channels, axis=0), _WHITE_16)
    if channels == 3:
        samples = np.asarray(_colour(image)).transpose(2, 0, 1)
    elif _is_grey(image):
        samples = np.asarray(image.convert("L"))[None]
    else:
        samples = np.asarray(_colour(image).convert("YCbCr")).transpose(2, 0, 1)[:1]
    return Split(image, samples, 255)


def read(path: str | os.PathLike) -> Image.Image:
    """The image in a file, turned as its EXIF orientation says.

    Raises ImageError for a file that is missing, not an image, damaged, or neither of 8 bits a
    channel nor grey of 16.
    """
    file = Path(path)
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(opened)
    except FileNotFoundError as error:
        raise ImageError(f"{file} does not exist") from error
    except UnidentifiedImageError as error:
        raise ImageError(f"{file} is not an image that can be read: give a PNG or JPEG") from error
    except (OSError, SyntaxError, ValueError, Image.DecompressionBombError) as error:
        raise ImageError(f"cannot read image {file}: {error}") from error
    if image.mode == "I" and not _has_sixteen_bits(image):
        raise ImageError(f"{file} has pixels that are not of 16 bits: convert it to 8 or 16 bits")
    if image.mode not in _EIGHT_BITS + _SIXTEEN_BITS:
        raise ImageError(
            f"{file} has pixels of mode {image.mode}: convert it to 8 bits a channel, or to grey "
            "of 16 bits"
        )
    return image


def loses_bits(path: str | os.PathLike) -> bool:
    """Whether a file that ``read`` can read has colours of 16 bits, of which Pillow keeps 8."""
    with Path(path).open("rb") as file:
        begin = file.read(26)
    is_png = begin.startswith(b"\x89PNG\r\n\x1a\n") and len(begin) == 26
    # Bits of a sample, and the kind of colours: 0 is grey.
    return is_png and begin[24] == 16 and begin[25] != 0


def check_format(path: str | os.PathLike) -> None:
    """Raises OutputError for a file name whose ending names no image format that can be written."""
    ending = Path(path).suffix.lower()
    name = Image.registered_extensions().get(ending)
    if name is None or name not in Image.SAVE:
        raise OutputError(f"cannot write {path}: no image format for {ending!r}, such as .png")


def write(image: Image.Image, path: Path) -> None:
    """Write the image in the format that the file's name says.

    Grey of 16 bits is written as such to PNG and TIFF, and as 8 bits to others. Raises OutputError
    for a full disk, or a format that cannot hold the image.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    if image.mode in _SIXTEEN_BITS and kind not in _KEEP_SIXTEEN:
        values = np.asarray(image) * (255 / _WHITE_16)
        image = Image.fromarray(values.round().astype(np.uint8))
    try:
        image.save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path.name}: {error}") from error


def _has_sixteen_bits(image: Image.Image) -> bool:
    values = np.asarray(image)
    return bool(values.min() >= 0 and values.max() <= _WHITE_16)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


def _colour(image: Image.Image) -> Image.Image:
    return image.convert("RGB")
