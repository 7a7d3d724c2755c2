"""Pictures in a folder, and others of the same names."""

from __future__ import annotations

import os
from pathlib import Path

from PIL import Image

from tvm_deconv.errors import ImageError


def pictures_in(folder: str | os.PathLike) -> list[Path]:
    """The files in a folder whose endings are those of images, by name; folders in it are not read.

    Raises ImageError for a folder that is missing or holds none.
    """
    endings = Image.registered_extensions()
    try:
        files = sorted(Path(folder).iterdir())
    except OSError as error:
        raise ImageError(f"cannot read the folder {folder}: {error.strerror}") from error
    found = [
        file
        for file in files
        if file.is_file() and file.suffix.lower() in endings and not file.name.startswith(".")
    ]
    if not found:
        raise ImageError(f"{folder} holds no pictures: give a folder of PNG or JPEG files")
    return found


def references_of(pictures: list[Path], folder: str | os.PathLike) -> list[Path]:
    """The files of the same names in another folder. Raises ImageError where one is missing."""
    found = [Path(folder) / picture.name for picture in pictures]
    for reference, picture in zip(found, pictures, strict=True):
        if not reference.is_file():
            raise ImageError(
                f"{picture} has no reference: {reference} does not exist; references have the "
                "names of their pictures"
            )
    return found
