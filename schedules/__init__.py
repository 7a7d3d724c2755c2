"""Deconvolution variants, their TensorIR schedules and machine descriptions."""
