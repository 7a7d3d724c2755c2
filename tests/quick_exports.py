"""PyTorch's exporter, less what it does again for each program."""

from __future__ import annotations

from functools import cache

from torch._export import utils


def list_operators_once() -> None:
    """Let PyTorch ask once for all operators that there are, from now on.

    It does so 52 times for a program that it decomposes, because somebody might have added one:
    75 ms, half of what a small program takes.
    """
    utils._materialize_cpp_cia_ops = cache(utils._materialize_cpp_cia_ops)
