"""The rules by which upsampling patterns become transposed convolutions."""
