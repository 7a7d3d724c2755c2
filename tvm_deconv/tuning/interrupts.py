"""Ctrl-C reaches every process of the terminal's group; only the tuner itself decides what ends."""

from __future__ import annotations

import signal


def ignore_interrupts() -> None:
    """For worker processes of MetaSchedule: let them finish what they have begun."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
