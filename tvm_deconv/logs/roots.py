"""The folders in which tuning logs are looked for, those of Relax and of Relay alike.

The user's root is ``$TVM_DECONV_LOGS``, by default ``~/.local/share/tvm-deconv/logs``; then comes
the root that is shipped with the package. With ``TVM_DECONV_LOGS=none`` there is no root at all.
"""

from __future__ import annotations

import os
from pathlib import Path

from tvm_deconv.errors import LogError

ENVIRONMENT = "TVM_DECONV_LOGS"
NONE = "none"

_PACKAGE = Path(__file__).resolve().parent.parent


def user_root() -> Path:
    """Where a user's own logs are written. Raises LogError where the environment says: nowhere."""
    said = os.environ.get(ENVIRONMENT, "")
    if said == NONE:
        raise LogError(f"{ENVIRONMENT} is {NONE}: say where the log goes, or unset {ENVIRONMENT}")
    return Path(said) if said else Path.home() / ".local" / "share" / "tvm-deconv" / "logs"


def shipped_root() -> Path:
    """The logs that come with the package: inside it, or beside it in a repository."""
    inside = _PACKAGE / "tuning_logs"
    return inside if inside.is_dir() else _PACKAGE.parent / "tuning_logs"


def log_roots() -> list[Path]:
    """Folders of logs, in the order in which they are looked through; they may not exist."""
    if os.environ.get(ENVIRONMENT) == NONE:
        return []
    return [user_root(), shipped_root()]
