"""From a ``.pt2`` file to its program."""

from __future__ import annotations

import logging
import os
import warnings
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch.export import ExportedProgram

from tvm_deconv.errors import ModelError


def read_program(path: str | os.PathLike) -> ExportedProgram:
    """What ``torch.export.save`` wrote.

    Raises ModelError for a file that is missing, unreadable or not such an archive.
    """
    file = Path(path)
    if not file.is_file():
        raise ModelError(f"{file} {'is not a file' if file.exists() else 'does not exist'}")
    if not zipfile.is_zipfile(file):
        raise ModelError(f"{file} is not a .pt2 file: give one that torch.export.save wrote")
    with warnings.catch_warnings(), _without_log():
        warnings.simplefilter("ignore")
        try:
            return torch.export.load(file)
        except Exception as error:  # it raises whatever its parsers stumble over
            raise ModelError(
                f"{file} is damaged, or not of a version that PyTorch {torch.__version__} loads: "
                "save it again with torch.export.save"
            ) from error


@contextmanager
def _without_log() -> Iterator[None]:
    """PyTorch logs the traceback of what it is going to raise."""
    logger = logging.getLogger("torch.export")
    before = logger.disabled
    logger.disabled = True
    try:
        yield
    finally:
        logger.disabled = before
