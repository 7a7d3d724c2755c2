"""A kernel that keeps one part of a machine busy and computes nothing of use: what there is to get.

``cpu_probes`` and ``gpu_probes`` make them, one of a kind for each kind of machine.
"""

from __future__ import annotations

from dataclasses import dataclass

import tvm


@dataclass(frozen=True)
class Probe:
    """A kernel, the shapes of its arguments (the last is the output), and a call's work.

    ``work`` counts operations, two for a multiply-add, or bytes that are read.
    """

    func: tvm.tirx.PrimFunc
    shapes: tuple[tuple[int, ...], ...]
    work: int
    dtype: str = "float32"
