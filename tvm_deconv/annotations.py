"""Attributes of functions by which one part of this package tells another what it made."""

# Of a PrimFunc that an importer emitted: the resampling that it computes, in words for the report.
RESAMPLED = "tvm_deconv.resampled"

# Of a PrimFunc that resamples one axis of its first operand: "axis factor", where it is a linear
# resize (half_pixel) by that whole factor.
INTERPOLATED = "tvm_deconv.interpolated"

# Of a PrimFunc that resamples one axis of its first operand: "axis factor", where output sample o
# copies input sample o div factor, whether or not the last one gets all of its copies.
REPEATED = "tvm_deconv.repeated"

# Of a function of ``transform.borders``: "top bottom left right", of volumes with front and back
# before: the outputs at each side that it adds to. Its operands are the tensor, then the faces
# across each axis that has such outputs.
BORDER = "tvm_deconv.border"

# Of a PrimFunc that resamples one axis of its first operand: "axis first last", the samples that
# output sample o of m reads of n input samples, o * n / m + [first, last].
READS = "tvm_deconv.reads"

# Of a Relax function: the names of the layers that were of one dimension in the model and are
# computed as two-dimensional ones of height 1.
ONE_DIMENSIONAL = "tvm_deconv.one_dimensional"

# Of a Relax function: by the name of a layer whose weights grew when it was rewritten, how many it
# had in the model.
WEIGHTS_BEFORE = "tvm_deconv.weights_before"

# Of a Relax function: by the name of a layer that lost taps which never meet its map, those that it
# had, "3x3".
TAPS_BEFORE = "tvm_deconv.taps_before"

# Of a PrimFunc of free sizes that was a reshape.
RESHAPED = "tvm_deconv.reshape"

# Of a PrimFunc that was a Concat: the axis.
CONCATENATED = "tvm_deconv.concat"

# Of a PrimFunc that is written out statement by statement for processors, and that nothing else can
# schedule: the operators that it computes, in words.
WRITTEN_OUT = "tvm_deconv.written_out"
