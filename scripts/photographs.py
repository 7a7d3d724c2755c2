"""The photographs that the demo networks learn from and are judged by.

All lie inside the scikit-image wheel: nothing is downloaded. A network sees one plane, the luma of
YCbCr, and a low-resolution photograph is the bicubic reduction of the original by the factor.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import skimage
from PIL import Image

FACTOR = 3
HELD_OUT = "astronaut.png"
TRAINING = (
    "brick.png",
    "camera.png",
    "chelsea.png",
    "coffee.png",
    "coins.png",
    "grass.png",
    "gravel.png",
    "motorcycle_left.png",
    "motorcycle_right.png",
    "rocket.jpg",
)


def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image as RGB, cropped to a multiple of FACTOR."""
    with Image.open(Path(skimage.__file__).parent / "data" / name) as file:
        image = file.convert("RGB")
    width, height = (size - size % FACTOR for size in image.size)
    return image.crop((0, 0, width, height))


def reduced(image: Image.Image) -> Image.Image:
    """The image at 1/FACTOR of its size, 8 bits, as a camera or a thumbnail would store it."""
    size = (image.width // FACTOR, image.height // FACTOR)
    return image.resize(size, Image.Resampling.BICUBIC)


def enlarged(image: Image.Image) -> Image.Image:
    """What everybody has: bicubic interpolation by FACTOR."""
    size = (image.width * FACTOR, image.height * FACTOR)
    return image.resize(size, Image.Resampling.BICUBIC)


def luma(image: Image.Image) -> np.ndarray:
    """Y of YCbCr as float32 in [0, 1], shape (height, width)."""
    return np.asarray(image.convert("YCbCr"))[..., 0].astype(np.float32) / 255


def psnr(result: np.ndarray, truth: np.ndarray) -> float:
    """Peak signal-to-noise ratio in dB over all pixels; planes in [0, 1], the result clipped."""
    error = np.clip(result, 0, 1).astype(np.float64) - truth
    return float(-10 * np.log10(np.mean(error**2)))
