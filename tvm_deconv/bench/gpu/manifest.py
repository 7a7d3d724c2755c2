"""The file that says what a folder of `gpu_pack.py` holds."""

from __future__ import annotations

import json
from os import PathLike
from pathlib import Path
from typing import Any

from tvm_deconv.errors import BenchError

MANIFEST = "manifest.json"
PACKED = "packed"
"""Status of a kernel that is there."""

FORMAT = 2
"""Another number means other fields."""


def read(folder: str | PathLike) -> dict[str, Any]:
    """The manifest of a folder. Raises BenchError for one that is missing or none of ours."""
    path = Path(folder) / MANIFEST
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise BenchError(
            f"cannot read {path}: {error.strerror}: make it with gpu_pack.py"
        ) from error
    except ValueError as error:
        raise BenchError(f"{path} is not JSON: {error}") from error
    found = manifest.get("format") if isinstance(manifest, dict) else None
    if found != FORMAT:
        raise BenchError(f"{path} has format {found!r}, not {FORMAT}: make it again")
    return manifest
