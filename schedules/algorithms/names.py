"""Names that the algorithm, its schedule and the last rewrites agree on."""

from __future__ import annotations

# Stages of the algorithms, in order; none has them all.
PAD, DILATE, PHASES, PLANES, GATHER = "pad", "dilate", "phases", "planes", "gather"
INTERLEAVE, TRANSPOSE, EDGE, STORE = "interleave", "transpose", "edge", "store"

# Annotation of a loop whose last iterations may lie beyond the output, since the domain is rounded
# up to whole tiles; the value is "row" or "column".
GUARD = "tvm_deconv.guard"

# Stages of the Winograd form, between PAD and STORE.
TRANSFORM, PRODUCTS, OUTPUTS = "transform", "products", "outputs"
# What is done of both transforms along one axis, where that is a stage of its own.
TRANSFORM_ROWS, OUTPUT_ROWS = "transform_rows", "output_rows"

# Annotation of a reduction that should fetch the weights of its next turn.
PREFETCH = "tvm_deconv.prefetch"
