"""TVM's legalisation and fusion, with our own code for padding."""

from __future__ import annotations

import tvm
from tvm import relax
from tvm.relax.backend.cpu_generic import pipeline as stock
from tvm.target import Target

from tvm_deconv.pads import pad_by_sizes

from .graph import shape_of

_PAD = "relax.nn.pad"


def legalize_passes(target: Target) -> list[tvm.transform.Pass]:
    """From operators to fused functions; TVM has the same passes for every kind of device."""
    _, *rest = stock.legalize_passes(target)
    return [relax.transform.LegalizeOps({_PAD: _pad}), *rest]


def _pad(builder: relax.BlockBuilder, call: relax.Call) -> relax.Expr:
    """TVM's repeats every axis, also where nothing is added: reads that take long to simplify."""
    mode = str(call.attrs.pad_mode)
    if mode == "constant":
        return tvm.ir.Op.get(_PAD).get_attr("FLegalize")(builder, call)
    widths = [int(width) for width in call.attrs.pad_width]
    x = call.args[0]
    pairs = zip(shape_of(x) or (), widths[::2], widths[1::2], strict=True)
    out = [n + before + after for n, before, after in pairs]
    return builder.call_te(pad_by_sizes, x, widths[::2], out, mode)
