"""Ctrl-C, SIGTERM and a closed terminal, which end a command alike: whatever is half done goes."""

from __future__ import annotations

import signal
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
"""What ends a command: Ctrl-C, a polite kill and a closed terminal."""


class Terminated(KeyboardInterrupt):
    """SIGTERM, once ``raise_when_terminated`` was called."""


class HungUp(KeyboardInterrupt):
    """SIGHUP, that of a closed terminal, once ``raise_when_terminated`` was called."""


def raise_when_terminated() -> None:
    """Let SIGTERM and SIGHUP raise in the main thread, as Ctrl-C raises KeyboardInterrupt."""
    for number, handler in ((signal.SIGTERM, _terminated), (signal.SIGHUP, _hung_up)):
        if heeded(number):
            signal.signal(number, handler)


@contextmanager
def held_back(numbers: Collection[int] = SIGNALS) -> Iterator[None]:
    """Let these signals come to this thread when the block ends.

    Processes that it starts inherit this, and keep it.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, numbers)
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


def heeded(number: int) -> bool:
    """Whether a signal is not ignored here, as nohup has SIGHUP, and shells SIGINT behind an &."""
    return signal.getsignal(number) is not signal.SIG_IGN


def let_pass_through_tvm() -> None:
    """Let all come out of TVM as what they are where they were raised in Python that it called.

    TVM raises a RuntimeError in the place of what it does not know.
    """
    from tvm_ffi import register_error

    for kind in (KeyboardInterrupt, Terminated, HungUp):
        register_error(kind.__name__, kind)


def _terminated(_number: int, _frame: FrameType | None) -> None:
    raise Terminated


def _hung_up(_number: int, _frame: FrameType | None) -> None:
    raise HungUp
