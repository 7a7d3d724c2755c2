"""Upsampling networks as fast transposed convolutions on Apache TVM."""
