"""Weights packed by the kernel's function itself, where they are known only at run time."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from tvm import te, tir

from tvm_deconv.algebra.geometry import ConvTranspose2d
from tvm_deconv.algebra.packing import Packing, kernel_indices
from tvm_deconv.schedules.algorithms import stages

# The stage that packs.
PACK = "pack"


def packed(packing: Packing, weight: te.Tensor) -> te.Tensor:
    """IOHW ``weight`` in the order of ``packing`` (of the form ``Direct``): what ``pack`` gives."""
    conv, n = packing.conv, packing.n
    words = packing.order.split()

    def element(*indices):
        at = {"g": 0, **dict(zip(words, indices, strict=True))}
        ic = at["ic"] if "ic" in at else at["ic/n"] * n + at["ic%n"]
        o = at["o"] if "o" in at else at["o/n"] * n + at["o%n"]
        kh, kw, live = _taps(conv, at)
        if "o/n" in at and conv.group_outputs % n:
            live.append(o < conv.group_outputs)
        value = weight[at["g"] * conv.group_inputs + ic, o, kh, kw]
        return tir.if_then_else(tir.all(*live), value, stages.zero()) if live else value

    return te.compute(packing.shape, element, name=PACK)


def schedule(s: Any, pack: te.Tensor) -> None:
    """Pack with all threads."""
    stage = s[pack]
    *outer, last = stage.op.axis
    stage.reorder(*outer, last)
    stage.parallel(stage.fuse(*outer))


def _taps(conv: ConvTranspose2d, at: dict[str, Any]) -> tuple[Any, Any, list[Any]]:
    """The kernel's indices of an element, and the conditions under which there is one."""
    if "kh" in at:
        return at["kh"], at["kw"], []
    live: list[Any] = []
    found = []
    for axis, phase, tap in ((conv.h, "fh", "th"), (conv.w, "fw", "tw")):
        indices = kernel_indices(axis)
        k = _chosen(indices.ravel().tolist(), at.get(phase, 0) * axis.max_taps + at[tap])
        if np.any(indices < 0):
            live.append(k >= 0)
        found.append(k)
    return found[0], found[1], live


def _chosen(values: Sequence[int], index: Any) -> Any:
    """``values[index]``."""
    expr = tir.const(values[-1], "int32")
    for i, value in enumerate(values[:-1]):
        expr = tir.Select(index == i, tir.const(value, "int32"), expr)
    return expr
