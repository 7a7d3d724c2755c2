"""Where things lie in the repository."""

from __future__ import annotations

import os
from pathlib import Path

TESTS = Path(__file__).resolve().parent
ROOT = TESTS.parent
MODELS = ROOT / "scripts" / "models"


def python_path(*folders: str | Path) -> str:
    """PYTHONPATH of a process that a test starts: these, and what stands before PyTorch."""
    return os.pathsep.join(map(str, (TESTS / "without_torch", *folders)))
