"""The time and energy model: what each algorithm computes and moves, and what that costs a device.

Counts come first. An ``Operator`` is a ``geometry.ConvTranspose2d`` with sizes, dtype and origin:

    from tvm_deconv.model import Operator, counts, exact_counts, upsampling

    layer = upsampling("subpixel", 64, 1, kernel=3, factor=3, size=(224, 224))
    counts(layer, "subpixel")    # the operator as the network has it, shuffle included
    counts(layer, "revd2")       # the transposed convolution that replaces it
    counts(layer, "revd2").multiply_adds, counts(layer, "revd2").bytes

``Operator(conv, origin, height, width)`` makes one of a layer that the pass found,
``Operator.of(spec)`` one of a workload's layer. Algorithms are ``"subpixel"`` (origin
``"subpixel"``), ``"resize"`` (origin ``"nearest"``), ``"conv"`` (origin ``"conv"``) and, for every
origin, ``DECONVOLUTIONS``: stdd, strd, revd, revd2, tdc; ``ORIGINAL`` maps an origin to what
computed it before the rewrite. ``convolution_counts`` is for any other convolution of a network.
``counts`` counts as the paper does and ``exact_counts`` only what must be done: the module
``counts`` has the table of formulas and the differences. ``winograd_counts`` is the same for the
variant of ours that the paper does not have, ``exact_winograd_counts`` and ``unfolded_counts`` for
those of bytes. ``Counts`` add up (``total``).

``tvm_deconv.model.measured`` counts the loads, stores and multiply-adds of a scheduled TensorIR
function (``measure``) or of one of our kernels for a target (``measure_layer``), which holds these
formulas against what is really run. It needs TVM; the names below do not.

What counts cost is in ``roofline`` (time and energy of ``Work`` on a ``Device``), ``devices`` and
``sources`` (data files, no number without a source), ``calibrate`` (measures one), ``network`` (the
steps of a model before and after the rewrite), ``report`` and ``plot``, and ``headline`` (the
paper's ratios). docs/model.md derives it.
"""

from __future__ import annotations

from .byte_forms import exact_winograd_counts, unfolded_counts
from .counts import (
    DECONVOLUTIONS,
    ORIGINAL,
    Algorithm,
    Counts,
    convolution_counts,
    counts,
    exact_counts,
    total,
)
from .operators import Operator, Origin, upsampling
from .winograd import winograd_counts

__all__ = [
    "DECONVOLUTIONS",
    "ORIGINAL",
    "Algorithm",
    "Counts",
    "Operator",
    "Origin",
    "convolution_counts",
    "counts",
    "exact_counts",
    "exact_winograd_counts",
    "total",
    "unfolded_counts",
    "upsampling",
    "winograd_counts",
]
