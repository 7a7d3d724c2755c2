"""Names that the algorithm, its schedule and the last rewrites agree on."""

from __future__ import annotations

# Stages of REVD2, in order.
PAD, PHASES, INTERLEAVE, EDGE, STORE = "pad", "phases", "interleave", "edge", "store"

# Annotation of a loop whose last iterations may lie beyond the output, since the domain is rounded
# up to whole tiles; the value is "row" or "column".
GUARD = "tvm_deconv.guard"
