"""Ctrl-C and SIGTERM, which end the command alike: whatever is half done goes."""

from __future__ import annotations

import signal
from types import FrameType


class Terminated(KeyboardInterrupt):
    """SIGTERM, once ``raise_when_terminated`` was called."""


def raise_when_terminated() -> None:
    """Let SIGTERM raise ``Terminated`` in the main thread, as Ctrl-C raises KeyboardInterrupt."""
    signal.signal(signal.SIGTERM, _terminated)


def let_pass_through_tvm() -> None:
    """Let both come out of TVM as what they are where they were raised in Python that it called.

    TVM raises a RuntimeError in the place of what it does not know.
    """
    from tvm_ffi import register_error

    for kind in (KeyboardInterrupt, Terminated):
        register_error(kind.__name__, kind)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated
