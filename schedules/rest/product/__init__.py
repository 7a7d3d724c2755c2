"""Products of matrices in float32: a register tile over panels of columns that lie as read."""
