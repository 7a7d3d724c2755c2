"""The bytes of a model's file, whatever is in them."""

from __future__ import annotations

from pathlib import Path

from tvm_deconv.errors import ModelError


def read_model(file: Path) -> bytes:
    """Raises ModelError for a file that is missing or unreadable."""
    try:
        return file.read_bytes()
    except FileNotFoundError as error:
        raise ModelError(f"{file} does not exist") from error
    except OSError as error:
        raise ModelError(f"cannot read {file}: {error.strerror}") from error
