"""``PhasesToChannels``: a transposed convolution of large stride as a convolution and a shuffle.

    conv2d_transpose(x, w, strides=(1, s)) => crop(pixel_shuffle(conv2d(x, weight_unshuffle(w)), s))

This is the sub-pixel rewrite read backwards. Our kernels hold the phases of a register tile in
registers at once, s accumulators for each output channel and vector. With the stride of an inverse
STFT, 256 and more, most of them would be in memory, or the layer refused. As channels of a
convolution over the small map phases are divided among tiles like any channels; the shuffle that
follows moves each output once, which is little beside the T*C multiply-adds that each one takes.

One axis: of the kernel, filled up with zeros to T = ceil((K + output padding) / s) blocks of s,
sample s*q + f of the full result, before p samples are cut off its begin, is

    full[o, s*q + f] = sum over c, t of x[c, q - t] * w[c, o, s*t + f]

which is channel o*s + f of a convolution of T taps, begin padding T-1, at q. Blocks that are cut
off whole are not computed: the begin padding is T-1 - p // s, and p % s samples are cropped.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import numpy as np
import tvm
from tvm import relax, te
from tvm.relax.expr_functor import PyExprMutator

from tvm_deconv.algebra.weights import weight_unshuffle
from tvm_deconv.relax_functions import holds

from .graph import Graph, constant, op_name, shape_of
from .lower.read import CONV_TRANSPOSE, Convolution, read
from .rebind import Emit, with_other_values

# Phases that are held in registers at most: of the 32 vectors of AVX-512 and NEON, half.
MOST_PHASES = 16


@tvm.transform.module_pass(opt_level=0, name="tvm_deconv.PhasesToChannels")
class PhasesToChannels:
    """Relax module pass: the rewrite above for strides over ``MOST_PHASES`` in width, 1 in height.

    Takes the layers that ``LowerConvolutions`` does, without dilation, if their kernel is at least
    as long as the stride. A module without one is handed back untouched.
    """

    def transform_module(
        self, mod: tvm.IRModule, context: tvm.transform.PassContext
    ) -> tvm.IRModule:
        return with_other_values(mod, _values_of)


def _values_of(_work: tvm.IRModule, func: relax.Function) -> dict[relax.Var, Emit]:
    if not holds(func, _has_many_phases):
        return {}
    graph = Graph(func)
    found = [read(graph, var) for var in graph.order if _has_many_phases(graph.values[var])]
    return {
        conv.var: partial(_unshuffled, conv)
        for conv in found
        if isinstance(conv, Convolution) and _fits(conv)
    }


def _has_many_phases(expr: relax.Expr) -> bool:
    if op_name(expr) != CONV_TRANSPOSE:
        return False
    height, width = (int(stride) for stride in expr.attrs.strides)
    return height == 1 and width > MOST_PHASES


def _fits(conv: Convolution) -> bool:
    h, w = conv.op.h, conv.op.w
    whole = h.dilation == w.dilation == 1 and h.output_padding == 0
    inside = all(max(axis.pad_begin, axis.pad_end) < axis.kernel for axis in (h, w))
    return whole and inside and w.kernel >= w.stride


def _unshuffled(conv: Convolution, rebuild: PyExprMutator) -> relax.Expr:
    """The layer as the convolution, and the shuffle behind it."""
    h, w, s = conv.op.h, conv.op.w, conv.op.w.stride
    taps = -(-(w.kernel + w.output_padding) // s)
    widths = [(0, 0), (0, 0), (0, 0), (0, taps * s - w.kernel)]
    kernel = weight_unshuffle(np.pad(conv.weight, widths), (1, s), groups=conv.op.groups)
    n, o, rows, columns = shape_of(conv.var) or ()
    # Blocks before the first sample that is kept, and behind the last.
    before, crop = divmod(w.pad_begin, s)
    behind = (taps * s - w.kernel - w.output_padding + w.pad_end) // s
    padding = [h.kernel - 1 - h.pad_begin, taps - 1 - before, h.kernel - 1 - h.pad_end]
    y = rebuild.builder_.emit(
        relax.op.nn.conv2d(
            rebuild.visit_expr(conv.data),
            constant(np.ascontiguousarray(kernel)),
            padding=[*padding, taps - 1 - behind],
            groups=conv.op.groups,
        )
    )

    def shuffled(y: te.Tensor) -> te.Tensor:
        def sample(b: Any, channel: Any, i: Any, j: Any) -> Any:
            return y[b, channel * s + (j + crop) % s, i, (j + crop) // s]

        return te.compute((n, o, rows, columns), sample, name="shuffle")

    return rebuild.builder_.call_te(shuffled, y, primfunc_name_hint="shuffle")
