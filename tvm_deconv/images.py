"""Between an image file and the tensors of an image-to-image network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from tvm_deconv.deep_colours import (
    LUMA,
    WHITE,
    DeepPicture,
    has_deep_colours,
    read_deep,
    write_deep,
)
from tvm_deconv.errors import ImageError, OutputError

_EIGHT_BITS = ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "CMYK", "YCbCr")
# Grey of 16 bits: how Pillow opens a PNG depends on its version, a TIFF on its order of bytes.
_SIXTEEN_BITS = ("I;16", "I;16L", "I;16B", "I")
_KEEP_SIXTEEN = ("PNG", "TIFF")
# Icons, which Pillow shrinks to one of their sizes without a word.
_OF_FEW_SIZES = ("ICNS", "ICO")
_BICUBIC = Image.Resampling.BICUBIC
_ORIENTATION = 0x112  # the tag of EXIF

Picture: TypeAlias = Image.Image | DeepPicture


@dataclass(frozen=True)
class Split:
    """An image, and what of it a network sees.

    ``samples`` has the shape (channels, height, width): the luma of YCbCr for one channel, RGB for
    three; whole numbers of which ``white`` is white.
    """

    image: Picture
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

    def join(self, planes: np.ndarray) -> Picture:
        """The image made of a network's result, shape (1, channels, height', width')."""
        return self.join_samples(self.to_samples(planes))

    def join_samples(self, pixels: np.ndarray) -> Picture:
        """The image made of the samples (channels, height', width') of a network's result.

        Chroma, which a one-channel network does not see, and an alpha channel are enlarged by
        bicubic interpolation to the size of the result. A grey image of 16 bits stays one: of three
        channels the luma is taken.
        """
        if isinstance(self.image, DeepPicture):
            return self.image.joined(pixels)
        if self.white == WHITE:
            grey = pixels[0] if len(pixels) == 1 else np.tensordot(LUMA, pixels, 1).round()
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


def split(image: Picture, channels: int) -> Split:
    """What a network with 1 or 3 channels sees of the image."""
    if isinstance(image, DeepPicture):
        return Split(image, image.samples(channels), WHITE)
    if image.mode in _SIXTEEN_BITS:
        grey = np.asarray(image).astype(np.uint16)
        return Split(image, np.repeat(grey[None], channels, axis=0), WHITE)
    if channels == 3:
        samples = np.asarray(_colour(image)).transpose(2, 0, 1)
    elif _is_grey(image):
        samples = np.asarray(image.convert("L"))[None]
    else:
        samples = np.asarray(_colour(image).convert("YCbCr")).transpose(2, 0, 1)[:1]
    return Split(image, samples, 255)


def read(path: str | os.PathLike) -> Picture:
    """The image in a file, turned as its EXIF orientation says.

    Colours of 16 bits are a ``DeepPicture`` where ``pypng`` is installed, and else 8 of them are
    kept. Raises ImageError for a file that is missing, not an image, damaged, or of other pixels:
    32 bits, say.
    """
    file = Path(path)
    try:
        with Image.open(file) as opened:
            if has_deep_colours(file):
                deep = read_deep(file, int(opened.getexif().get(_ORIENTATION, 1)))
                if deep is not None:
                    return deep
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


def check_format(path: str | os.PathLike, picture: Picture) -> None:
    """Raises OutputError for a file name whose ending names no format for such a picture.

    That is one that can be written, has images of any size, and an alpha channel if there is one.
    """
    ending = Path(path).suffix.lower()
    name = Image.registered_extensions().get(ending)
    if name is None or name not in Image.SAVE or name in _OF_FEW_SIZES:
        raise OutputError(f"cannot write {path}: no image format for {ending!r}, such as .png")
    if _has_alpha(picture) and not _can_write(name, "RGBA"):
        raise OutputError(
            f"cannot write {path}: {name} has no transparency, and the image does: give a .png"
        )


def _has_alpha(picture: Picture) -> bool:
    if isinstance(picture, DeepPicture):
        return picture.mode in ("LA", "RGBA")
    return picture.has_transparency_data


def _can_write(name: str, mode: str) -> bool:
    try:
        Image.new(mode, (1, 1)).save(BytesIO(), name)
    except (OSError, ValueError):
        return False
    return True


def write(image: Picture, path: Path) -> None:
    """Write the image in the format that the file's name says.

    Grey of 16 bits is written as such to PNG and TIFF, colours of 16 bits to PNG, and as 8 bits to
    others. Raises OutputError for a full disk, or a format that cannot hold the image.
    """
    kind = Image.registered_extensions().get(path.suffix.lower())
    try:
        if isinstance(image, DeepPicture):
            if kind == "PNG":
                write_deep(image, path)
                return
            image = Image.fromarray(_eight_bits(image.values))
        elif image.mode in _SIXTEEN_BITS and kind not in _KEEP_SIXTEEN:
            image = Image.fromarray(_eight_bits(np.asarray(image)))
        image.save(path)
    except (OSError, ValueError) as error:
        raise OutputError(f"cannot write {path.name}: {error}") from error


def _eight_bits(values: np.ndarray) -> np.ndarray:
    return (values * (255 / WHITE)).round().astype(np.uint8)


def _has_sixteen_bits(image: Image.Image) -> bool:
    values = np.asarray(image)
    return bool(values.min() >= 0 and values.max() <= WHITE)


def _is_grey(image: Image.Image) -> bool:
    return image.mode in ("1", "L", "LA")


def _colour(image: Image.Image) -> Image.Image:
    return image.convert("RGB")
