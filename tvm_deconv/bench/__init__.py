"""The benchmark: contestants in processes of their own, measured in turns and compared."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .benchmark import run

__all__ = ["run"]


def __getattr__(name: str) -> Any:
    # Late, because the contestants are modules of this package that run as programs.
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from .benchmark import run

    return run
