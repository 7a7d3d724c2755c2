"""``DropOuterTaps``: kernels without the outer taps that only read padding.

    conv(x, w, pads p, dilation d) => conv(x, w[.., a : K - b], pads p - d * (a, b), dilation d)

where the first a and the last b of K taps read nothing of the image for any output
(``algebra.outer_taps``), and with a transposed convolution, where they only write what is cropped.
A branch of DeepLab with dilation 24 over a map of 16x16 is a convolution of 1x1, and the
innermost layers of pix2pix, 4x4 with stride 2 between maps of 2x2 and 1x1, are of 2x2.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.algebra.outer_taps import idle_outer_taps
from tvm_deconv.annotations import TAPS_BEFORE
from tvm_deconv.layer_names import layer_name
from tvm_deconv.patterns.layouts import begins_and_ends
from tvm_deconv.relax_functions import holds, with_changed

from .graph import Graph, constant, op_name, shape_of
from .rebind import WithValues

_TRANSPOSE = "_transpose"
_CONVOLUTIONS = frozenset(
    f"relax.nn.conv{n}d{kind}" for n in (1, 2, 3) for kind in ("", _TRANSPOSE)
)


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.DropOuterTaps")
class DropOuterTaps:
    """Relax module pass: what the module's docstring says, along each axis of known size.

    Of convolutions and transposed ones of one, two and three dimensions, of any type, layout,
    stride and groups, with constant weights. Weights that go have to be finite: infinity times
    padding is NaN. A function is marked with the taps that its layers had, for reports. A module
    without such taps is handed back untouched.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        smaller = with_changed(mod, _smaller)
        return mod if smaller is mod else relax.transform.DeadCodeElimination()(smaller)


@dataclass(frozen=True)
class _Idle:
    """Of each axis of a kernel: its letter, its taps, and how many go at both sides."""

    letters: str
    taps: tuple[int, ...]
    ends: tuple[tuple[int, int], ...]

    def kept(self, weight: np.ndarray, layout: str) -> np.ndarray:
        """The part of ``weight`` that stays."""
        for letter, (begin, end) in zip(self.letters, self.ends, strict=True):
            axis = layout.index(letter)
            weight = weight.take(range(begin, weight.shape[axis] - end), axis)
        return weight


def _smaller(func: relax.Function) -> relax.Function | None:
    """The function with smaller kernels; None where none has a tap too many."""
    if not holds(func, lambda expr: _idle_taps(expr) is not None):
        return None
    graph = Graph(func)
    values, before = {}, {}
    for var in graph.order:
        call = graph.values[var]
        idle = _idle_taps(call)
        if idle is None or var not in graph.live:
            continue
        weight = graph.constant(call.args[1])
        if weight is None or not np.isfinite(weight).all():
            continue
        values[var] = partial(_emit, call, idle, weight)
        before[layer_name(var)] = "x".join(map(str, idle.taps))
    if not values:
        return None
    known = dict((func.attrs or {}).get(TAPS_BEFORE, {}))
    return WithValues(values).visit_expr(func).with_attr(TAPS_BEFORE, {**known, **before})


def _idle_taps(call: relax.Expr) -> _Idle | None:
    """What can go of a convolution's kernel; None of one that reads the image with every tap."""
    name = op_name(call)
    if name not in _CONVOLUTIONS or not any(int(width) for width in call.attrs.padding):
        return None
    attrs, (data, kernel) = call.attrs, call.args
    layout, out = str(attrs.data_layout), str(attrs.out_layout or attrs.data_layout)
    letters = layout.replace("N", "").replace("C", "")
    ours = sorted(f"NC{letters}")
    shapes = [shape for tensor in (data, kernel, call) if (shape := shape_of(tensor)) is not None]
    if len(shapes) < 3 or sorted(layout) != ours or sorted(out) != ours:
        return None
    if sorted(attrs.kernel_layout) != sorted(f"OI{letters}"):
        return None
    inputs, taps, outputs = (
        [shape[axes.index(letter)] for letter in letters]
        for shape, axes in zip(shapes, (layout, str(attrs.kernel_layout), out), strict=True)
    )
    begins, ends = begins_and_ends(attrs.padding, len(letters))
    found = []
    for i in range(len(letters)):
        sizes = (inputs[i], outputs[i])
        count, limit = sizes if name.endswith(_TRANSPOSE) else sizes[::-1]
        if not all(isinstance(size, int) and size > 0 for size in (*sizes, taps[i])):
            found.append((0, 0))
            continue
        steps = int(attrs.strides[i]), int(attrs.dilation[i])
        found.append(idle_outer_taps(taps[i], *steps, (begins[i], ends[i]), count, limit))
    return _Idle(letters, tuple(taps), tuple(found)) if any(map(any, found)) else None


def _emit(call: relax.Call, idle: _Idle, weight: np.ndarray, rebuild: PyExprMutator) -> relax.Expr:
    attrs, axes = call.attrs, range(len(idle.letters))
    dilation = [int(d) for d in attrs.dilation]
    pads = begins_and_ends(attrs.padding, len(axes))
    padding = [pads[side][i] - dilation[i] * idle.ends[i][side] for side in (0, 1) for i in axes]
    left = [idle.taps[i] - sum(idle.ends[i]) for i in axes]
    attributes: dict[str, Any] = {
        "strides": attrs.strides,
        "padding": padding,
        # A single tap has no distance to another.
        "dilation": [1 if n == 1 else d for n, d in zip(left, dilation, strict=True)],
        "groups": attrs.groups,
        "data_layout": attrs.data_layout,
        "kernel_layout": attrs.kernel_layout,
        "out_layout": attrs.out_layout,
        "out_dtype": attrs.out_dtype,
    }
    name = str(op_name(call))
    if name.endswith(_TRANSPOSE):
        attributes["output_padding"] = attrs.output_padding
    operator = getattr(relax.op.nn, name.removeprefix("relax.nn."))
    kept = constant(np.ascontiguousarray(idle.kept(weight, str(attrs.kernel_layout))))
    return operator(rebuild.visit_expr(call.args[0]), kept, **attributes)
