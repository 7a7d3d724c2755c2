"""Attributes of functions by which one part of this package tells another what it made."""

# Of a PrimFunc that an importer emitted: the resampling that it computes, in words for the report.
RESAMPLED = "tvm_deconv.resampled"
