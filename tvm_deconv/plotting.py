"""What every plot asks before there is anything to draw."""

from __future__ import annotations

import os

from tvm_deconv.errors import BenchError


def check(path: str | os.PathLike) -> str:
    """The format that the ending of ``path`` names.

    Raises BenchError if matplotlib is missing or does not know the format.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchError(
            "a plot takes matplotlib: install it (pip install 'tvm-deconv[bench]')"
        ) from error
    ending = os.path.splitext(os.fspath(path))[1].lstrip(".").lower()
    known = Figure().canvas.get_supported_filetypes()
    if ending not in known:
        raise BenchError(f"no plot format {ending!r}: give one of {', '.join(sorted(known))}")
    return ending
